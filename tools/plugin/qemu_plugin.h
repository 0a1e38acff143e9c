/* SPDX-License-Identifier: MIT */
/*
 * What our plugins use of QEMU's plugin interface, version 1 (QEMU manual, "QEMU TCG Plugins").
 * Debian's packages bring no header for it; QEMU resolves these names when it loads a plugin.
 */
#ifndef QEMU_PLUGIN_H
#define QEMU_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLUGIN_EXPORT __attribute__((visibility("default")))
#define PLUGIN_API_VERSION 1

/* Two names that QEMU looks for in a plugin. */
extern PLUGIN_EXPORT int qemu_plugin_version;
struct qemu_plugin_info {
    const char *target_name;
    struct { int min, cur; } version;
    bool system_emulation;
    struct { int smp_vcpus, max_vcpus; } system;
};
PLUGIN_EXPORT int qemu_plugin_install(uint64_t id, const struct qemu_plugin_info *info, int argc, char **argv);

struct qemu_plugin_tb;          /* a translated block, valid during the translation callback */
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;
enum qemu_plugin_regs { QEMU_PLUGIN_NO_REGS };
enum qemu_plugin_access { QEMU_PLUGIN_READ = 1, QEMU_PLUGIN_WRITE };
enum qemu_plugin_op { QEMU_PLUGIN_ADD_U64 };

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*fn)(uint64_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_atexit_cb(uint64_t id, void (*fn)(uint64_t id, void *data), void *data);

/* Only during the translation: what runs before the block, before the instruction, after its access. */
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, void (*fn)(unsigned cpu, void *data),
                                          enum qemu_plugin_regs regs, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, void (*fn)(unsigned cpu, void *data),
                                            enum qemu_plugin_regs regs, void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, enum qemu_plugin_op op,
                                                void *to, uint64_t n);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
                                      void (*fn)(unsigned cpu, uint32_t info, uint64_t vaddr, void *data),
                                      enum qemu_plugin_regs regs, enum qemu_plugin_access access, void *data);

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);

/* In a callback of an access; NULL: not known. */
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(uint32_t info, uint64_t vaddr);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *h);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *h);

#endif
