// links: hv/x86/pv/insn.c
// SPDX-License-Identifier: MIT
/*
 * The instruction decoder. Input: up to 15 bytes of code, as pv_fetch reads them. It must
 * look at nothing behind the instruction, and its length must be that of LLVM's disassembler.
 */
#include "fuzz.h"
#include <xen/xen.h>
#include "x86/insn.h"

/* llvm-c/Disassembler.h and Target.h; the library comes with clang. */
void LLVMInitializeX86TargetInfo(void);
void LLVMInitializeX86TargetMC(void);
void LLVMInitializeX86Disassembler(void);
void *LLVMCreateDisasm(const char *triple, void *info, int kind, void *get, void *look_up);
size_t LLVMDisasmInstruction(void *dc, u8 *bytes, u64 size, u64 pc, char *text, size_t text_size);

/* Bytes of the instruction; 0: LLVM knows none. Of the legacy prefixes, which LLVM often
 * takes for instructions of their own, it sees one that changes operands and no other. */
static size_t llvm_length(const u8 *code, size_t n, char *text, size_t text_size)
{
    static void *dc;
    u8 buf[INSN_BUF] = { 0 };
    size_t at = 0, wide = 0;
    if (!dc) {
        LLVMInitializeX86TargetInfo();
        LLVMInitializeX86TargetMC();
        LLVMInitializeX86Disassembler();
        dc = LLVMCreateDisasm("x86_64-linux-gnu", NULL, 0, NULL, NULL);
        HOLDS(dc);
    }
    for (; at < n && memchr("\xf0\xf2\xf3\x26\x2e\x36\x3e\x64\x65\x66", code[at], 10); at++) {
        wide |= code[at] == 0x66;
    }
    buf[0] = 0x66;
    memcpy(buf + wide, code + at, n - at);
    size_t len = LLVMDisasmInstruction(dc, buf, n - at + wide, 0, text, text_size);
    return len ? at + len - wide : 0;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    unsigned n = (unsigned)MIN(size, (size_t)INSN_MAX);
    u8 *code = calloc(1, INSN_BUF);
    struct insn in, again;
    struct cpu_user_regs r;

    memcpy(code, data, n);
    char text[128] = "";
    size_t llvm = llvm_length(code, n, text, sizeof(text));
    bool good = insn_decode(&in, code, n);
    if (good) {
        HOLDS(in.len && in.len <= n && in.reg < 16 && in.rm < 16 && in.mod < 4);
        if (llvm && llvm != in.len) {
            fprintf(stderr, "%zu bytes:%s, not %u\n", llvm, text, in.len);
            abort();
        }
        HOLDS(in.size == 1 || in.size == 2 || in.size == 4 || in.size == 8);
        for (unsigned i = in.len; i < INSN_BUF; i++) {
            code[i] = (u8)~code[i];
        }
        HOLDS(insn_decode(&again, code, n) && !memcmp(&in, &again, sizeof(in)));
        HOLDS(insn_decode(&again, code, in.len));
        for (unsigned short_n = 0; short_n < in.len; short_n++) {
            u8 cut[INSN_BUF] = { 0 };
            memcpy(cut, code, short_n);
            HOLDS(!insn_decode(&again, cut, short_n));
        }
        memset(&r, 0xa5, sizeof(r));
        insn_reg_write(&in, &r, in.reg, 0x0123456789abcdefUL);
        HOLDS(insn_reg_read(&in, &r, in.reg) == (0x0123456789abcdefUL & insn_mask(&in)));
    }
    free(code);
    return 0;
}
