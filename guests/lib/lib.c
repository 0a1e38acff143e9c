/* SPDX-License-Identifier: MIT */
/* What all tiny guests share: see tiny.h. */
#include "record.h"
#include "tiny.h"
#include <xen/sysctl.h>

extern const struct test tests_start[], tests_end[];
extern const struct trap_info trap_entries[];
extern char event_entry[], failsafe_entry[], syscall_entry[], vcpu_entry[];
NORETURN void guest_start(struct start_info *si);
void trap_handler(struct trap_regs *r);

struct start_info *start_info;
struct shared_info *shared;
volatile struct trap_seen seen;
volatile u64 trap_resume;
void (*volatile trap_hook)(struct trap_regs *r);
volatile u32 event_count[4096], upcalls;

bool in_domu;
char domu_text[DOMU_TEXT];
unsigned failed_checks;
static unsigned passed, failed;
static u64 next_va, end_va, next_pfn;
static u8 shared_page[PAGE_SIZE] ALIGNED(4096);

/* --- output --- */

/* A line ends in "\r\r\n": lines of the hypervisor's log may come between any two characters of
 * it, and by this end tests/guest/lines.py tells what belongs together. */
void print(const char *fmt, ...)
{
    char buf[512], out[1024];
    size_t n = 0;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(buf, sizeof(buf), fmt, ap);
    va_end(ap);
    if (in_domu) {
        strlcpy(domu_text + strlen(domu_text), buf, sizeof(domu_text) - strlen(domu_text));
        return;
    }
    for (const char *p = buf; *p && n < sizeof(out) - 3; p++) {
        if (*p == '\n') {
            out[n++] = '\r';
            out[n++] = '\r';
        }
        out[n++] = *p;
    }
    hypercall(__HYPERVISOR_console_io, CONSOLEIO_write, n, (u64)out, 0, 0, 0);
}

