/* SPDX-License-Identifier: MIT */
/*
 * A QEMU plugin that counts what a machine executes, by kind of instruction, by CPU and by
 * where the instruction lies, between the marks of bench/mark.h:
 *
 *   qemu-system-x86_64 ... -icount shift=0,sleep=off -plugin build/plugin/count.so,out=FILE
 *
 * FILE is a CSV, one line for each row, CPU and place in which anything was counted:
 *   all      the whole run
 *   start    what came before the first instruction in `kernel`: dom0's
 *   7        row 7: sums over `times` passes from its MARK_BEGIN to its MARK_END
 *   7.median for each counter the middle of the passes, all CPUs together
 *   2050.1   from row MARK_SERIES on, each pass for itself as well, all CPUs together
 *
 * place: `hv`, Xen's and Bulkhead's part of the address space, 0xffff8000_00000000 to
 * 0xffff87ff_ffffffff, which no PV guest has code in; `kernel`, the rest of the upper half;
 * `user`, the lower half (and, before paging, everything). What is privileged counts as
 * the machine's own only under `hv` (on bare hardware: `kernel`): in a PV guest it traps.
 *
 * cpu: tells backend and guest apart, whose kernels lie at the same addresses: give dom0
 * one vCPU on CPU 0 (dom0_max_vcpus=1 dom0_vcpus_pin), the guest its vCPU on CPU 1
 * (cpus="1" in its configuration), the machine -smp 2. `hv` on either CPU is the
 * hypervisor, the rest of CPU 0 the backend, the rest of CPU 1 the guest.
 *
 * -icount runs all CPUs in one thread, which the counters rely on.
 */
#include "qemu_plugin.h"
#include "../../bench/mark.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

PLUGIN_EXPORT int qemu_plugin_version = PLUGIN_API_VERSION;

/* entries: into `hv` from the guests (world switches), or from `user` into `kernel`.
 * interrupts: ends of interrupt written to the local APIC. */
#define COUNTERS X(insns) X(entries) X(cr3) X(cr4) X(invlpg) X(interrupts) X(locked) X(wrmsr) X(rdmsr) \
    X(iret) X(sysret) X(io) X(hlt)
#define X(name) name,
enum counter { COUNTERS N_COUNTERS };
#undef X
#define X(name) #name,
static const char *const counter_names[] = { COUNTERS };
#undef X

enum place { USER, KERNEL, HV, N_PLACES };
static const char *const place_names[] = { "user", "kernel", "hv" };
#define MAX_CPUS 8

typedef uint64_t counts_t[MAX_CPUS][N_PLACES][N_COUNTERS];

/* `now` counts since the last change of CPU or place, `all` up to it. */
static uint64_t now[N_COUNTERS];
static counts_t all, start;
static bool started;
static unsigned current_cpu;
static enum place place[MAX_CPUS];
typedef uint64_t pass_t[N_PLACES][N_COUNTERS];
/* An end without a begin ends what began at power-on: `begin` is 0. */
static struct row { counts_t begin, sum; uint64_t times; bool closed; pass_t *passes; } *rows[MARK_ROWS];
static const char *out_path;

static void settle(void)
{
    uint64_t *to = all[current_cpu][place[current_cpu]];
    for (unsigned i = 0; i < N_COUNTERS; i++) {
        to[i] += now[i];
        now[i] = 0;
    }
}

static void on_block(unsigned cpu, void *data)
{
    enum place to = (enum place)(uintptr_t)data;
    if (cpu == current_cpu && to == place[cpu])
        return;
    settle();
    if (to == KERNEL && !started) {
        started = true;
        memcpy(start, all, sizeof(all));
    }
    now[entries] = to > place[cpu];
    place[cpu] = to;
    current_cpu = cpu;
}

