// links: hv/core/evtchn.c hv/core/evtchn_fifo.c hv/core/evtchn_op.c hv/core/spinlock.c
// SPDX-License-Identifier: MIT
#include "unit.h"
#include "arch.h"
#include "evtchn.h"
#include "hypercall.h"
#include "mm.h"
#include "sched.h"

/* --- the world around --- */
#define NDOM 3
#define NVCPU 3
#define NPAGES 160
static struct domain doms[NDOM];
static struct vcpu vcpus[NDOM][NVCPU], *vcpu_tab[NDOM][NVCPU];
static struct shared_info shinfo[NDOM];
struct domain *dom0 = &doms[0];
static char ram[NPAGES][4096] ALIGNED(4096);
static struct page frames[NPAGES];
struct page *frame_table = frames;
static unsigned unblocked, kicked, poll_woken, pirq_eois, preempts;
static int pirq_bound = -1;
static bool fail_writes, fire_while_binding;

void *mfn_to_virt(mfn_t mfn) { return ram[mfn]; }
mfn_t virt_to_mfn(const void *va) { return (mfn_t)(((const char *)va - ram[0]) / 4096); }
static unsigned fail_at;        /* the n-th allocation from now fails; 0: none */
void *xzalloc(size_t n) { return fail_at && !--fail_at ? NULL : calloc(1, n); }
void xfree(void *p) { free(p); }
void arch_spin_poll(void) { panic("a lock was taken twice"); }
void arch_irq_window(void) { }
void arch_kick_cpu(unsigned cpu) { (void)cpu; kicked++; }
void vcpu_wake(struct vcpu *v) { (void)v; unblocked++; }
void sched_poll_wake(struct domain *d, u32 port) { (void)d; (void)port; poll_woken++; }
bool hypercall_preempt(struct vcpu *v) { (void)v; return preempts && preempts--; }
struct domain *domain_held(domid_t id) { return id < NDOM && doms[id].refs ? &doms[id] : NULL; }
struct domain *domain_get(domid_t id)
{
    struct domain *d = domain_held(id);
    if (d) {
        d->refs++;
    }
    return d;
}
void domain_ref(struct domain *d) { d->refs++; }
void domain_put(struct domain *d) { d->refs--; }
struct domain *domain_get_for(struct vcpu *v, domid_t id, int *err)
{
    if (id == DOMID_SELF) {
        id = v->domain->id;
    }
    *err = id != v->domain->id && !(v->domain->rights & RIGHT_FOREIGN) ? -EPERM : -ESRCH;
    return *err == -EPERM ? NULL : domain_get(id);
}
int pirq_guest_bind(struct vcpu *v, u32 pirq, u32 port, bool share)
{
    (void)share;
    if (v->domain->id != 0 || pirq >= 16) {
        return -EINVAL;
    }
    pirq_bound = (int)pirq;
    if (fire_while_binding) {
        evtchn_pirq_fire(v->domain, port);
    }
    return pirq == 9 ? -EEXIST : 0;
}
void pirq_guest_unbind(struct domain *d, u32 pirq) { (void)d; (void)pirq; pirq_bound = -1; }
int pirq_eoi(struct domain *d, u32 pirq) { (void)d; (void)pirq; pirq_eois++; return 0; }
void pirq_set_cpu(struct domain *d, u32 pirq, unsigned cpu) { (void)d; (void)pirq; (void)cpu; }

static int copy_from(struct vcpu *v, void *dst, u64 src, size_t n)
{
    (void)v;
    if (src < 4096) {
        return -EFAULT;
    }
    memcpy(dst, (void *)src, n);
    return 0;
}
static int copy_to(struct vcpu *v, u64 dst, const void *src, size_t n)
{
    (void)v;
    if (dst < 4096 || fail_writes) {
        return -EFAULT;
    }
    memcpy((void *)dst, src, n);
    return 0;
}
static struct page *get_gfn(struct domain *d, u64 gfn, bool write)
{
    (void)d; (void)write;
    if (gfn == 0 || gfn >= NPAGES) {
        return NULL;
    }
    frames[gfn].refs++;
    return &frames[gfn];
}
static void put_gfn(struct page *pg, bool write) { (void)write; CHECK(pg->refs); pg->refs--; }
static const struct guest_ops ops = { .copy_from = copy_from, .copy_to = copy_to, .get_gfn = get_gfn, .put_gfn = put_gfn };