void check_failed(const char *file, int line, const char *fmt, ...)
{
    char buf[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(buf, sizeof(buf), fmt, ap);
    va_end(ap);
    if (failed_checks++ < 20) {
        print("  %s:%d: %s\n", file, line, buf);
    }
}

void power_off(void)
{
    struct sched_shutdown s = { SHUTDOWN_poweroff };
    for (;;) {
        HC(sched_op, SCHEDOP_shutdown, &s);
    }
}

/* For libgcc-free panics of hv/lib's asserts. */
void panic(const char *fmt, ...)
{
    print("FAIL panic: %s\n", fmt);
    power_off();
}

char *strstr(const char *hay, const char *needle)
{
    size_t n = strlen(needle);
    for (; *hay; hay++) {
        if (strncmp(hay, needle, n) == 0)
            return (char *)hay;
    }
    return NULL;
}

bool on_xen(void)
{
    static char info[1024];
    struct xen_compile_info *c = (void *)info;
    hypercall(__HYPERVISOR_xen_version, XENVER_compile_info, (u64)c, 0, 0, 0, 0);
    return strstr(c->compile_by, "bulkhead") == NULL && strstr(c->compile_domain, "bulkhead") == NULL &&
           strstr(c->compiler, "ulkhead") == NULL;
}

/* --- memory --- */

void *alloc_page(void)
{
    if (next_va >= end_va) {
        print("FAIL out of mapped pages\n");
        power_off();
    }
    void *p = (void *)next_va;
    next_va += PAGE_SIZE;
    memset(p, 0, PAGE_SIZE);
    return p;
}

u64 alloc_pfn(void)
{
    return next_pfn++;
}

/* Frames of tables lie in the mapped region. */
static u64 *table_va(u64 mfn)
{
    u64 pfn = ((volatile u64 *)MACH2PHYS_VIRT_START)[mfn];
    return (u64 *)(VIRT_START + (pfn << PAGE_SHIFT));
}

static u64 *walk(u64 va, unsigned level, u64 *mfn)
{
    u64 *t = (u64 *)start_info->pt_base;
    *mfn = virt_to_mfn_of(t);
    for (unsigned l = 4; l > level; l--) {
        u64 e = t[(va >> (12 + 9 * (l - 1))) & 511];
        if (!(e & PG_P)) {
            return NULL;
        }
        *mfn = (e & 0x000ffffffffff000UL) >> PAGE_SHIFT;
        t = table_va(*mfn);
    }
    return t;
}

u64 *pte_of(u64 va, unsigned level)
{
    u64 mfn, *t = walk(va, level, &mfn);
    return t ? &t[(va >> (12 + 9 * (level - 1))) & 511] : NULL;
}

u64 pte_maddr(u64 va, unsigned level)
{
    u64 mfn;
    return walk(va, level, &mfn) ? (mfn << PAGE_SHIFT) + ((va >> (12 + 9 * (level - 1))) & 511) * 8 : 0;
}

long map_mfn(void *va, u64 mfn, u64 flags)
{
    return HC(update_va_mapping, va, mfn << PAGE_SHIFT | flags, UVMF_INVLPG | UVMF_LOCAL);
}

/* --- exceptions and events --- */

static void take_events(void)
{
    struct vcpu_info *vi = my_info();
    upcalls++;
    vi->evtchn_upcall_pending = 0;
    u64 sel = __atomic_exchange_n(&vi->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
    for (; sel; sel &= sel - 1) {
        unsigned i = ffs64(sel);
        u64 bits = shared->evtchn_pending[i] & ~shared->evtchn_mask[i];
        for (; bits; bits &= bits - 1) {
            u32 port = i * 64 + ffs64(bits);
            port_clear(port);
            event_count[port]++;
        }
    }
}

void trap_handler(struct trap_regs *r)
{
    if (r->vector == 0x100) {
        take_events();
        return;
    }
    if (trap_hook) {
        trap_hook(r);
        return;
    }
    u64 resume = trap_resume;
    if (!resume) {
        print("FAIL unexpected exception %lu error %#lx at %#lx rsp %#lx cr2 %#lx\n", r->vector, r->error,
              r->rip, r->rsp, my_info()->arch.cr2);
        power_off();
    }
    seen = (struct trap_seen){ (s64)r->vector, r->error, r->rip, r->rflags, r->cs, my_info()->arch.cr2 };
    trap_resume = 0;
    r->rip = resume;
}

void events_on(void)
{
    my_info()->evtchn_upcall_mask = 0;
    __asm__ volatile("mfence" ::: "memory");
    if (my_info()->evtchn_upcall_pending) {
        hypercall(__HYPERVISOR_xen_version, XENVER_version, 0, 0, 0, 0, 0);
    }
}

void events_off(void)
{
    my_info()->evtchn_upcall_mask = 1;
    barrier();
}

void port_unmask(u32 port)
{
    struct evtchn_unmask u = { port };
    HC(event_channel_op, EVTCHNOP_unmask, &u);
}

bool port_pending(u32 port) { return test_bit(port, shared->evtchn_pending); }
void port_clear(u32 port) { clear_bit(port, shared->evtchn_pending); }

long evtchn_bind_virq(u32 virq, u32 vcpu)
{
    struct evtchn_bind_virq b = { .virq = virq, .vcpu = vcpu };
    long rc = HC(event_channel_op, EVTCHNOP_bind_virq, &b);
    return rc ? rc : (long)b.port;
}

u64 system_time(void)
{
    volatile struct vcpu_time_info *t = &my_info()->time;
    u32 version;
    u64 ns;
    do {
        version = t->version;
        __asm__ volatile("lfence" ::: "memory");
        u32 lo, hi;
        __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
        u64 delta = ((u64)hi << 32 | lo) - t->tsc_timestamp;
        delta = t->tsc_shift < 0 ? delta >> -t->tsc_shift : delta << t->tsc_shift;
        ns = t->system_time + (u64)(((unsigned __int128)delta * t->tsc_to_system_mul) >> 32);
        __asm__ volatile("lfence" ::: "memory");
    } while ((version & 1) || version != t->version);
    return ns;
}

bool wait_event(u32 port, u64 ns)
{
    u64 end = system_time() + ns;
    events_on();
    while (!event_count[port] && system_time() < end) {
        HC(sched_op, SCHEDOP_yield, 0);
    }
    events_off();
    return event_count[port] != 0;
}

/* --- the second vCPU --- */

bool have_vcpu1(void)
{
    return HC(vcpu_op, VCPUOP_is_up, 1, 0) >= 0;
}

long start_vcpu1(void (*fn)(void *), void *arg)
{
    static struct vcpu_guest_context c;
    static u64 stack[2048] ALIGNED(16);
    u64 *sp = &stack[2048 - 4];
    sp[0] = (u64)fn;
    sp[1] = (u64)arg;
    memset(&c, 0, sizeof(c));
    c.flags = VGCF_in_kernel;
    c.user_regs.rip = (u64)vcpu_entry;
    c.user_regs.rsp = (u64)sp;
    c.user_regs.cs = FLAT_KERNEL_CS;
    c.user_regs.ss = FLAT_KERNEL_SS;
    c.user_regs.rflags = 0x200;
    c.kernel_ss = FLAT_KERNEL_SS;
    c.kernel_sp = (u64)&stack[1024];
    c.event_callback_eip = (u64)event_entry;
    c.failsafe_callback_eip = (u64)failsafe_entry;
    c.ctrlreg[0] = 0x80050033;
    c.ctrlreg[3] = xen_pfn_to_cr3(virt_to_mfn_of((void *)start_info->pt_base));
    for (const struct trap_info *t = trap_entries; t->address; t++) {
        c.trap_ctxt[t->vector] = *t;
    }
    long rc = HC(vcpu_op, VCPUOP_initialise, 1, &c);
    return rc ? rc : HC(vcpu_op, VCPUOP_up, 1, 0);
}

void vcpu1_stop(void)
{
    for (;;) {
        HC(vcpu_op, VCPUOP_down, 1, 0);
    }
}

/* --- start --- */

void guest_init(struct start_info *si)
{
    start_info = si;
    next_va = si->pt_base + (si->nr_pt_frames + 1) * PAGE_SIZE;
    if (next_va <= (u64)si) {
        next_va = (u64)si + PAGE_SIZE;
    }
    for (end_va = next_va; end_va - next_va < MIB(4) && pte_of(end_va, 1) && (*pte_of(end_va, 1) & PG_P);) {
        end_va += PAGE_SIZE;
    }
    next_pfn = ((end_va - VIRT_START) >> PAGE_SHIFT) + (in_domu ? 0 : 1024);
    shared = (struct shared_info *)shared_page;
    map_mfn(shared_page, si->shared_info >> PAGE_SHIFT, PG_DATA);
    HC(set_trap_table, trap_entries);
    struct callback_register event = { CALLBACKTYPE_event, 0, (u64)event_entry };
    struct callback_register failsafe = { CALLBACKTYPE_failsafe, CALLBACKF_mask_events, (u64)failsafe_entry };
    struct callback_register syscall = { CALLBACKTYPE_syscall, CALLBACKF_mask_events, (u64)syscall_entry };
    HC(callback_op, CALLBACKOP_register, &event);
    HC(callback_op, CALLBACKOP_register, &failsafe);
    HC(callback_op, CALLBACKOP_register, &syscall);
}

/* Bulkhead recounts all frames and says so on the console: tests/guest/run reads it. */
static void ask_audit(void)
{
    static char key = 'A';
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_debug_keys, .interface_version = XEN_SYSCTL_INTERFACE_VERSION };
    set_xen_guest_handle(op.u.debug_keys.keys, &key);
    op.u.debug_keys.nr_keys = 1;
    if (!on_xen()) {
        HC(sysctl, &op);
    }
}

void guest_start(struct start_info *si)
{
    guest_init(si);
    print("\nguest: start, %lu pages, %s\n", si->nr_pages, si->cmd_line);
    for (const struct test *t = tests_start; t < tests_end; t++) {
        failed_checks = 0;
        record_clear();
        t->fn();
        events_off();
        trap_hook = NULL;
        record_print();
        print("%s %s\n", failed_checks ? "FAIL" : "PASS", t->name);
        passed += !failed_checks;
        failed += failed_checks != 0;
    }
    ask_audit();
    print("guest: %u passed, %u failed\n", passed, failed);
    power_off();
}
