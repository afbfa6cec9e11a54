// SPDX-License-Identifier: MIT
/*
 * What the ways into the kernel cost: getpid by its own site (mov $39, %eax; syscall, which the KML kernel may
 * turn into a call), getpid by a SYSCALL that cannot be patched, 64 bytes sent and received through a socket, a
 * minor page fault, a timer interrupt, a context switch, a signal round trip, and a process that becomes bin/true of
 * the same prefix and exits. Prints JSON: nanoseconds each, the median of several repetitions (of the
 * interrupts, the least: other work that ticks start is not their price). Under an instruction clock (QEMU,
 * -icount shift=0) a nanosecond is an instruction.
 *
 * Usage: prices
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { REPETITIONS = 9, CALLS = 4000, PAGES = 1024, TURNS = 500, SIGNALS = 1000, PROCESSES = 20, SPINS = 40000000, PAGE = 4096 };

static void require(int condition, const char *what)
{
	if (!condition) {
		perror(what);
		exit(1);
	}
}

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
	return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

/* The one of this rank of several repetitions, of which 0 is the cheapest. */
static double ranked(double (*price)(void), int rank)
{
	double prices[REPETITIONS];

	price();
	for (int i = 0; i < REPETITIONS; i++)
		prices[i] = price();
	qsort(prices, REPETITIONS, sizeof(*prices), ascending);
	return prices[rank];
}

static double median(double (*price)(void))
{
	return ranked(price, REPETITIONS / 2);
}

/* The loop around a call, which is no part of its price. */
static double loop_ns(void)
{
	const double start = now_ns();

	for (long i = 0; i < CALLS; i++)
		__asm__ volatile("" : : : "rax", "rcx", "r11", "memory");
	return (now_ns() - start) / CALLS;
}

static double getpid_ns(void)
{
	const double start = now_ns();

	for (long i = 0; i < CALLS; i++)
		__asm__ volatile("mov $39, %%eax\n\tsyscall" : : : "rax", "rcx", "r11", "memory");
	return (now_ns() - start) / CALLS;
}

/* A two-byte jump before the SYSCALL is nothing the kernel would move. It counts as the mov above does. */
static double getpid_trap_ns(void)
{
	const double start = now_ns();

	for (long i = 0; i < CALLS; i++)
		__asm__ volatile("push $39\n\tpop %%rax\n\tjmp 1f\n1:\tsyscall" : : : "rax", "rcx", "r11", "memory");
	return (now_ns() - start) / CALLS - 2;
}

static double socket_ns(void)
{
	char bytes[64] = { 0 };
	double start, end;
	int ends[2];

	require(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "socketpair");
	start = now_ns();
	for (int i = 0; i < TURNS; i++) {
		require(send(ends[0], bytes, sizeof(bytes), 0) == sizeof(bytes), "send");
		require(recv(ends[1], bytes, sizeof(bytes), 0) == sizeof(bytes), "recv");
	}
	end = now_ns();
	close(ends[0]), close(ends[1]);
	return (end - start) / TURNS;
}

static double fault_ns(void)
{
	char *pages = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	double start, end;

	require(pages != MAP_FAILED, "mmap");
	require(!madvise(pages, PAGES * PAGE, MADV_NOHUGEPAGE) || errno == EINVAL, "madvise");
	start = now_ns();
	for (long i = 0; i < PAGES; i++)
		((volatile char *)pages)[i * PAGE] = 1;
	end = now_ns();
	require(!munmap(pages, PAGES * PAGE), "munmap");
	return (end - start) / PAGES;
}

static double spin_ns(long spins)
{
	const double start = now_ns();

	for (long i = 0; i < spins; i++)
		__asm__ volatile("" : "+r"(i));
	return now_ns() - start;
}

/* What a long loop takes more than a short one, by loop, is interrupts: per second, and the tick's rate cancels. */
static double interrupts_ns_per_ms(void)
{
	double shortest = 1e18, nothing = 1e18, spins;

	for (int i = 0; i < 200; i++) {
		const double some = spin_ns(SPINS / 1000), none = spin_ns(0);

		shortest = some < shortest ? some : shortest;
		nothing = none < nothing ? none : nothing;
	}
	spins = spin_ns(SPINS) - nothing;
	return (spins - (shortest - nothing) * 1000) / (spins / 1e6);
}

static double switch_ns(void)
{
	int there[2], back[2], status;
	char byte = 0;
	double start, end;
	pid_t child;

	require(!pipe(there) && !pipe(back), "pipe");
	child = fork();
	require(child >= 0, "fork");
	if (!child) {
		for (int i = 0; i < TURNS; i++)
			require(read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1, "child");
		_exit(0);
	}
	start = now_ns();
	for (int i = 0; i < TURNS; i++)
		require(write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1, "parent");
	end = now_ns();
	require(waitpid(child, &status, 0) == child && !status, "waitpid");
	close(there[0]), close(there[1]), close(back[0]), close(back[1]);
	return (end - start) / (2 * TURNS);
}

static volatile sig_atomic_t handled;

static void handle(int signal)
{
	handled += signal != 0;
}

static double signal_ns(void)
{
	const double start = now_ns();

	for (int i = 0; i < SIGNALS; i++)
		require(!kill(getpid(), SIGUSR1), "kill");
	return (now_ns() - start) / SIGNALS;
}

static char program[4096];

/* bin/true beside the lib/ that this program is in. */
static void find_program(void)
{
	const ssize_t size = readlink("/proc/self/exe", program, sizeof(program) - sizeof("/bin/true"));
	char *lib;

	require(size > 0, "/proc/self/exe");
	program[size] = 0;
	lib = strstr(program, "/lib/");
	require(lib != NULL, "lib");
	strcpy(lib, "/bin/true");
}

static double process_ns(void)
{
	const double start = now_ns();
	int status;

	for (int i = 0; i < PROCESSES; i++) {
		const pid_t child = fork();

		require(child >= 0, "fork");
		if (!child) {
			execl(program, program, NULL);
			_exit(127);
		}
		require(waitpid(child, &status, 0) == child && !status, program);
	}
	return (now_ns() - start) / PROCESSES;
}

int main(void)
{
	double loop;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	require(!sched_setaffinity(0, sizeof(one), &one), "sched_setaffinity");
	require(signal(SIGUSR1, handle) != SIG_ERR, "signal");
	find_program();
	loop = median(loop_ns);
	printf("{\"getpid\": %.1f, \"getpid_trap\": %.1f, ", median(getpid_ns) - loop, median(getpid_trap_ns) - loop);
	printf("\"socket\": %.1f, ", median(socket_ns));
	printf("\"minor_fault\": %.1f, \"context_switch\": %.1f, ", median(fault_ns), median(switch_ns));
	printf("\"signal\": %.1f, \"process\": %.1f, ", median(signal_ns), median(process_ns));
	printf("\"timer_per_ms\": %.1f}\n", ranked(interrupts_ns_per_ms, 0));
	require(handled > 0, "no signal came");
	return 0;
}
