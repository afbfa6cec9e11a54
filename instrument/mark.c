// SPDX-License-Identifier: MIT
/*
 * libkmlbench-mark.so: marks for LuaJIT's ffi, Python's ctypes and whatever else calls C. The tag is part of
 * an instruction, so there is one small function for each: a page of 256 for each of the 16 kinds.
 * The library needs no other.
 */
#include "mark.h"

#define KINDS 16
#define NUMBERS 256
#define STRIDE 16

/* The work that all threads of the program have begun. */
static unsigned int begun;

extern const char kmlbench_marks[KINDS * NUMBERS * STRIDE] __attribute__((visibility("hidden")));

__asm__(".text\n"
	".balign 4096\n"
	".globl kmlbench_marks\n"
	".hidden kmlbench_marks\n"
	".type kmlbench_marks, @function\n"
	"kmlbench_marks:\n"
	".set kind, 0\n"
	".rept 16\n"
	".set number, 0\n"
	".rept 256\n"
	"prefetchnta 0x4d4b0000 + kind * 4096 + number\n"
	"ret\n"
	".balign 16, 0xcc\n"
	".set number, number + 1\n"
	".endr\n"
	".set kind, kind + 1\n"
	".endr\n"
	".size kmlbench_marks, . - kmlbench_marks\n");

/* Bring the pages in now, that of `begun` for writing: a window must not begin with a page fault. */
__attribute__((constructor)) static void touch(void)
{
	for (unsigned int kind = 0; kind < KINDS; kind++)
		(void)*(const volatile char *)&kmlbench_marks[kind * NUMBERS * STRIDE];
	*(volatile unsigned int *)&begun = 0;
}

__attribute__((visibility("default"))) int kmlbench_mark(unsigned int kind, unsigned int number)
{
	if (kind >= KINDS || number >= NUMBERS)
		return -1;
	((void (*)(void))&kmlbench_marks[(kind * NUMBERS + number) * STRIDE])();
	return 0;
}

__attribute__((visibility("default"))) unsigned int kmlbench_next(void)
{
	return __atomic_fetch_add(&begun, 1, __ATOMIC_RELAXED);
}
