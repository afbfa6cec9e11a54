// SPDX-License-Identifier: MIT
/*
 * Measures what a MySQL server's system calls cost, one loop for each kind, and what a function call costs:
 * the article of 2005 put a SYSCALL at about 50 function calls. All calls go through libc, so that on a KML
 * kernel libc's own sites become direct calls; except clock_call, which libc never makes where there is a
 * vDSO.
 *
 *   empty       nothing, to subtract
 *   function    a call and its return
 *   getpid      the smallest system call
 *   read        one byte from /dev/zero
 *   write       one byte to /dev/null
 *   send_recv   two calls: one byte sent into a pair of Unix sockets and received again
 *   poll        one readable socket, so that it never blocks
 *   futex_wake  unlocks a mutex that is marked as contended, with no waiter
 *   clock_vdso  clock_gettime(CLOCK_MONOTONIC) as libc does it
 *   clock_call  the same as a system call
 *   pread       BLOCK bytes of a file in the page cache
 *   fsync       a file that has nothing to write
 *
 * Usage: syscalls [CALLS [REPETITIONS [DIRECTORY]]]; the file is made in DIRECTORY (/run) and has no name.
 * Exits with 1 if a call returned a wrong result or the loops could not be set up, with 2 on bad usage.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "../loops/loops.h"

enum { BLOCK = 4096, CONTENDED = 2 };

static int zero, null, file, sockets[2], readable[2];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

__attribute__((noinline, noclone)) static long function(void)
{
	long result = 1;

	__asm__ volatile("" : "+a"(result));
	return result;
}

static uint64_t loop_function(uint64_t calls)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < calls; i++)
		sum += (uint64_t)function();
	return sum;
}

static uint64_t loop_read(uint64_t calls)
{
	uint64_t sum = 0;
	char byte;

	for (uint64_t i = 0; i < calls; i++)
		sum += (uint64_t)read(zero, &byte, 1);
	return sum;
}

static uint64_t loop_write(uint64_t calls)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < calls; i++)
		sum += (uint64_t)write(null, "x", 1);
	return sum;
}

static uint64_t loop_send_recv(uint64_t calls)
{
	uint64_t sum = 0;
	char byte;

	for (uint64_t i = 0; i < calls; i++) {
		sum += (uint64_t)send(sockets[0], "x", 1, 0);
		sum += (uint64_t)recv(sockets[1], &byte, 1, 0);
	}
	return sum;
}

static uint64_t loop_poll(uint64_t calls)
{
	struct pollfd watched = { .fd = readable[1], .events = POLLIN };
	uint64_t sum = 0;

	for (uint64_t i = 0; i < calls; i++)
		sum += (uint64_t)poll(&watched, 1, -1);
	return sum;
}

/* glibc has no futex function. Unlocking its mutex wakes waiters if the lock word says that there are any. */
static uint64_t loop_futex_wake(uint64_t calls)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < calls; i++) {
		mutex.__data.__lock = CONTENDED;
		sum += 1u + (uint64_t)pthread_mutex_unlock(&mutex);
	}
	return sum;
}

static uint64_t loop_clock_vdso(uint64_t calls)
{
	struct timespec now;
	uint64_t sum = 0;

	for (uint64_t i = 0; i < calls; i++)
		sum += 1u + (uint64_t)clock_gettime(CLOCK_MONOTONIC, &now);
	return sum;
}

static uint64_t loop_clock_call(uint64_t calls)
{
	struct timespec now;
	uint64_t sum = 0;

	for (uint64_t i = 0; i < calls; i++) {
		long result;

		__asm__ volatile("mov $228, %%eax\n\tsyscall"
				 : "=a"(result)
				 : "D"(CLOCK_MONOTONIC), "S"(&now)
				 : "rcx", "r11", "memory");
		sum += 1u + (uint64_t)result;
	}
	return sum;
}

static uint64_t loop_pread(uint64_t calls)
{
	static char block[BLOCK];
	uint64_t sum = 0;

	for (uint64_t i = 0; i < calls; i++)
		sum += (uint64_t)pread(file, block, BLOCK, 0);
	return sum;
}

static uint64_t loop_fsync(uint64_t calls)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < calls; i++)
		sum += 1u + (uint64_t)fsync(file);
	return sum;
}

/* After its first thread a process stays multi-threaded for libc, as a server is: with cancellation and locks. */
static void *do_nothing(void *argument)
{
	return argument;
}

static int start_and_join(void)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, do_nothing, NULL);
	return errno ? -1 : pthread_join(thread, NULL);
}

/* -1 and errno on failure. */
static int open_file(const char *directory)
{
	static const char block[BLOCK];
	char path[PATH_MAX];
	int made;

	snprintf(path, sizeof(path), "%s/syscalls.XXXXXX", directory);
	made = mkostemp(path, O_CLOEXEC);
	if (made < 0)
		return -1;
	unlink(path);
	return write(made, block, BLOCK) == BLOCK && !fsync(made) ? made : -1;
}

static bool prepare(const char *directory)
{
	zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	file = open_file(directory);
	return zero >= 0 && null >= 0 && file >= 0 && !start_and_join() &&
	       !socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) && !socketpair(AF_UNIX, SOCK_STREAM, 0, readable) &&
	       send(readable[0], "x", 1, 0) == 1;
}

int main(int argc, char **argv)
{
	const struct kind kinds[] = {
		{ "empty", loop_empty, 1 },	      { "function", loop_function, 1 },
		{ "getpid", loop_libc, (uint64_t)getpid() }, { "read", loop_read, 1 },
		{ "write", loop_write, 1 },	      { "send_recv", loop_send_recv, 2 },
		{ "poll", loop_poll, 1 },	      { "futex_wake", loop_futex_wake, 1 },
		{ "clock_vdso", loop_clock_vdso, 1 }, { "clock_call", loop_clock_call, 1 },
		{ "pread", loop_pread, BLOCK },	      { "fsync", loop_fsync, 1 },
	};
	uint64_t calls = (uint64_t)argument(argc, argv, 1, 10000, MAX_CALLS);
	int repetitions = (int)argument(argc, argv, 2, 7, MAX_REPETITIONS);
	const char *directory = argc > 3 ? argv[3] : "/run";

	if (!prepare(directory)) {
		fprintf(stderr, "syscalls: cannot open the files and sockets to call, with the file in %s: %s\n", directory,
			strerror(errno));
		return 1;
	}
	return run_loops(kinds, sizeof(kinds) / sizeof(kinds[0]), calls, repetitions);
}