static void teardown(void)
{
    for (unsigned i = 0; i < NDOM; i++) {
        if (doms[i].evtchn) {
            doms[i].is_dying = true;
            CHECK_EQ(evtchn_domain_close(&doms[i]), 0);
        }
    }
    for (unsigned i = 0; i < NDOM; i++) {
        if (doms[i].evtchn) {
            evtchn_domain_free(&doms[i]);
        }
        CHECK(doms[i].refs <= 1);
    }
    for (unsigned i = 0; i < NPAGES; i++) {
        CHECK_EQ(frames[i].refs, 0);
    }
}

static void setup(void)
{
    memset(doms, 0, sizeof(doms));
    memset(vcpus, 0, sizeof(vcpus));
    memset(shinfo, 0, sizeof(shinfo));
    memset(ram, 0, sizeof(ram));
    unblocked = kicked = poll_woken = pirq_eois = preempts = 0;
    fail_writes = fire_while_binding = false;
    for (unsigned i = 0; i < NDOM; i++) {
        struct domain *d = &doms[i];
        *d = (struct domain){ .id = (domid_t)i, .refs = 1, .ops = &ops, .max_vcpus = NVCPU, .vcpu = vcpu_tab[i],
                              .shared_info = &shinfo[i], .max_evtchn_port = i == 2 ? 200 : 131071,
                              .rights = i == 0 ? RIGHT_CONTROL | RIGHT_CONSOLE | RIGHT_FOREIGN : 0 };
        CHECK_EQ(evtchn_domain_init(d), 0);
        for (unsigned k = 0; k < NVCPU; k++) {
            struct vcpu *v = &vcpus[i][k];
            vcpu_tab[i][k] = v;
            v->domain = d;
            v->id = k;
            v->info = &shinfo[i].vcpu_info[k];
        }
    }
}

static long call(unsigned dom, unsigned cmd, void *arg)
{
    unsigned long a[6] = { cmd, (unsigned long)arg };
    test_cpu_top.curr = &vcpus[dom][0];
    long r;
    do {
        r = do_event_channel_op(&vcpus[dom][0], a);
    } while (r == -ERESTART);
    return r;
}
static long port_op(unsigned dom, unsigned cmd, u32 port) { return call(dom, cmd, &port); }
static int listen_to(unsigned dom, unsigned in, domid_t remote)
{
    struct evtchn_alloc_unbound op = { .dom = (domid_t)in, .remote_dom = remote };
    long r = call(dom, EVTCHNOP_alloc_unbound, &op);
    return r ? (int)r : (int)op.port;
}
static int bind_to(unsigned dom, domid_t remote, u32 port)
{
    struct evtchn_bind_interdomain op = { .remote_dom = remote, .remote_port = port };
    long r = call(dom, EVTCHNOP_bind_interdomain, &op);
    return r ? (int)r : (int)op.local_port;
}
static int bind_virq(unsigned dom, u32 virq, u32 vcpu)
{
    struct evtchn_bind_virq op = { .virq = virq, .vcpu = vcpu };
    long r = call(dom, EVTCHNOP_bind_virq, &op);
    return r ? (int)r : (int)op.port;
}
static int bind_ipi(unsigned dom, u32 vcpu)
{
    struct evtchn_bind_ipi op = { .vcpu = vcpu };
    long r = call(dom, EVTCHNOP_bind_ipi, &op);
    return r ? (int)r : (int)op.port;
}
static int bind_pirq(unsigned dom, u32 pirq)
{
    struct evtchn_bind_pirq op = { .pirq = pirq };
    long r = call(dom, EVTCHNOP_bind_pirq, &op);
    return r ? (int)r : (int)op.port;
}
static struct evtchn_status status(unsigned dom, unsigned of, u32 port)
{
    struct evtchn_status op = { .dom = (domid_t)of, .port = port };
    CHECK_EQ(call(dom, EVTCHNOP_status, &op), 0);
    return op;
}
static bool pending(unsigned dom, u32 port) { return evtchn_is_pending(&doms[dom], port) == 1; }
static long move(unsigned dom, u32 port, u32 vcpu)
{
    struct evtchn_bind_vcpu op = { .port = port, .vcpu = vcpu };
    return call(dom, EVTCHNOP_bind_vcpu, &op);
}

