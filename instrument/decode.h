/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DECODE_H
#define DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LONGEST_INSN 15

/* Instructions whose price differs most from that of an ordinary one. X(name): the name is also that in the output. */
#define COSTLY(X) \
	X(syscall) X(sysret) X(sysenter) X(iret) X(swapgs) X(int) X(far_branch) \
	X(wrmsr) X(rdmsr) X(mov_to_cr0) X(mov_to_cr3) X(mov_to_cr4) X(mov_to_cr_other) X(mov_from_cr) X(mov_dr) \
	X(clts) X(invlpg) X(invpcid) X(verw) X(descriptor_table) X(mov_to_segment) \
	X(rdfsgsbase) X(wrfsgsbase) X(stac) X(clac) X(rdpkru) X(wrpkru) X(xgetbv) X(xsetbv) \
	X(lfence) X(mfence) X(sfence) X(cpuid) X(pause) X(hlt) X(monitor_mwait) X(vmcall) \
	X(rdtsc) X(rdtscp) X(rdpmc) X(rdrand) X(rdseed) \
	X(lock) X(cli) X(sti) X(pushf) X(popf) X(in) X(out) \
	X(wbinvd) X(clflush) X(fxsave) X(fxrstor) X(xsave) X(xrstor) X(ldmxcsr) \
	X(rep_string) X(div) X(call_indirect) X(jmp_indirect)

enum costly {
	ORDINARY,
#define X(name) COSTLY_##name,
	COSTLY(X)
#undef X
	COSTLY_CLASSES
};

/* The name of a class in the output; null for ORDINARY. */
extern const char *const costly_names[COSTLY_CLASSES];

/* The class of one instruction in 64-bit mode. Unknown or incomplete code is ORDINARY. */
enum costly classify(const uint8_t *code, size_t length);

/* Whether this is a mark of the guest's (mark.h), and which. */
bool is_mark(const uint8_t *code, size_t length, unsigned int *tag);

/*
 * Whether this loads the stack pointer from a field of the structure in RSI. In Linux on x86-64 only
 * __switch_to_asm does: RSI is the next task, and the field its thread.sp, `offset` bytes into it.
 */
bool is_stack_switch(const uint8_t *code, size_t length, uint32_t *offset);

#endif
