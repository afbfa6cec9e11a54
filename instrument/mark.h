/* SPDX-License-Identifier: MIT */
/*
 * Marks: how a program in the guest tells the instrument where a window begins and ends. A mark is one
 * instruction without effect, prefetchnta of an absolute address that nobody else prefetches; its low
 * 16 bits are the tag: a kind of 4 bits and a number of 12. Without the instrument it does nothing at all.
 */
#ifndef KMLBENCH_MARK_H
#define KMLBENCH_MARK_H

/* The upper half of the address: "MK". */
#define KMLBENCH_MARK_MAGIC 0x4d4b

/* Each kind but the first and the last begins a window, and ends the one that is open. */
enum kmlbench_mark_kind {
	KMLBENCH_END = 0,
	KMLBENCH_WARM_UP = 1,
	KMLBENCH_MEASURED = 2,
	KMLBENCH_STATEMENT = 3,
	KMLBENCH_PURGE = 4, /* what a database server does after the events, for them */
	/* 5 to 14 are free. */
	KMLBENCH_SECTION = 15,
};

#define KMLBENCH_MARK_TAG(kind, number) ((kind) << 12 | (number))

/* A mark from C, without a call. Both are constants; 0 <= number < 4096. */
#define KMLBENCH_MARK(kind, number) \
	__asm__ volatile("prefetchnta %c0" \
			 : \
			 : "i"(KMLBENCH_MARK_MAGIC << 16 | KMLBENCH_MARK_TAG(kind, number)) \
			 : "memory")

/* The library's form, for what is known only at run time: numbers up to 255. Returns 0, or -1 for others. */
int kmlbench_mark(unsigned int kind, unsigned int number);

/*
 * For programs whose threads share their work: how often any thread of the process has called this before. The
 * thread that begins the first piece of a window marks it, so that it has as many pieces of all threads together.
 */
unsigned int kmlbench_next(void);

#endif