/* --- states --- */

TEST(ports_are_small_and_reused)
{
    setup();
    for (int i = 1; i <= 300; i++) {
        CHECK_EQ(bind_ipi(1, 0), i);
    }
    CHECK_EQ(port_op(1, EVTCHNOP_close, 7), 0);
    CHECK_EQ(port_op(1, EVTCHNOP_close, 3), 0);
    CHECK_EQ(bind_ipi(1, 1), 3);
    CHECK_EQ(bind_ipi(1, 1), 7);
    CHECK_EQ(bind_ipi(1, 1), 301);
    for (int i = 1; i <= 200; i++) {
        CHECK_EQ(bind_ipi(2, 0), i);
    }
    CHECK_EQ(bind_ipi(2, 0), -ENOSPC);
    teardown();
}

TEST(interdomain)
{
    setup();
    int a = listen_to(1, DOMID_SELF, 0);
    CHECK_EQ(a, 1);
    CHECK_EQ(status(1, 1, 1).status, EVTCHNSTAT_unbound);
    CHECK_EQ(port_op(1, EVTCHNOP_send, 1), 0);
    CHECK_EQ(bind_to(2, 1, 1), -EINVAL);            /* waits for domain 0 */
    CHECK_EQ(bind_to(0, 1, 2), -EINVAL);
    CHECK_EQ(bind_to(0, 1, 5000000), -EINVAL);
    CHECK_EQ(bind_to(0, 77, 1), -ESRCH);
    bind_ipi(0, 0);
    int b = bind_to(0, 1, 1);
    CHECK_EQ(b, 2);
    CHECK(pending(0, 2));
    CHECK_EQ(bind_to(0, 1, 1), -EINVAL);
    struct evtchn_status s = status(0, 1, 1);
    CHECK_EQ(s.status, EVTCHNSTAT_interdomain);
    CHECK_EQ(s.u.interdomain.dom, 0);
    CHECK_EQ(s.u.interdomain.port, 2);
    CHECK(!pending(1, 1));
    CHECK_EQ(port_op(0, EVTCHNOP_send, 2), 0);
    CHECK(pending(1, 1));
    CHECK_EQ(shinfo[1].vcpu_info[0].evtchn_upcall_pending, 1);
    CHECK_EQ(shinfo[1].vcpu_info[0].evtchn_pending_sel, 1);
    /* the guest closes: the other end waits for it again */
    CHECK_EQ(port_op(1, EVTCHNOP_close, 1), 0);
    CHECK(!(shinfo[1].evtchn_pending[0] & 2));
    s = status(0, 0, 2);
    CHECK_EQ(s.status, EVTCHNSTAT_unbound);
    CHECK_EQ(s.u.unbound.dom, 1);
    CHECK_EQ(bind_to(1, 0, 2), 1);
    CHECK_EQ(port_op(1, EVTCHNOP_send, 1), 0);
    /* and its death is the same */
    doms[1].is_dying = true;
    CHECK_EQ(evtchn_domain_close(&doms[1]), 0);
    CHECK_EQ(status(0, 0, 2).status, EVTCHNSTAT_unbound);
    CHECK_EQ(status(0, 0, 2).u.unbound.dom, 1);
    CHECK_EQ(listen_to(0, 1, 0), -EBUSY);
    CHECK_EQ(port_op(0, EVTCHNOP_send, 2), 0);
    CHECK_EQ(port_op(0, EVTCHNOP_close, 2), 0);
    CHECK_EQ(port_op(0, EVTCHNOP_close, 2), -EINVAL);
    teardown();
}

TEST(loopback)
{
    setup();
    int a = listen_to(1, DOMID_SELF, DOMID_SELF), b = bind_to(1, DOMID_SELF, (u32)a);
    CHECK(a == 1 && b == 2);
    CHECK_EQ(bind_to(1, DOMID_SELF, 3), -EINVAL);   /* the port that it would get itself */
    shinfo[1].evtchn_pending[0] = 0;
    CHECK_EQ(port_op(1, EVTCHNOP_send, 1), 0);
    CHECK_EQ(shinfo[1].evtchn_pending[0], 4);
    CHECK_EQ(port_op(1, EVTCHNOP_close, 2), 0);
    CHECK_EQ(status(1, 1, 1).status, EVTCHNSTAT_unbound);
    teardown();
}

