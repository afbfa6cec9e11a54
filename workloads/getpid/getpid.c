// SPDX-License-Identifier: MIT
/*
 * Measures what the smallest system call costs: loops of getpid by an inline SYSCALL, of getpid through libc (glibc
 * asks the kernel each time), of a system call number that no kernel has (entry and exit without a body),
 * and of nothing (the overhead of the loop). loops.h has the report.
 *
 * Usage: getpid [CALLS [REPETITIONS]]. Exits with 1 if a call returned a wrong result, with 2 on bad usage.
 */
#define _GNU_SOURCE 1
#include <errno.h>

#include "../loops/loops.h"

static uint64_t loop_syscall(uint64_t calls)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < calls; i++) {
		long result;

		SYSTEM_CALL("39", result);
		sum += (uint64_t)result;
	}
	return sum;
}

static uint64_t loop_unknown(uint64_t calls)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < calls; i++) {
		long result;

		SYSTEM_CALL("1000", result);
		sum += (uint64_t)result;
	}
	return sum;
}

int main(int argc, char **argv)
{
	const struct kind kinds[] = {
		{ "empty", loop_empty, 1 },
		{ "syscall", loop_syscall, (uint64_t)getpid() },
		{ "libc", loop_libc, (uint64_t)getpid() },
		{ "unknown", loop_unknown, (uint64_t)-ENOSYS },
	};
	uint64_t calls = (uint64_t)argument(argc, argv, 1, 100000, MAX_CALLS);
	int repetitions = (int)argument(argc, argv, 2, 7, MAX_REPETITIONS);

	return run_loops(kinds, sizeof(kinds) / sizeof(kinds[0]), calls, repetitions);
}
