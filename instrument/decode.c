// SPDX-License-Identifier: GPL-2.0-or-later
#include "decode.h"

#include <string.h>

#include "mark.h"

const char *const costly_names[COSTLY_CLASSES] = {
#define X(name) [COSTLY_##name] = #name,
	COSTLY(X)
#undef X
};

/* An instruction without its prefixes. `code` is at the opcode. */
struct insn {
	const uint8_t *code;
	size_t length;
	bool lock, rep, repne, operand_size;
	/* The register field of ModRM has its fourth bit set. */
	bool upper_register;
};

static bool take_prefix(struct insn *insn, uint8_t byte)
{
	switch (byte) {
	case 0xf0:
		insn->lock = true;
		return true;
	case 0xf2:
		insn->repne = true;
		return true;
	case 0xf3:
		insn->rep = true;
		return true;
	case 0x66:
		insn->operand_size = true;
		return true;
	case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: case 0x67:
		return true;
	default:
		return false;
	}
}

static void strip(struct insn *insn)
{
	while (insn->length && take_prefix(insn, *insn->code)) {
		insn->code++;
		insn->length--;
	}
	/* REX comes last, or is ignored. */
	if (insn->length && (*insn->code & 0xf0) == 0x40) {
		insn->upper_register = *insn->code & 4;
		insn->code++;
		insn->length--;
	}
}

static uint8_t byte_at(const struct insn *insn, size_t index)
{
	return index < insn->length ? insn->code[index] : 0;
}

static bool in_register(uint8_t modrm)
{
	return modrm >> 6 == 3;
}

static unsigned int extension(uint8_t modrm)
{
	return modrm >> 3 & 7;
}

/* 0F 00 */
static enum costly group6(uint8_t modrm)
{
	static const enum costly classes[8] = {
		[2] = COSTLY_descriptor_table, [3] = COSTLY_descriptor_table, [5] = COSTLY_verw,
	};

	return classes[extension(modrm)];
}

/* 0F 01 */
static enum costly group7(uint8_t modrm)
{
	if (!in_register(modrm)) {
		switch (extension(modrm)) {
		case 2: case 3:
			return COSTLY_descriptor_table;
		case 7:
			return COSTLY_invlpg;
		default:
			return ORDINARY;
		}
	}
	switch (modrm) {
	case 0xc1: case 0xd9:
		return COSTLY_vmcall;
	case 0xc8: case 0xc9:
		return COSTLY_monitor_mwait;
	case 0xca:
		return COSTLY_clac;
	case 0xcb:
		return COSTLY_stac;
	case 0xd0:
		return COSTLY_xgetbv;
	case 0xd1:
		return COSTLY_xsetbv;
	case 0xee:
		return COSTLY_rdpkru;
	case 0xef:
		return COSTLY_wrpkru;
	case 0xf8:
		return COSTLY_swapgs;
	case 0xf9:
		return COSTLY_rdtscp;
	default:
		return ORDINARY;
	}
}

/* 0F AE */
static enum costly group15(const struct insn *insn, uint8_t modrm)
{
	static const enum costly memory[8] = {
		COSTLY_fxsave, COSTLY_fxrstor, COSTLY_ldmxcsr, ORDINARY,
		COSTLY_xsave,  COSTLY_xrstor,  COSTLY_xsave,   COSTLY_clflush,
	};
	static const enum costly fences[8] = {
		[5] = COSTLY_lfence, [6] = COSTLY_mfence, [7] = COSTLY_sfence,
	};
	static const enum costly bases[8] = {
		COSTLY_rdfsgsbase, COSTLY_rdfsgsbase, COSTLY_wrfsgsbase, COSTLY_wrfsgsbase,
		[6] = COSTLY_monitor_mwait,
	};
	unsigned int number = extension(modrm);

	if (!in_register(modrm))
		return insn->operand_size && number == 6 ? COSTLY_clflush : memory[number];
	if (insn->rep)
		return bases[number];
	if (number == 6 && (insn->operand_size || insn->repne))
		return COSTLY_monitor_mwait;
	return fences[number];
}

/* 0F C7 */
static enum costly group9(const struct insn *insn, uint8_t modrm)
{
	static const enum costly memory[8] = {
		[3] = COSTLY_xrstor, [4] = COSTLY_xsave, [5] = COSTLY_xsave,
	};
	unsigned int number = extension(modrm);

	if (!in_register(modrm))
		return memory[number];
	if (number == 6)
		return COSTLY_rdrand;
	return number == 7 && !insn->rep ? COSTLY_rdseed : ORDINARY;
}

static enum costly mov_to_cr(const struct insn *insn, uint8_t modrm)
{
	static const enum costly classes[8] = {
		[0] = COSTLY_mov_to_cr0, [3] = COSTLY_mov_to_cr3, [4] = COSTLY_mov_to_cr4,
	};
	enum costly class = insn->upper_register ? ORDINARY : classes[extension(modrm)];

	return class ? class : COSTLY_mov_to_cr_other;
}