TEST(virqs)
{
    setup();
    CHECK_EQ(bind_virq(1, NR_VIRQS, 0), -EINVAL);
    CHECK_EQ(bind_virq(1, VIRQ_TIMER, NVCPU), -ENOENT);
    CHECK_EQ(bind_virq(1, VIRQ_DOM_EXC, 0), -EPERM);
    CHECK_EQ(bind_virq(0, VIRQ_DOM_EXC, 1), -EINVAL);
    CHECK_EQ(bind_virq(1, VIRQ_TIMER, 1), 1);
    CHECK_EQ(bind_virq(1, VIRQ_TIMER, 1), -EEXIST);
    CHECK_EQ(bind_virq(1, VIRQ_TIMER, 2), 2);
    virq_to_vcpu(&vcpus[1][0], VIRQ_TIMER);
    CHECK_EQ(shinfo[1].evtchn_pending[0], 0);
    virq_to_vcpu(&vcpus[1][2], VIRQ_TIMER);
    CHECK_EQ(shinfo[1].evtchn_pending[0], 4);
    CHECK_EQ(shinfo[1].vcpu_info[2].evtchn_upcall_pending, 1);
    CHECK_EQ(move(1, 1, 0), -EINVAL);
    CHECK_EQ(port_op(1, EVTCHNOP_send, 1), -EINVAL);
    CHECK_EQ(port_op(1, EVTCHNOP_close, 1), 0);
    CHECK_EQ(bind_virq(1, VIRQ_TIMER, 1), 1);
    /* global ones */
    CHECK_EQ(bind_virq(0, VIRQ_DOM_EXC, 0), 1);
    virq_global(VIRQ_DOM_EXC);
    CHECK(pending(0, 1));
    CHECK_EQ(move(0, 1, 2), 0);
    CHECK_EQ(virq_set_handler(&doms[1], VIRQ_TIMER), -EINVAL);
    CHECK_EQ(virq_set_handler(&doms[1], VIRQ_DOM_EXC), 0);
    CHECK_EQ(bind_virq(1, VIRQ_DOM_EXC, 0), 3);
    shinfo[0].evtchn_pending[0] = 0;
    virq_global(VIRQ_DOM_EXC);
    CHECK(pending(1, 3) && !pending(0, 1));
    doms[1].is_dying = true;
    CHECK_EQ(evtchn_domain_close(&doms[1]), 0);
    CHECK_EQ(virq_set_handler(&doms[1], VIRQ_DOM_EXC), -EBUSY);
    virq_global(VIRQ_DOM_EXC);
    CHECK(pending(0, 1));
    CHECK_EQ(shinfo[0].vcpu_info[2].evtchn_upcall_pending, 1);
    CHECK_EQ(port_op(0, EVTCHNOP_close, 1), 0);
    CHECK_EQ(vcpus[0][0].virq_port[VIRQ_DOM_EXC], 0);
    teardown();
}

TEST(pirqs)
{
    setup();
    CHECK_EQ(bind_pirq(1, 3), -EINVAL);
    CHECK_EQ(bind_pirq(0, 16), -EINVAL);
    CHECK_EQ(bind_pirq(0, 9), -EEXIST);
    CHECK_EQ(bind_pirq(0, 3), 1);
    CHECK(!pending(0, 1));
    evtchn_pirq_fire(&doms[0], 1);
    CHECK(pending(0, 1));
    CHECK_EQ(port_op(0, EVTCHNOP_unmask, 1), 0);
    CHECK_EQ(pirq_eois, 1);
    CHECK_EQ(port_op(0, EVTCHNOP_send, 1), -EINVAL);
    CHECK_EQ(port_op(0, EVTCHNOP_close, 1), 0);
    CHECK_EQ(pirq_bound, -1);
    evtchn_pirq_fire(&doms[0], 1);
    CHECK_EQ(shinfo[0].evtchn_pending[0], 0);
    fire_while_binding = true;
    CHECK_EQ(bind_pirq(0, 4), 1);
    CHECK(pending(0, 1));
    teardown();
}

