// SPDX-License-Identifier: GPL-2.0-or-later
/* Encodings as GNU as writes them, and some that it never would. Exit 1 at the first that is taken wrongly. */
#include <stdio.h>
#include <string.h>

#include "decode.h"
#include "mark.h"

struct example {
	const char *text;
	enum costly class;
	size_t length;
	uint8_t code[LONGEST_INSN];
};

#define CODE(...) sizeof((uint8_t[]){ __VA_ARGS__ }), { __VA_ARGS__ }

static const struct example examples[] = {
	{ "syscall", COSTLY_syscall, CODE(0x0f, 0x05) },
	{ "sysretl", COSTLY_sysret, CODE(0x0f, 0x07) },
	{ "sysretq", COSTLY_sysret, CODE(0x48, 0x0f, 0x07) },
	{ "sysenter", COSTLY_sysenter, CODE(0x0f, 0x34) },
	{ "iretq", COSTLY_iret, CODE(0x48, 0xcf) },
	{ "swapgs", COSTLY_swapgs, CODE(0x0f, 0x01, 0xf8) },
	{ "int $0x80", COSTLY_int, CODE(0xcd, 0x80) },
	{ "int3", COSTLY_int, CODE(0xcc) },
	{ "lret", COSTLY_far_branch, CODE(0xcb) },
	{ "lcall *(%rax)", COSTLY_far_branch, CODE(0xff, 0x18) },
	{ "wrmsr", COSTLY_wrmsr, CODE(0x0f, 0x30) },
	{ "rdmsr", COSTLY_rdmsr, CODE(0x0f, 0x32) },
	{ "mov %rax,%cr0", COSTLY_mov_to_cr0, CODE(0x0f, 0x22, 0xc0) },
	{ "mov %rax,%cr3", COSTLY_mov_to_cr3, CODE(0x0f, 0x22, 0xd8) },
	{ "mov %rdi,%cr3", COSTLY_mov_to_cr3, CODE(0x0f, 0x22, 0xdf) },
	{ "mov %rax,%cr4", COSTLY_mov_to_cr4, CODE(0x0f, 0x22, 0xe0) },
	{ "mov %rax,%cr8", COSTLY_mov_to_cr_other, CODE(0x44, 0x0f, 0x22, 0xc0) },
	{ "mov %rax,%cr2", COSTLY_mov_to_cr_other, CODE(0x0f, 0x22, 0xd0) },
	{ "mov %cr3,%rax", COSTLY_mov_from_cr, CODE(0x0f, 0x20, 0xd8) },
	{ "mov %db7,%rax", COSTLY_mov_dr, CODE(0x0f, 0x21, 0xf8) },
	{ "clts", COSTLY_clts, CODE(0x0f, 0x06) },
	{ "invlpg (%rdi)", COSTLY_invlpg, CODE(0x0f, 0x01, 0x3f) },
	{ "invpcid (%rsp),%rax", COSTLY_invpcid, CODE(0x66, 0x0f, 0x38, 0x82, 0x04, 0x24) },
	{ "pshufb (not invpcid)", ORDINARY, CODE(0x66, 0x0f, 0x38, 0x00, 0xc1) },
	{ "verw 8(%rip)", COSTLY_verw, CODE(0x0f, 0x00, 0x2d, 8, 0, 0, 0) },
	{ "lgdt (%rax)", COSTLY_descriptor_table, CODE(0x0f, 0x01, 0x10) },
	{ "ltr %ax", COSTLY_descriptor_table, CODE(0x0f, 0x00, 0xd8) },
	{ "mov %eax,%ds", COSTLY_mov_to_segment, CODE(0x8e, 0xd8) },
	{ "rdfsbase %rax", COSTLY_rdfsgsbase, CODE(0xf3, 0x48, 0x0f, 0xae, 0xc0) },
	{ "wrgsbase %rax", COSTLY_wrfsgsbase, CODE(0xf3, 0x48, 0x0f, 0xae, 0xd8) },
	{ "stac", COSTLY_stac, CODE(0x0f, 0x01, 0xcb) },
	{ "clac", COSTLY_clac, CODE(0x0f, 0x01, 0xca) },
	{ "rdpkru", COSTLY_rdpkru, CODE(0x0f, 0x01, 0xee) },
	{ "wrpkru", COSTLY_wrpkru, CODE(0x0f, 0x01, 0xef) },
	{ "xgetbv", COSTLY_xgetbv, CODE(0x0f, 0x01, 0xd0) },
	{ "lfence", COSTLY_lfence, CODE(0x0f, 0xae, 0xe8) },
	{ "mfence", COSTLY_mfence, CODE(0x0f, 0xae, 0xf0) },
	{ "sfence", COSTLY_sfence, CODE(0x0f, 0xae, 0xf8) },
	{ "incsspd %eax (not lfence)", ORDINARY, CODE(0xf3, 0x0f, 0xae, 0xe8) },
	{ "cpuid", COSTLY_cpuid, CODE(0x0f, 0xa2) },
	{ "pause", COSTLY_pause, CODE(0xf3, 0x90) },
	{ "nop", ORDINARY, CODE(0x90) },
	{ "xchg %ax,%ax", ORDINARY, CODE(0x66, 0x90) },
	{ "hlt", COSTLY_hlt, CODE(0xf4) },
	{ "mwait", COSTLY_monitor_mwait, CODE(0x0f, 0x01, 0xc9) },
	{ "umwait %eax", COSTLY_monitor_mwait, CODE(0xf2, 0x0f, 0xae, 0xf0) },
	{ "umonitor %rax", COSTLY_monitor_mwait, CODE(0xf3, 0x0f, 0xae, 0xf0) },
	{ "vmmcall", COSTLY_vmcall, CODE(0x0f, 0x01, 0xd9) },
	{ "rdtsc", COSTLY_rdtsc, CODE(0x0f, 0x31) },
	{ "rdtscp", COSTLY_rdtscp, CODE(0x0f, 0x01, 0xf9) },
	{ "rdpmc", COSTLY_rdpmc, CODE(0x0f, 0x33) },
	{ "rdrand %rax", COSTLY_rdrand, CODE(0x48, 0x0f, 0xc7, 0xf0) },
	{ "rdseed %rax", COSTLY_rdseed, CODE(0x48, 0x0f, 0xc7, 0xf8) },
	{ "rdpid %rax", ORDINARY, CODE(0xf3, 0x48, 0x0f, 0xc7, 0xf8) },
	{ "lock incl (%rax)", COSTLY_lock, CODE(0xf0, 0xff, 0x00) },
	{ "lock cmpxchg16b (%rdi)", COSTLY_lock, CODE(0xf0, 0x48, 0x0f, 0xc7, 0x0f) },
	{ "xchg %eax,(%rdi)", COSTLY_lock, CODE(0x87, 0x07) },
	{ "xchg %eax,%ecx", ORDINARY, CODE(0x87, 0xc1) },
	{ "cli", COSTLY_cli, CODE(0xfa) },
	{ "sti", COSTLY_sti, CODE(0xfb) },
	{ "pushfq", COSTLY_pushf, CODE(0x9c) },
	{ "popfq", COSTLY_popf, CODE(0x9d) },
	{ "inb (%dx)", COSTLY_in, CODE(0xec) },
	{ "outw %ax,(%dx)", COSTLY_out, CODE(0x66, 0xef) },
	{ "wbinvd", COSTLY_wbinvd, CODE(0x0f, 0x09) },
	{ "clflush (%rax)", COSTLY_clflush, CODE(0x0f, 0xae, 0x38) },
	{ "clwb (%rax)", COSTLY_clflush, CODE(0x66, 0x0f, 0xae, 0x30) },
	{ "fxsave64 (%rax)", COSTLY_fxsave, CODE(0x48, 0x0f, 0xae, 0x00) },
	{ "xsaves64 (%rdi)", COSTLY_xsave, CODE(0x48, 0x0f, 0xc7, 0x2f) },
	{ "xsaveopt (%rdi)", COSTLY_xsave, CODE(0x0f, 0xae, 0x37) },
	{ "xrstors64 (%rdi)", COSTLY_xrstor, CODE(0x48, 0x0f, 0xc7, 0x1f) },
	{ "ldmxcsr (%rax)", COSTLY_ldmxcsr, CODE(0x0f, 0xae, 0x10) },
	{ "rep movsq", COSTLY_rep_string, CODE(0xf3, 0x48, 0xa5) },
	{ "movsq", ORDINARY, CODE(0x48, 0xa5) },
	{ "div %rcx", COSTLY_div, CODE(0x48, 0xf7, 0xf1) },
	{ "idivb (%rax)", COSTLY_div, CODE(0xf6, 0x38) },
	{ "neg %rcx", ORDINARY, CODE(0x48, 0xf7, 0xd9) },
	{ "call *%rax", COSTLY_call_indirect, CODE(0xff, 0xd0) },
	{ "notrack jmp *%rax", COSTLY_jmp_indirect, CODE(0x3e, 0xff, 0xe0) },
	{ "push (%rax)", ORDINARY, CODE(0xff, 0x30) },
	{ "ret", ORDINARY, CODE(0xc3) },
	{ "vzeroupper", ORDINARY, CODE(0xc5, 0xf8, 0x77) },
	{ "mov with an immediate of 0f 05", ORDINARY, CODE(0xb8, 0x0f, 0x05, 0x0f, 0x05) },
	{ "prefixes and no more", ORDINARY, CODE(0xf3, 0x66, 0x2e) },
	{ "REX and no more", ORDINARY, CODE(0x48) },
	{ "0f and no more", ORDINARY, CODE(0x0f) },
	{ "0f 01 and no more", ORDINARY, CODE(0x0f, 0x01) },
	{ "0f ae and no more", ORDINARY, CODE(0x0f, 0xae) },
	{ "nothing", ORDINARY, 0, { 0 } },
};

