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
struct qemu_plugin_info;
PLUGIN_EXPORT int qemu_plugin_install(uint64_t id, const struct qemu_plugin_info *info, int argc, char **argv);

struct qemu_plugin_tb;          /* a translated block, valid during the translation callback */
struct qemu_plugin_insn;
enum qemu_plugin_regs { QEMU_PLUGIN_NO_REGS };

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*fn)(uint64_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, void (*fn)(unsigned cpu, void *data),
                                          enum qemu_plugin_regs regs, void *data);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*fn)(uint64_t id, void *data), void *data);

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);

#endif