TEST(errors)
{
    setup();
    CHECK_EQ(call(1, 14, NULL), -ENOSYS);
    CHECK_EQ(call(1, 99, NULL), -ENOSYS);
    for (unsigned cmd = 0; cmd < 14; cmd++) {
        CHECK_EQ(call(1, cmd, NULL), -EFAULT);
    }
    u32 bad[] = { 0, 1, 127, 128, 4096, 131072, 0xffffffff };
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        CHECK_EQ(port_op(1, EVTCHNOP_send, bad[i]), -EINVAL);
        CHECK_EQ(port_op(1, EVTCHNOP_close, bad[i]), -EINVAL);
        CHECK_EQ(port_op(1, EVTCHNOP_unmask, bad[i]), -EINVAL);
        CHECK_EQ(move(1, bad[i], 0), -EINVAL);
        CHECK_EQ(evtchn_is_pending(&doms[1], bad[i]), -EINVAL);
    }
    CHECK_EQ(listen_to(1, 0, 1), -EPERM);
    CHECK_EQ(listen_to(0, 55, 1), -ESRCH);
    CHECK_EQ(bind_ipi(1, NVCPU), -ENOENT);
    /* a port that the guest cannot be told is given back */
    fail_writes = true;
    CHECK_EQ(bind_ipi(1, 0), -EFAULT);
    CHECK_EQ(listen_to(1, DOMID_SELF, 0), -EFAULT);
    fail_writes = false;
    CHECK_EQ(bind_ipi(1, 0), 1);
    CHECK_EQ(move(1, 1, 0), -EINVAL);
    struct evtchn_set_priority pr = { .port = 1, .priority = 3 };
    CHECK_EQ(call(1, EVTCHNOP_set_priority, &pr), -ENOSYS);
    teardown();
}

TEST(reset_and_death_are_restartable)
{
    setup();
    for (int i = 0; i < 100; i++) {
        listen_to(1, DOMID_SELF, 2);
        bind_to(2, 1, (u32)i + 1);
    }
    struct evtchn_reset op = { .dom = DOMID_SELF };
    preempts = 3;
    CHECK_EQ(call(1, EVTCHNOP_reset, &op), 0);
    CHECK_EQ(preempts, 0);
    for (u32 i = 1; i <= 100; i++) {
        CHECK_EQ(status(0, 1, i).status, EVTCHNSTAT_closed);
        CHECK_EQ(status(0, 2, i).status, EVTCHNSTAT_unbound);
        CHECK_EQ(bind_to(1, 2, i), (int)i);
    }
    doms[1].is_dying = doms[2].is_dying = true;     /* two die at once, piece by piece */
    preempts = 5;
    while (evtchn_domain_close(&doms[1]) | evtchn_domain_close(&doms[2])) {
    }
    CHECK_EQ(doms[1].refs, 1);
    CHECK_EQ(doms[2].refs, 1);
    teardown();
}

TEST(two_level_masks)
{
    setup();
    CHECK_EQ(bind_ipi(1, 1), 1);
    shinfo[1].evtchn_mask[0] = 2;
    doms[1].poll_mask[0] = 1;
    vcpus[1][1].pause_flags = vcpus[1][2].pause_flags = VPF_BLOCKED;
    CHECK_EQ(port_op(1, EVTCHNOP_send, 1), 0);
    CHECK_EQ(poll_woken, 1);
    CHECK(pending(1, 1));
    CHECK_EQ(shinfo[1].vcpu_info[1].evtchn_upcall_pending, 0);
    CHECK_EQ(port_op(1, EVTCHNOP_send, 1), 0);
    CHECK_EQ(poll_woken, 1);
    CHECK_EQ(port_op(1, EVTCHNOP_unmask, 1), 0);
    CHECK_EQ(shinfo[1].vcpu_info[1].evtchn_upcall_pending, 1);
    CHECK_EQ(shinfo[1].vcpu_info[1].evtchn_pending_sel, 1);
    CHECK_EQ(unblocked, 1);
    CHECK_EQ(vcpus[1][1].pause_flags, 0);
    evtchn_vcpu_info_moved(&vcpus[1][2]);
    CHECK_EQ(shinfo[1].vcpu_info[2].evtchn_pending_sel, ~0UL);
    CHECK_EQ(unblocked, 2);
    teardown();
}

