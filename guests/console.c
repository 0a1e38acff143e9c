/* SPDX-License-Identifier: MIT */
/*
 * Serial input, and the debug keys with something to show: ports of every kind, grants in
 * use, a second vCPU, a paused and a pinned one. The keys come by the control plane; typed
 * ones, when the command line says "typed", from tests/guest/boot.
 */
#define UNRECORDED          /* on Xen it does less */
#include "tiny.h"
#include <xen/io/console.h>
#include <xen/sysctl.h>

static struct xen_sysctl sc;
static char ring[65536];

static struct xen_sysctl *sysctl_for(u32 cmd)
{
    memset(&sc, 0, sizeof(sc));
    sc.cmd = cmd;
    sc.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return &sc;
}

/* What the console ring holds, and forgets by it if asked to. */
static const char *read_log(bool forget)
{
    sysctl_for(XEN_SYSCTL_readconsole)->u.readconsole.clear = forget;
    sc.u.readconsole.count = sizeof(ring) - 1;
    set_xen_guest_handle(sc.u.readconsole.buffer, ring);
    CHECK_EQ(HC(sysctl, &sc), 0);
    ring[sc.u.readconsole.count] = '\0';
    return ring;
}

static const char *take_log(void) { return read_log(true); }

static const char *keys(const char *text)
{
    take_log();
    sysctl_for(XEN_SYSCTL_debug_keys)->u.debug_keys.nr_keys = (u32)strlen(text);
    set_xen_guest_handle(sc.u.debug_keys.keys, (char *)text);
    CHECK_EQ(HC(sysctl, &sc), 0);
    return take_log();
}

#define LOGGED(word) CHECK(strstr(log, word) != NULL)

/* What the keys say is in no ABI: on Xen these tests pass without a look. */
#define KEY_TEST(name)                                                            \
    static void key_##name(void);                                                 \
    TEST(name) { if (!on_xen()) key_##name(); }                                   \
    static void key_##name(void)

static u32 bound(unsigned cmd, void *op, const u32 *port)
{
    CHECK_EQ(HC(event_channel_op, cmd, op), 0);
    return *port;
}

KEY_TEST(events)
{
    struct evtchn_alloc_unbound u = { .dom = DOMID_SELF, .remote_dom = DOMID_SELF };
    struct evtchn_bind_interdomain i = { .remote_dom = DOMID_SELF, .remote_port = bound(EVTCHNOP_alloc_unbound, &u, &u.port) };
    bound(EVTCHNOP_bind_interdomain, &i, &i.local_port);
    bound(EVTCHNOP_alloc_unbound, &u, &u.port);
    struct evtchn_bind_ipi ipi = { .vcpu = 0 };
    bound(EVTCHNOP_bind_ipi, &ipi, &ipi.port);
    struct evtchn_send s = { .port = ipi.port };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_send, &s), 0);
    long virq = evtchn_bind_virq(VIRQ_DEBUG, 0);
    CHECK(virq > 0);
    const char *log = keys("e");
    LOGGED("'e' pressed: event channels");
    LOGGED("d0: event channels, 2-level");
    LOGGED("unbound");
    LOGGED("interdomain");
    LOGGED("ipi         vcpu 0, pending");
    LOGGED("virq");
    struct evtchn_close c = { .port = ipi.port };
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_close, &c), 0);
    c.port = (u32)virq;
    CHECK_EQ(HC(event_channel_op, EVTCHNOP_close, &c), 0);
}

KEY_TEST(grants)
{
    grant_entry_v1_t *table = alloc_page();
    struct gnttab_setup_table s = { .dom = DOMID_SELF, .nr_frames = 1 };
    unsigned long list[1];
    set_xen_guest_handle(s.frame_list, (xen_pfn_t *)list);
    CHECK_EQ(HC(grant_table_op, GNTTABOP_setup_table, &s, 1), 0);
    CHECK_EQ(map_mfn(table, list[0], PG_DATA), 0);
    u64 *page = alloc_page(), *view = alloc_page();
    CHECK_EQ(HC(update_va_mapping, view, 0, UVMF_INVLPG), 0);
    table[11] = (grant_entry_v1_t){ GTF_permit_access, 0, (u32)virt_to_mfn_of(page) };
    struct gnttab_map_grant_ref m = { .host_addr = (u64)view, .flags = GNTMAP_host_map, .ref = 11 };
    CHECK_EQ(HC(grant_table_op, GNTTABOP_map_grant_ref, &m, 1), 0);
    CHECK_EQ(m.status, GNTST_okay);
    const char *log = keys("g");
    LOGGED("d0: grant table version 1, 1/");
    LOGGED("11 by d0: gfn");
    LOGGED("0 readers, 1 writers");
    struct gnttab_dump_table d = { .dom = DOMID_SELF };
    take_log();
    CHECK_EQ(HC(grant_table_op, GNTTABOP_dump_table, &d, 1), 0);
    CHECK_EQ(d.status, GNTST_okay);
    log = take_log();
    LOGGED("11 by d0: gfn");
    struct gnttab_unmap_grant_ref un = { .host_addr = (u64)view, .handle = m.handle };
    CHECK_EQ(HC(grant_table_op, GNTTABOP_unmap_grant_ref, &un, 1), 0);
    log = keys("g");
    CHECK(strstr(log, "11 by d0") == NULL);
}

