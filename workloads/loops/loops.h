// SPDX-License-Identifier: MIT
/*
 * Shared by the microbenchmarks: loops of one kind of call, timed in nanoseconds (CLOCK_MONOTONIC), time
 * stamp counter cycles and, where the kernel lets us count them, instructions of user and kernel together.
 * The report is JSON: for every kind the raw totals of each repetition. Nothing is subtracted, divided or
 * left out here. Each timed loop is a window of the instrument, whose number is that of its kind.
 */
#ifndef KMLBENCH_LOOPS_H
#define KMLBENCH_LOOPS_H

#include <cpuid.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../../instrument/mark.h"

enum { MAX_REPETITIONS = 1000, MAX_KINDS = 16, MAX_CALLS = 100000000, NO_WINDOW = -1 };

struct reading {
	uint64_t nanoseconds;
	uint64_t cycles;
	uint64_t instructions;
};

/* `loop` does `calls` calls and returns the sum of their answers, each of which must be `answer`. */
struct kind {
	const char *name;
	uint64_t (*loop)(uint64_t calls);
	uint64_t answer;
};

static int counter = -1;
static bool have_rdtscp;

/* The byte pattern mov $nr,%eax; syscall is the one libc uses, and the one the kernel may patch. */
#define SYSTEM_CALL(number, result) \
	__asm__ volatile("mov $" number ", %%eax\n\tsyscall" : "=a"(result) : : "rcx", "r11", "memory")

static uint64_t loop_empty(uint64_t calls)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < calls; i++) {
		long result = 1;

		__asm__ volatile("" : "+a"(result) : : "rcx", "r11", "memory");
		sum += (uint64_t)result;
	}
	return sum;
}

static uint64_t loop_libc(uint64_t calls)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < calls; i++)
		sum += (uint64_t)getpid();
	return sum;
}

/* Fenced, so that the loop neither starts before the first reading nor ends after the last one. */
static uint64_t cycles_now(void)
{
	uint32_t low, high, processor;

	if (have_rdtscp)
		__asm__ volatile("rdtscp\n\tlfence" : "=a"(low), "=d"(high), "=c"(processor) : : "memory");
	else
		__asm__ volatile("lfence\n\trdtsc\n\tlfence" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static uint64_t nanoseconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t instructions_now(void)
{
	uint64_t count = 0;

	if (counter >= 0 && read(counter, &count, sizeof(count)) != sizeof(count))
		counter = -1;
	return count;
}

/* -1 where there is no counter (most virtual machines) or no permission for the kernel's share. */
static int open_counter(void)
{
	struct perf_event_attr attributes;

	memset(&attributes, 0, sizeof(attributes));
	attributes.type = PERF_TYPE_HARDWARE;
	attributes.size = sizeof(attributes);
	attributes.config = PERF_COUNT_HW_INSTRUCTIONS;
	attributes.exclude_hv = 1;
	return (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static bool detect_rdtscp(void)
{
	unsigned int eax, ebx, ecx, edx;

	return __get_cpuid(0x80000001u, &eax, &ebx, &ecx, &edx) && (edx & 1u << 27);
}

static struct reading now(void)
{
	struct reading taken;

	taken.instructions = instructions_now();
	taken.nanoseconds = nanoseconds_now();
	taken.cycles = cycles_now();
	return taken;
}

/* A mark's number is part of the instruction. */
static void begin_window(int number)
{
#define BEGIN(n) \
	case n: \
		KMLBENCH_MARK(KMLBENCH_MEASURED, n); \
		break
	switch (number) {
		BEGIN(0); BEGIN(1); BEGIN(2); BEGIN(3); BEGIN(4); BEGIN(5); BEGIN(6); BEGIN(7);
		BEGIN(8); BEGIN(9); BEGIN(10); BEGIN(11); BEGIN(12); BEGIN(13); BEGIN(14); BEGIN(15);
	}
#undef BEGIN
}

/* Where the program's code is, for whoever reads the windows; measure asks for it. */
static void write_maps(void)
{
	const char *path = getenv("KMLBENCH_MAPS");
	FILE *from = path ? fopen("/proc/self/maps", "r") : NULL;
	FILE *to = from ? fopen(path, "w") : NULL;
	int character;

	while (to && (character = fgetc(from)) != EOF)
		fputc(character, to);
	if (from)
		fclose(from);
	if (to)
		fclose(to);
}

static int measure(const struct kind *kind, int window, uint64_t calls, struct reading *total)
{
	struct reading before = now();
	uint64_t sum;
	struct reading after;

	begin_window(window);
	sum = kind->loop(calls);
	KMLBENCH_MARK(KMLBENCH_END, 0);
	after = now();

	if (sum != calls * kind->answer) {
		fprintf(stderr, "%s: the %s loop returned wrong results\n", program_invocation_short_name, kind->name);
		return -1;
	}
	total->nanoseconds = after.nanoseconds - before.nanoseconds;
	total->cycles = after.cycles - before.cycles;
	total->instructions = after.instructions - before.instructions;
	return 0;
}

static void print_array(const char *name, const struct reading *readings, int count, size_t offset)
{
	printf("\"%s\": [", name);
	for (int i = 0; i < count; i++) {
		uint64_t value;

		memcpy(&value, (const char *)&readings[i] + offset, sizeof(value));
		printf("%s%llu", i ? ", " : "", (unsigned long long)value);
	}
	printf("]");
}

static void print_kind(const char *name, const struct reading *readings, int count)
{
	printf(", \"%s\": {", name);
	print_array("nanoseconds", readings, count, offsetof(struct reading, nanoseconds));
	printf(", ");
	print_array("cycles", readings, count, offsetof(struct reading, cycles));
	if (counter >= 0) {
		printf(", ");
		print_array("instructions", readings, count, offsetof(struct reading, instructions));
	}
	printf("}");
}

/* The argument at `index` as a number from 1 to `limit`, `fallback` without it; exits with 2 on anything else. */
static long argument(int argc, char **argv, int index, long fallback, long limit)
{
	char *end;
	long value;

	if (argc <= index)
		return fallback;
	value = strtol(argv[index], &end, 10);
	if (*end || end == argv[index] || value < 1 || value > limit) {
		fprintf(stderr, "%s: %s is not a number from 1 to %ld\n", program_invocation_short_name, argv[index],
			limit);
		exit(2);
	}
	return value;
}

/* Each kind is warmed up by a tenth of its calls; the repetitions go round the kinds. The exit status. */
static int run_loops(const struct kind *kinds, int count, uint64_t calls, int repetitions)
{
	static struct reading readings[MAX_KINDS][MAX_REPETITIONS];
	struct reading warm_up;

	have_rdtscp = detect_rdtscp();
	counter = open_counter();
	for (int kind = 0; kind < count; kind++)
		if (measure(&kinds[kind], NO_WINDOW, calls / 10 + 1, &warm_up))
			return 1;
	write_maps();
	for (int repetition = 0; repetition < repetitions; repetition++)
		for (int kind = 0; kind < count; kind++)
			if (measure(&kinds[kind], kind, calls, &readings[kind][repetition]))
				return 1;
	printf("{\"calls\": %llu, \"repetitions\": %d, \"rdtscp\": %s", (unsigned long long)calls, repetitions,
	       have_rdtscp ? "true" : "false");
	for (int kind = 0; kind < count; kind++)
		print_kind(kinds[kind].name, readings[kind], repetitions);
	printf("}\n");
	return fflush(stdout) ? 1 : 0;
}

#endif
