/* SPDX-License-Identifier: MIT */
/*
 * A QEMU plugin: the longest stretches of instructions inside Bulkhead. Both of its measures begin
 * when a CPU comes in from a guest and end when it is back there, or is idle; "off", interrupts off,
 * is cut by each `sti`, "call", without a preemption point, only by those of hypercall_preempt.
 * Stretches are counted from the first way out to a guest on.
 *
 *   -plugin stretch.so,symbols=FILE,out=FILE
 *
 * symbols: lines "ADDRESS FLAG NAME", sorted, the last one being the end of the code.
 * FLAG e: a stretch that touches the function is kept apart (exempt), c: so it is, but of "call"
 * only; h: a handler, whose name tells stretches apart; p: its windows are preemption points;
 * s: the first way out; -: none.
 * out: "total MEASURE STRETCHES INSTRUCTIONS", then for each kind of stretch (handler and hottest
 * function) its longest: "MEASURE LENGTH TIMES CPU START END EXEMPT NAME:COUNT ...", functions as
 * first met.
 *
 * Under -icount an iteration of a `rep` instruction is one executed block of one instruction, as it
 * is one tick of the TSC: clearing a page by `rep stosq` counts 513.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "qemu_plugin.h"

#define CPUS 64
#define NOTABLE 1000            /* shorter stretches are only counted */

PLUGIN_EXPORT int qemu_plugin_version = PLUGIN_API_VERSION;

struct symbol { uint64_t at; char flag; char name[64]; };
struct block { uint64_t pc; uint32_t insns, symbol; bool window; };
struct kind { uint64_t length, times, start, end; unsigned cpu; bool exempt; char *functions; };
struct stretch {
    uint64_t length, start, end;
    uint64_t *count;            /* by symbol */
    uint32_t *met, nr_met;
};
enum { OFF, CALL, MEASURES };
static const char *const measure_names[] = { "off", "call" };
static struct measure {
    struct kind *kinds;         /* by handler and hottest function */
    uint64_t stretches, instructions;
    struct stretch now[CPUS];
} measures[MEASURES];
static uint32_t last_symbol[CPUS];

static struct symbol *symbols;
static uint32_t nr_symbols;
static const char *out_path;
static bool started;

static void die(const char *what)
{
    fprintf(stderr, "stretch: %s\n", what);
    exit(1);
}

static void *zalloc(size_t n, size_t size)
{
    void *p = calloc(n, size);
    if (!p)
        die("no memory");
    return p;
}

/* Adds the stretch that has just ended to its kind. */
static void note(struct measure *m, unsigned cpu)
{
    const struct stretch *c = &m->now[cpu];
    uint32_t handler = c->met[0], hottest = c->met[0];
    bool exempt = false, found = false;
    for (uint32_t i = 0; i < c->nr_met; i++) {
        uint32_t s = c->met[i];
        if (c->count[s] > c->count[hottest])
            hottest = s;
        if (!found && symbols[s].flag == 'h')
            handler = s, found = true;
        exempt |= symbols[s].flag == 'e' || (symbols[s].flag == 'c' && m == &measures[CALL]);
    }
    struct kind *k = &m->kinds[(size_t)handler * nr_symbols + hottest];
    k->times++;
    if (k->length >= c->length || (exempt && k->length && !k->exempt))
        return;                 /* an exempt one does not hide one that is not */
    free(k->functions);
    *k = (struct kind){ c->length, k->times, c->start, c->end, cpu, exempt, NULL };
    size_t size;
    FILE *f = open_memstream(&k->functions, &size);
    for (uint32_t i = 0; f && i < c->nr_met; i++)
        fprintf(f, " %s:%llu", symbols[c->met[i]].name, (unsigned long long)c->count[c->met[i]]);
    if (!f || fclose(f))
        die("no memory");
}

static void add(struct stretch *c, const struct block *b)
{
    if (!c->length)
        c->start = b->pc;
    c->end = b->pc;
    c->length += b->insns;
    if (!c->count[b->symbol])
        c->met[c->nr_met++] = b->symbol;
    c->count[b->symbol] += b->insns;
}

static void end(struct measure *m, unsigned cpu)
{
    struct stretch *c = &m->now[cpu];
    if (!c->length)
        return;
    m->stretches++;
    m->instructions += c->length;
    if (c->length >= NOTABLE)
        note(m, cpu);
    for (uint32_t i = 0; i < c->nr_met; i++)
        c->count[c->met[i]] = 0;
    c->nr_met = 0;
    c->length = 0;
}