/* --- FIFO: the guest's half, as the ABI describes it --- */
#define P_ 0x80000000u
#define M_ 0x40000000u
#define L_ 0x20000000u
static u32 heads[NVCPU][16];
static struct evtchn_fifo_control_block *cb(unsigned vcpu) { return (void *)(ram[1] + vcpu * 128); }
static u32 *word(u32 port) { return (u32 *)ram[10 + port / 1024] + port % 1024; }

static long init_control(unsigned dom, u64 gfn, u32 offset, u32 vcpu)
{
    struct evtchn_init_control op = { .control_gfn = gfn, .offset = offset, .vcpu = vcpu };
    long r = call(dom, EVTCHNOP_init_control, &op);
    if (!r) {
        CHECK_EQ(op.link_bits, 17);
    }
    return r;
}
static long expand(unsigned dom, u64 gfn)
{
    struct evtchn_expand_array op = { .array_gfn = gfn };
    return call(dom, EVTCHNOP_expand_array, &op);
}
static void fifo_on(unsigned dom)
{
    memset(heads, 0, sizeof(heads));
    for (unsigned v = 0; v < NVCPU; v++) {
        CHECK_EQ(init_control(dom, 1, v * 128, v), 0);
    }
    CHECK_EQ(expand(dom, 10), 0);
}
/* The next port that vCPU v would handle, 0: none. */
static u32 consume(unsigned v)
{
    shinfo[1].vcpu_info[v].evtchn_upcall_pending = 0;
    while (cb(v)->ready) {
        unsigned q = ffs64(cb(v)->ready);
        u32 port = heads[v][q] ? heads[v][q] : cb(v)->head[q];
        u32 w = *word(port);
        *word(port) = w & ~(L_ | 0x1ffff);
        heads[v][q] = w & 0x1ffff;
        if (!heads[v][q]) {
            cb(v)->ready &= ~(1u << q);
        }
        if ((*word(port) & (P_ | M_)) == P_) {
            *word(port) &= ~P_;
            return port;
        }
    }
    return 0;
}

TEST(fifo_queue)
{
    setup();
    fifo_on(1);
    for (u32 i = 1; i <= 8; i++) {
        CHECK_EQ(bind_ipi(1, i <= 4 ? 0 : 1), (int)i);
    }
    port_op(1, EVTCHNOP_send, 3);
    port_op(1, EVTCHNOP_send, 1);
    port_op(1, EVTCHNOP_send, 3);
    port_op(1, EVTCHNOP_send, 4);
    port_op(1, EVTCHNOP_send, 6);
    CHECK_EQ(shinfo[1].vcpu_info[0].evtchn_upcall_pending, 1);
    CHECK_EQ(cb(0)->ready, 1u << 7);
    CHECK_EQ(consume(0), 3);
    port_op(1, EVTCHNOP_send, 3);                   /* at the end again */
    CHECK_EQ(consume(0), 1);
    CHECK_EQ(consume(0), 4);
    CHECK_EQ(consume(0), 3);
    CHECK_EQ(consume(0), 0);
    CHECK_EQ(consume(1), 6);
    port_op(1, EVTCHNOP_send, 3);                   /* it is the old tail itself */
    CHECK_EQ(consume(0), 3);
    port_op(1, EVTCHNOP_send, 2);
    CHECK_EQ(consume(0), 2);
    /* masked: pending only; unmask links */
    *word(2) |= M_;
    port_op(1, EVTCHNOP_send, 2);
    CHECK_EQ(consume(0), 0);
    CHECK(pending(1, 2));
    CHECK_EQ(port_op(1, EVTCHNOP_unmask, 2), 0);
    CHECK_EQ(consume(0), 2);
    teardown();
}

TEST(fifo_priorities)
{
    setup();
    fifo_on(1);
    for (u32 i = 1; i <= 3; i++) {
        bind_ipi(1, 0);
        struct evtchn_set_priority op = { .port = i, .priority = 10 - i };
        CHECK_EQ(call(1, EVTCHNOP_set_priority, &op), 0);
    }
    struct evtchn_set_priority op = { .port = 1, .priority = 16 };
    CHECK_EQ(call(1, EVTCHNOP_set_priority, &op), -EINVAL);
    for (u32 i = 1; i <= 3; i++) {
        port_op(1, EVTCHNOP_send, i);
    }
    CHECK_EQ(consume(0), 3);
    CHECK_EQ(consume(0), 2);
    CHECK_EQ(consume(0), 1);
    CHECK_EQ(consume(0), 0);
    teardown();
}