static volatile bool stop, runs;
static void spin(void *arg)
{
    (void)arg;
    for (runs = true; !stop; ) {
        __asm__ volatile("pause");
    }
    vcpu1_stop();
}

KEY_TEST(cpus_and_queues)
{
    const char *log;
    bool two = have_vcpu1() && !start_vcpu1(spin, NULL);
    for (u64 end = system_time() + 5000000000UL; two && !runs && system_time() < end;) {
        HC(sched_op, SCHEDOP_yield, 0);
    }
    log = keys("q");
    LOGGED("domain 0: pv");
    LOGGED("vcpu 0: cpu");
    LOGGED("running");
    log = keys("r");
    LOGGED("scheduler: now");
    LOGGED("runs  d0v0 weight");
    log = keys("d");
    LOGGED("'d' pressed");
    LOGGED("CPU 0: domain 0 vCPU 0");
    stop = true;
}

KEY_TEST(the_machine)
{
    const char *log = keys("h");
    LOGGED("key 'r': run queues");
    LOGGED("key 'C': crash");
    log = keys("m");
    LOGGED("memory: ");
    log = keys("t");
    LOGGED("time: ");
    log = keys("i");
    LOGGED("'i' pressed: interrupts");
    log = keys("T");
    LOGGED("'T' pressed");
    log = keys("z\x01\xff");
    LOGGED("no debug key 0x7a");
    LOGGED("no debug key 0x1:");
    LOGGED("no debug key 0xff");
    CHECK_EQ(keys("")[0], 0);
    log = keys("A");
    LOGGED("0 differences");
}

KEY_TEST(errors)
{
    static char many[4096];
    sysctl_for(XEN_SYSCTL_debug_keys)->u.debug_keys.nr_keys = sizeof(many);
    set_xen_guest_handle(sc.u.debug_keys.keys, many);
    CHECK(HC(sysctl, &sc) < 0);
    sysctl_for(XEN_SYSCTL_debug_keys)->u.debug_keys.nr_keys = 1;
    sc.u.debug_keys.keys.p = (char *)0x1000;
    CHECK_EQ(HC(sysctl, &sc), -EFAULT);
    CHECK_EQ(HC(console_io, CONSOLEIO_write, 0x80000000u, many), -E2BIG);
    CHECK_EQ(HC(console_io, CONSOLEIO_write, 0, 0x1000), 0);
    CHECK_EQ(HC(console_io, CONSOLEIO_read, 0, 0x1000), 0);
}

TEST(typed)
{
    static char line[4096];
    u32 have = 0;
    if (!strstr((const char *)start_info->cmd_line, "typed")) {
        return;
    }
    long port = evtchn_bind_virq(VIRQ_CONSOLE, 0);
    CHECK(port > 0);
    port_unmask((u32)port);
    events_on();
    take_log();             /* before somebody types */
    print("guest: type\n");
    /* What cannot be stored stays to be read. */
    CHECK(wait_event((u32)port, 30000000000UL));
    for (u64 end = system_time() + 30000000000UL; have < sizeof(line) - 1 && system_time() < end;) {
        long n = HC(console_io, CONSOLEIO_read, sizeof(line) - 1 - have, 0x1000);
        CHECK(n == -EFAULT || n == 0);
        n = HC(console_io, CONSOLEIO_read, 7, line + have);
        CHECK(n >= 0 && n <= 7);
        have += n > 0 ? (u32)n : 0;
        if (strstr(line, "done\n")) {
            break;
        }
        if (n == 0) {
            HC(sched_op, SCHEDOP_yield, 0);
        }
    }
    events_off();
    CHECK_EQ(strcmp(line, "hello, dom0\n\x01\x01 two are not three\n\x01\x01" "done\n"), 0);
    /* What keys say comes a little later, perhaps from another CPU. */
    const char *log = read_log(false);
    for (u64 end = system_time() + 10000000000UL; !strstr(log, "'q' pressed: domains") && system_time() < end;)
        log = read_log(false);
    LOGGED("'m' pressed: memory");
    LOGGED("'q' pressed: domains");
    LOGGED("serial input to dom0");
}