static void end_pass(struct row *row)
{
    row->passes = realloc(row->passes, (row->times + 1) * sizeof(pass_t));
    if (!row->passes)
        abort();
    memset(row->passes[row->times], 0, sizeof(pass_t));
    for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++) {
        for (unsigned p = 0; p < N_PLACES; p++) {
            for (unsigned i = 0; i < N_COUNTERS; i++) {
                uint64_t n = all[cpu][p][i] - row->begin[cpu][p][i];
                row->sum[cpu][p][i] += n;
                row->passes[row->times][p][i] += n;
            }
        }
    }
    row->times++;
    row->closed = true;
}

static void on_mark(unsigned cpu, void *data)
{
    (void)cpu;
    uintptr_t mark = (uintptr_t)data;
    unsigned n = mark % MARK_ROWS;
    struct row *row = rows[n];
    settle();
    if (!row && !(row = rows[n] = calloc(1, sizeof(*row))))
        abort();
    if (!(mark & MARK_IS_END)) {
        memcpy(row->begin, all, sizeof(all));
        row->closed = false;
    } else if (!row->closed) {
        end_pass(row);
    }
}

static void on_store(unsigned cpu, uint32_t info, uint64_t vaddr, void *data)
{
    (void)cpu;
    (void)data;
    if ((vaddr & 0xfff) == 0xb0) {
        struct qemu_plugin_hwaddr *h = qemu_plugin_get_hwaddr(info, vaddr);
        if (h && qemu_plugin_hwaddr_is_io(h) && qemu_plugin_hwaddr_phys_addr(h) == 0xfee000b0)
            now[interrupts]++;
    }
}

/* The kind of an instruction, insns if of none; `*store`: one that may write to the APIC. */
static enum counter classify(const uint8_t *p, size_t size, bool *store)
{
    const uint8_t *end = p + size;
    bool lock = false, small = false, rex_w = false;
    for (; p < end; p++) {
        if (*p == 0xf0) {
            lock = true;
        } else if (*p == 0x66) {
            small = true;
        } else if (*p >= 0x40 && *p <= 0x4f) {
            rex_w = *p & 8;
        } else if (!memchr("\x67\xf2\xf3\x2e\x36\x3e\x26\x64\x65", *p, 9)) {
            break;
        }
    }
    if (lock)
        return locked;
    uint8_t op = p < end ? p[0] : 0, next = p + 1 < end ? p[1] : 0, modrm = p + 2 < end ? p[2] : 0;
    *store = !small && !rex_w && (op == 0x89 || op == 0xc7 || op == 0xa3);
    switch (op) {
    case 0x86: case 0x87:
        return next < 0xc0 ? locked : insns;
    case 0xcf:
        return iret;
    case 0xf4:
        return hlt;
    case 0x6c: case 0x6d: case 0x6e: case 0x6f:
    case 0xe4: case 0xe5: case 0xe6: case 0xe7: case 0xec: case 0xed: case 0xee: case 0xef:
        return io;
    case 0x0f:
        break;
    default:
        return insns;
    }
    switch (next) {
    case 0x01:
        return modrm < 0xc0 && (modrm >> 3 & 7) == 7 ? invlpg : insns;
    case 0x07:
        return sysret;
    case 0x22:
        return (modrm >> 3 & 7) == 3 ? cr3 : (modrm >> 3 & 7) == 4 ? cr4 : insns;
    case 0x30:
        return wrmsr;
    case 0x32:
        return rdmsr;
    }
    return insns;
}

static uint32_t mark_of(const uint8_t *p, size_t size)
{
    uint32_t disp = 0;
    if (size == 8 && !memcmp(p, "\x0f\x1f\x84\x00", 4))
        memcpy(&disp, p + 4, 4);
    return (disp & 0xffff0000) == MARK_MAGIC ? disp : 0;
}