static enum costly classify_0f(const struct insn *insn)
{
	uint8_t modrm = byte_at(insn, 2);

	if (insn->length < 2)
		return ORDINARY;
	switch (insn->code[1]) {
	case 0x00:
		return group6(modrm);
	case 0x01:
		return insn->length < 3 ? ORDINARY : group7(modrm);
	case 0x05:
		return COSTLY_syscall;
	case 0x06:
		return COSTLY_clts;
	case 0x07:
		return COSTLY_sysret;
	case 0x08: case 0x09:
		return COSTLY_wbinvd;
	case 0x20:
		return COSTLY_mov_from_cr;
	case 0x21: case 0x23:
		return COSTLY_mov_dr;
	case 0x22:
		return mov_to_cr(insn, modrm);
	case 0x30:
		return COSTLY_wrmsr;
	case 0x31:
		return COSTLY_rdtsc;
	case 0x32:
		return COSTLY_rdmsr;
	case 0x33:
		return COSTLY_rdpmc;
	case 0x34: case 0x35:
		return COSTLY_sysenter;
	case 0x38:
		return modrm == 0x82 && insn->operand_size ? COSTLY_invpcid : ORDINARY;
	case 0xa2:
		return COSTLY_cpuid;
	case 0xae:
		return insn->length < 3 ? ORDINARY : group15(insn, modrm);
	case 0xc7:
		return group9(insn, modrm);
	default:
		return ORDINARY;
	}
}

static enum costly classify_ff(uint8_t modrm)
{
	static const enum costly classes[8] = {
		[2] = COSTLY_call_indirect, [3] = COSTLY_far_branch,
		[4] = COSTLY_jmp_indirect,  [5] = COSTLY_far_branch,
	};

	return classes[extension(modrm)];
}

static enum costly classify_one_byte(const struct insn *insn)
{
	uint8_t modrm = byte_at(insn, 1);

	switch (insn->code[0]) {
	case 0x0f:
		return classify_0f(insn);
	case 0x6c: case 0x6d: case 0xe4: case 0xe5: case 0xec: case 0xed:
		return COSTLY_in;
	case 0x6e: case 0x6f: case 0xe6: case 0xe7: case 0xee: case 0xef:
		return COSTLY_out;
	case 0x86: case 0x87:
		/* An exchange with memory locks without being told to. */
		return in_register(modrm) ? ORDINARY : COSTLY_lock;
	case 0x8e:
		return COSTLY_mov_to_segment;
	case 0x90:
		return insn->rep ? COSTLY_pause : ORDINARY;
	case 0x9c:
		return COSTLY_pushf;
	case 0x9d:
		return COSTLY_popf;
	case 0xa4: case 0xa5: case 0xa6: case 0xa7: case 0xaa: case 0xab: case 0xac: case 0xad: case 0xae: case 0xaf:
		return insn->rep || insn->repne ? COSTLY_rep_string : ORDINARY;
	case 0xca: case 0xcb:
		return COSTLY_far_branch;
	case 0xcc: case 0xcd:
		return COSTLY_int;
	case 0xcf:
		return COSTLY_iret;
	case 0xf4:
		return COSTLY_hlt;
	case 0xf6: case 0xf7:
		return extension(modrm) >= 6 ? COSTLY_div : ORDINARY;
	case 0xfa:
		return COSTLY_cli;
	case 0xfb:
		return COSTLY_sti;
	case 0xff:
		return classify_ff(modrm);
	default:
		return ORDINARY;
	}
}

enum costly classify(const uint8_t *code, size_t length)
{
	struct insn insn = { .code = code, .length = length };
	enum costly class;

	strip(&insn);
	if (!insn.length)
		return ORDINARY;
	class = classify_one_byte(&insn);
	return class == ORDINARY && insn.lock ? COSTLY_lock : class;
}

static uint32_t u32_at(const uint8_t *code)
{
	return (uint32_t)code[0] | (uint32_t)code[1] << 8 | (uint32_t)code[2] << 16 | (uint32_t)code[3] << 24;
}

bool is_mark(const uint8_t *code, size_t length, unsigned int *tag)
{
	/* prefetchnta of an absolute address of 32 bits */
	static const uint8_t opcode[] = { 0x0f, 0x18, 0x04, 0x25 };
	uint32_t address;

	if (length != 8 || memcmp(code, opcode, sizeof(opcode)) != 0)
		return false;
	address = u32_at(code + sizeof(opcode));
	*tag = address & 0xffff;
	return address >> 16 == KMLBENCH_MARK_MAGIC;
}

bool is_stack_switch(const uint8_t *code, size_t length, uint32_t *offset)
{
	/* mov OFFSET(%rsi),%rsp */
	static const uint8_t opcode[] = { 0x48, 0x8b, 0xa6 };

	if (length != 7 || memcmp(code, opcode, sizeof(opcode)) != 0)
		return false;
	*offset = u32_at(code + sizeof(opcode));
	return true;
}