TEST(fifo_port_moves_between_queues)
{
    setup();
    fifo_on(1);
    for (u32 i = 1; i <= 3; i++) {
        CHECK_EQ(listen_to(1, DOMID_SELF, 0), (int)i);
        CHECK_EQ(bind_to(0, 1, i), (int)i);
    }
    port_op(0, EVTCHNOP_send, 1);
    CHECK_EQ(consume(0), 1);                        /* 1 is the tail of vCPU 0's queue */
    CHECK_EQ(move(1, 1, 1), 0);
    port_op(0, EVTCHNOP_send, 1);                   /* now linked on vCPU 1's */
    port_op(0, EVTCHNOP_send, 2);                   /* must not be appended there */
    CHECK_EQ(consume(0), 2);
    CHECK_EQ(consume(1), 1);
    CHECK_EQ(consume(1), 0);
    /* still linked while it moves: it comes where it was linked */
    port_op(0, EVTCHNOP_send, 1);
    CHECK_EQ(move(1, 1, 2), 0);
    port_op(0, EVTCHNOP_send, 1);
    CHECK_EQ(consume(2), 0);
    CHECK_EQ(consume(1), 1);
    port_op(0, EVTCHNOP_send, 1);
    CHECK_EQ(consume(2), 1);
    teardown();
}

TEST(fifo_random_against_model)
{
    setup();
    fifo_on(1);
    u32 raised[41] = { 0 };
    unsigned seed = 7;
    for (u32 i = 1; i <= 40; i++) {
        CHECK_EQ(listen_to(1, DOMID_SELF, 0), (int)i);
        CHECK_EQ(bind_to(0, 1, i), (int)i);
    }
    for (unsigned n = 0; n < 20000; n++) {
        seed = seed * 1103515245 + 12345;
        u32 port = 1 + (seed >> 16) % 40, what = (seed >> 8) % 16;
        if (what < 6) {
            port_op(0, EVTCHNOP_send, port);
            raised[port] = 1;
        } else if (what < 13) {
            u32 got = consume(what % NVCPU);
            CHECK(!got || raised[got]);
            raised[got] = 0;
        } else if (what == 13) {
            move(1, port, seed >> 28);
        } else if (what == 14) {
            *word(port) |= M_;
        } else {
            port_op(1, EVTCHNOP_unmask, port);
        }
    }
    for (u32 i = 1; i <= 40; i++) {
        port_op(1, EVTCHNOP_unmask, i);
    }
    for (unsigned v = 0; v < NVCPU; v++) {
        for (u32 got; (got = consume(v));) {
            CHECK(raised[got]);
            raised[got] = 0;
        }
    }
    for (u32 i = 1; i <= 40; i++) {
        CHECK_EQ(raised[i], 0);                     /* nothing was lost */
    }
    teardown();
}

TEST(fifo_hostile_words)
{
    setup();
    fifo_on(1);
    unsigned seed = 3;
    for (u32 i = 1; i <= 40; i++) {
        listen_to(1, DOMID_SELF, 0);
        bind_to(0, 1, i);
    }
    for (unsigned n = 0; n < 20000; n++) {
        seed = seed * 1103515245 + 12345;
        u32 port = 1 + (seed >> 16) % 40;
        switch ((seed >> 8) % 4) {
        case 0:
            *word(port) = seed * 2654435761u;
            break;
        case 1:
            ((u32 *)cb(n % NVCPU))[(seed >> 10) % 18] = seed;
            break;
        case 2:
            move(1, port, seed >> 29);
            break;
        default:
            port_op(0, EVTCHNOP_send, port);
        }
    }
    teardown();
}