static void on_translate(uint64_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    uint64_t at = qemu_plugin_tb_vaddr(tb);
    enum place in = at >> 43 == 0xffff800000000000 >> 43 ? HV : at >> 63 ? KERNEL : USER;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_NO_REGS, (void *)(uintptr_t)in);
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        const uint8_t *bytes = qemu_plugin_insn_data(insn);
        size_t size = qemu_plugin_insn_size(insn);
        uint32_t mark = mark_of(bytes, size);
        if (mark) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, QEMU_PLUGIN_NO_REGS, (void *)(uintptr_t)mark);
            continue;
        }
        bool store = false;
        enum counter kind = classify(bytes, size, &store);
        qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_ADD_U64, &now[insns], 1);
        if (kind != insns)
            qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_ADD_U64, &now[kind], 1);
        if (store && in != USER)
            qemu_plugin_register_vcpu_mem_cb(insn, on_store, QEMU_PLUGIN_NO_REGS, QEMU_PLUGIN_WRITE, NULL);
    }
}

static void write_line(FILE *f, const char *row, uint64_t times, const char *cpu, enum place p,
                       const uint64_t *counts)
{
    uint64_t any = 0;
    for (unsigned i = 0; i < N_COUNTERS; i++)
        any |= counts[i];
    if (!any)
        return;
    fprintf(f, "%s,%lu,%s,%s", row, times, cpu, place_names[p]);
    for (unsigned i = 0; i < N_COUNTERS; i++)
        fprintf(f, ",%lu", counts[i]);
    fprintf(f, "\n");
}

static void write_sums(FILE *f, const char *row, uint64_t times, counts_t counts)
{
    for (unsigned c = 0; c < MAX_CPUS; c++) {
        char cpu[8];
        snprintf(cpu, sizeof(cpu), "%u", c);
        for (unsigned p = 0; p < N_PLACES; p++)
            write_line(f, row, times, cpu, p, counts[c][p]);
    }
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void write_medians(FILE *f, const char *name, const struct row *row)
{
    uint64_t *sorted = malloc(row->times * sizeof(*sorted));
    if (!sorted)
        abort();
    for (unsigned p = 0; p < N_PLACES; p++) {
        uint64_t medians[N_COUNTERS];
        for (unsigned i = 0; i < N_COUNTERS; i++) {
            for (uint64_t n = 0; n < row->times; n++)
                sorted[n] = row->passes[n][p][i];
            qsort(sorted, row->times, sizeof(*sorted), by_size);
            medians[i] = sorted[row->times / 2];
        }
        write_line(f, name, row->times, "all", p, medians);
    }
    free(sorted);
}

static void write_row(FILE *f, unsigned n, struct row *row)
{
    char name[48];
    snprintf(name, sizeof(name), "%u", n);
    write_sums(f, name, row->times, row->sum);
    snprintf(name, sizeof(name), "%u.median", n);
    write_medians(f, name, row);
    for (uint64_t i = 0; n >= MARK_SERIES && i < row->times; i++) {
        snprintf(name, sizeof(name), "%u.%lu", n, i);
        for (unsigned p = 0; p < N_PLACES; p++)
            write_line(f, name, 1, "all", p, row->passes[i][p]);
    }
}

static void on_exit_(uint64_t id, void *data)
{
    (void)id;
    (void)data;
    FILE *f = fopen(out_path, "w");
    if (!f) {
        perror(out_path);
        return;
    }
    settle();
    fprintf(f, "row,times,cpu,place");
    for (unsigned i = 0; i < N_COUNTERS; i++)
        fprintf(f, ",%s", counter_names[i]);
    fprintf(f, "\n");
    write_sums(f, "all", 1, all);
    write_sums(f, "start", 1, start);
    for (unsigned n = 0; n < MARK_ROWS; n++) {
        if (rows[n] && rows[n]->times)
            write_row(f, n, rows[n]);
    }
    fclose(f);
}

int qemu_plugin_install(uint64_t id, const struct qemu_plugin_info *info, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (!strncmp(argv[i], "out=", 4))
            out_path = argv[i] + 4;
    }
    if (!out_path || !info->system_emulation || info->system.max_vcpus > MAX_CPUS) {
        fprintf(stderr, "count: needs out=FILE and a machine of at most %d CPUs\n", MAX_CPUS);
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    qemu_plugin_register_atexit_cb(id, on_exit_, NULL);
    return 0;
}