static void run_guest(unsigned cpu, void *data)
{
    (void)data;
    for (int i = 0; i < MEASURES; i++)
        end(&measures[i], cpu);
}

static void run_hv(unsigned cpu, void *data)
{
    const struct block *b = data;
    if (!started) {
        started = symbols[b->symbol].flag == 's';
        return;
    }
    for (int i = 0; i < MEASURES; i++)
        add(&measures[i].now[cpu], b);
    if (b->window) {
        end(&measures[OFF], cpu);
        if (symbols[b->symbol].flag == 'p' || symbols[last_symbol[cpu]].flag == 'p')
            end(&measures[CALL], cpu);
    }
    last_symbol[cpu] = b->symbol;
}

static uint32_t symbol_of(uint64_t pc)
{
    uint32_t lo = 0, hi = nr_symbols - 1;
    while (hi - lo > 1) {
        uint32_t mid = (lo + hi) / 2;
        if (symbols[mid].at <= pc)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

static void translate(uint64_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    uint64_t pc = qemu_plugin_tb_vaddr(tb);
    if (pc < symbols[0].at || pc >= symbols[nr_symbols - 1].at) {
        qemu_plugin_register_vcpu_tb_exec_cb(tb, run_guest, QEMU_PLUGIN_NO_REGS, NULL);
        return;
    }
    struct block *b = zalloc(1, sizeof(*b));    /* lives as long as QEMU */
    *b = (struct block){ pc, (uint32_t)qemu_plugin_tb_n_insns(tb), symbol_of(pc), false };
    for (size_t i = 0; i < b->insns; i++) {
        const struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        b->window |= qemu_plugin_insn_size(insn) == 1 &&
                     *(const uint8_t *)qemu_plugin_insn_data(insn) == 0xfb;     /* sti */
    }
    qemu_plugin_register_vcpu_tb_exec_cb(tb, run_hv, QEMU_PLUGIN_NO_REGS, b);
}

static void finish(uint64_t id, void *data)
{
    (void)id; (void)data;
    FILE *f = fopen(out_path, "w");
    if (!f)
        die("cannot write the result");
    for (int m = 0; m < MEASURES; m++) {
        fprintf(f, "total %s %llu %llu\n", measure_names[m], (unsigned long long)measures[m].stretches,
                (unsigned long long)measures[m].instructions);
        for (size_t i = 0; i < (size_t)nr_symbols * nr_symbols; i++) {
            const struct kind *k = &measures[m].kinds[i];
            if (k->times) {
                fprintf(f, "%s %llu %llu %u %llx %llx %d%s\n", measure_names[m], (unsigned long long)k->length,
                        (unsigned long long)k->times, k->cpu, (unsigned long long)k->start,
                        (unsigned long long)k->end, k->exempt, k->functions);
            }
        }
    }
    fclose(f);
}

static void read_symbols(const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f)
        die("cannot read the symbols");
    struct symbol s;
    while (fscanf(f, "%lx %c %63s", &s.at, &s.flag, s.name) == 3) {
        symbols = realloc(symbols, (nr_symbols + 1) * sizeof(s));
        if (!symbols)
            die("no memory");
        symbols[nr_symbols++] = s;
    }
    fclose(f);
    if (nr_symbols < 2)
        die("no symbols");
}

int qemu_plugin_install(uint64_t id, const struct qemu_plugin_info *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (!strncmp(argv[i], "symbols=", 8))
            read_symbols(argv[i] + 8);
        else if (!strncmp(argv[i], "out=", 4))
            out_path = argv[i] + 4;
    }
    if (!symbols || !out_path)
        die("needs symbols= and out=");
    for (int m = 0; m < MEASURES; m++) {
        measures[m].kinds = zalloc((size_t)nr_symbols * nr_symbols, sizeof(struct kind));
        for (int i = 0; i < CPUS; i++) {
            measures[m].now[i].count = zalloc(nr_symbols, sizeof(uint64_t));
            measures[m].now[i].met = zalloc(nr_symbols, sizeof(uint32_t));
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    qemu_plugin_register_atexit_cb(id, finish, NULL);
    return 0;
}