static int fails(const char *what)
{
	fprintf(stderr, "decode: %s\n", what);
	return 1;
}

static int test_classes(void)
{
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++)
		if (classify(examples[i].code, examples[i].length) != examples[i].class)
			return fails(examples[i].text);
	return 0;
}

static int test_marks(void)
{
	const uint8_t mark[] = { 0x0f, 0x18, 0x04, 0x25, 0x07, 0x20, 0x4b, 0x4d };
	const uint8_t other[] = { 0x0f, 0x18, 0x04, 0x25, 0x07, 0x20, 0x4b, 0x4e };
	unsigned int tag;

	if (!is_mark(mark, sizeof(mark), &tag) || tag != KMLBENCH_MARK_TAG(KMLBENCH_MEASURED, 7))
		return fails("a mark");
	if (is_mark(other, sizeof(other), &tag) || is_mark(mark, 7, &tag))
		return fails("what is no mark");
	return 0;
}

static int test_switches(void)
{
	const uint8_t load[] = { 0x48, 0x8b, 0xa6, 0xd8, 0x14, 0x00, 0x00 };
	const uint8_t store[] = { 0x48, 0x89, 0xa7, 0xd8, 0x14, 0x00, 0x00 };
	uint32_t offset;

	if (!is_stack_switch(load, sizeof(load), &offset) || offset != 0x14d8)
		return fails("a switch of stacks");
	if (is_stack_switch(store, sizeof(store), &offset) || is_stack_switch(load, 6, &offset))
		return fails("what is no switch of stacks");
	return 0;
}

int main(void)
{
	return test_classes() || test_marks() || test_switches();
}