TEST(fifo_control)
{
    setup();
    CHECK_EQ(expand(1, 10), -EOPNOTSUPP);
    CHECK_EQ(init_control(1, 1, 4, 0), -EINVAL);
    CHECK_EQ(init_control(1, 1, 4096 - 64, 0), -EINVAL);
    CHECK_EQ(init_control(1, 1, 0xfffffff8, 0), -EINVAL);
    CHECK_EQ(init_control(1, 0, 0, 0), -EINVAL);
    CHECK_EQ(init_control(1, 1, 0, NVCPU), -ENOENT);
    CHECK_EQ(bind_ipi(1, 0), 1);
    CHECK_EQ(bind_ipi(1, 0), 2);
    port_op(1, EVTCHNOP_send, 2);                   /* pending in 2-level */
    CHECK_EQ(init_control(1, 1, 0, 0), 0);
    CHECK_EQ(init_control(1, 1, 128, 0), -EINVAL);
    CHECK_EQ(init_control(1, 1, 4096 - 72, 1), 0);
    CHECK(pending(1, 2) && !pending(1, 1));
    port_op(1, EVTCHNOP_send, 1);                   /* has no word yet */
    CHECK(pending(1, 1));
    CHECK_EQ(expand(1, 0), -EINVAL);
    CHECK_EQ(expand(1, 10), 0);
    CHECK_EQ(consume(0), 1);
    CHECK_EQ(consume(0), 2);
    CHECK_EQ(consume(0), 0);
    for (u32 i = 1; i < 128; i++) {
        CHECK_EQ(expand(1, 10 + i), 0);
    }
    CHECK_EQ(expand(1, 10), -ENOSPC);
    for (int i = 3; i <= 5000; i++) {
        CHECK_EQ(bind_ipi(1, 0), i);
    }
    port_op(1, EVTCHNOP_send, 5000);
    memset(heads, 0, sizeof(heads));
    CHECK_EQ(consume(0), 5000);
    struct evtchn_reset op = { .dom = 1 };
    preempts = 2;
    CHECK_EQ(call(0, EVTCHNOP_reset, &op), 0);      /* by another: the ABI stays */
    CHECK_EQ(frames[10].refs, 1);
    CHECK_EQ(call(1, EVTCHNOP_reset, &op), 0);
    CHECK_EQ(frames[10].refs, 0);
    CHECK_EQ(frames[1].refs, 0);
    memset(&shinfo[1], 0, sizeof(shinfo[1]));
    CHECK_EQ(bind_ipi(1, 0), 1);
    port_op(1, EVTCHNOP_send, 1);
    CHECK_EQ(shinfo[1].evtchn_pending[0], 2);
    CHECK_EQ(init_control(1, 1, 0, 0), 0);
    teardown();
}

/* --- no memory (what is not given back the leak checker tells) --- */

TEST(failed_allocations)
{
    setup();
    for (unsigned n = 1; n <= 3; n++) {
        struct domain d = { .id = 9, .refs = 1, .ops = &ops, .max_vcpus = NVCPU, .vcpu = vcpu_tab[1], .max_evtchn_port = 1023 };
        fail_at = n;
        CHECK_EQ(evtchn_domain_init(&d), -ENOMEM);
        CHECK_EQ(fail_at, 0);
        if (d.evtchn) {
            evtchn_domain_free(&d);
        }
        CHECK(!d.evtchn);
        CHECK_EQ(evtchn_dump(&d, 0), 0);        /* none: says nothing */
    }
    int port = 0;
    for (fail_at = 0; port >= 0;) {             /* up to the next bucket of ports */
        fail_at = 1;
        port = listen_to(1, 1, 1);
    }
    CHECK_EQ(port, -ENOMEM);
    fail_at = 1;
    struct evtchn_bind_ipi ipi = { .vcpu = 0 };
    CHECK_EQ(call(1, EVTCHNOP_bind_ipi, &ipi), -ENOMEM);
    fail_at = 1;
    struct evtchn_bind_virq virq = { .virq = VIRQ_TIMER, .vcpu = 0 };
    CHECK_EQ(call(1, EVTCHNOP_bind_virq, &virq), -ENOMEM);
    fail_at = 0;
    CHECK(listen_to(1, 1, 1) > 0);
    u32 at = 0, steps = 0;
    while ((at = evtchn_dump(&doms[1], at)) != 0)
        steps++;
    CHECK(steps > 1);
    CHECK_EQ(evtchn_dump(&doms[1], 70000), 0);      /* of a dump of another one */
    teardown();
}
