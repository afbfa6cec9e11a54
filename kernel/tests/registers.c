// SPDX-License-Identifier: GPL-2.0
/* What must survive an interrupt or a system call: the red zone, registers, flags, FPU state. */
#include "test.h"

#include <sys/syscall.h>
#include <sys/time.h>

#define BUSY_MS 300

static volatile sig_atomic_t over;

static void on_alarm(int number)
{
	(void)number;
	over = 1;
}

static void arm(void)
{
	const struct itimerval once = { { 0, 0 }, { 0, BUSY_MS * 1000 } };

	signal(SIGALRM, on_alarm);
	CHECK(!setitimer(ITIMER_REAL, &once, NULL));
}

/* Fill the 128 bytes below RSP, let timer interrupts come, and see whether they are still there. */
static long red_zone_rounds(long rounds, int with_syscall)
{
	long bad = 0;

	asm volatile(
		"movabs $0x5a5a1234abcd9876, %%r8\n"
		"1:\n"
		"  mov $-16, %%r9\n"
		"2: mov %%r8, (%%rsp,%%r9,8)\n"
		"  inc %%r9\n"
		"  jnz 2b\n"
		"  test %[with], %[with]\n"
		"  jz 3f\n"
		"  mov $39, %%eax\n"		/* getpid */
		"  syscall\n"
		"3: mov $200, %%r9d\n"
		"4: dec %%r9\n"
		"  jnz 4b\n"
		"  mov $-16, %%r9\n"
		"5: cmp %%r8, (%%rsp,%%r9,8)\n"
		"  je 6f\n"
		"  inc %[bad]\n"
		"6: inc %%r9\n"
		"  jnz 5b\n"
		"  dec %[rounds]\n"
		"  jnz 1b\n"
		: [bad] "+r" (bad), [rounds] "+r" (rounds)
		: [with] "r" (with_syscall)
		: "rax", "rcx", "r8", "r9", "r11", "memory", "cc");

	return bad;
}

static void red_zone(int with_syscall)
{
	/* Signal frames skip the red zone, so no signal is needed to end this. */
	for (int i = 0; i < 40; i++)
		CHECK(red_zone_rounds(2000, with_syscall) == 0);
}

static void red_zone_under_interrupts(void)
{
	red_zone(0);
}

static void red_zone_under_system_calls(void)
{
	red_zone(1);
}

static void callee_saved_over_system_calls(void)
{
	for (int i = 0; i < 1000; i++) {
		unsigned long bx = 0x1111 + i, r12 = 0x2222 + i, r13 = 0x3333 + i, r14 = 0x4444 + i;
		unsigned long r8v, rdx;
		register unsigned long r8 asm("r8") = 0x8888 + i;
		register unsigned long r9 asm("r9") = 0x9999 + i;
		register unsigned long r10 asm("r10") = 0xaaaa + i;
		long number = SYS_getpid;

		asm volatile("mov %[a], %%rbx; mov %[b], %%r12; mov %[c], %%r13; mov %[d], %%r14\n"
			     "mov $0x7777, %%edx\n"
			     "syscall\n"
			     "sub %[a], %%rbx; sub %[b], %%r12; sub %[c], %%r13; sub %[d], %%r14\n"
			     "or %%r12, %%rbx; or %%r13, %%rbx; or %%r14, %%rbx\n"
			     "mov %%rbx, %[out]\n"
			     : [out] "=&D" (r8v), "+a" (number), "=&d" (rdx), "+r" (r8), "+r" (r9),
			       "+r" (r10)
			     : [a] "m" (bx), [b] "m" (r12), [c] "m" (r13), [d] "m" (r14)
			     : "rbx", "r12", "r13", "r14", "rcx", "r11", "memory");
		CHECK(number == getpid() && r8v == 0 && rdx == 0x7777);
		CHECK(r8 == 0x8888ul + i && r9 == 0x9999ul + i && r10 == 0xaaaaul + i);
	}
}

/* RCX must hold the return address and R11 the flags, as after SYSCALL in user mode. */
static void rcx_and_r11(void)
{
	unsigned long rcx, r11, after, number = SYS_getpid;

	asm volatile("syscall\n1: lea 1b(%%rip), %%rdx\n"
		     : "+a" (number), "=c" (rcx), "=&d" (after) : : "r11", "memory");
	number = SYS_getpid;
	asm volatile("syscall; mov %%r11, %0" : "=r" (r11), "+a" (number) : : "rcx", "r11", "memory");
	CHECK(rcx == after);
	CHECK((r11 & 0x202) == 0x202);
}

/* The same of a site that has been called before, whatever the call does. */
static unsigned long r11_of(unsigned long number)
{
	unsigned long r11;

	asm volatile("mov %1, -64(%%rsp)\n\t"
		     "mov -64(%%rsp), %%rax\n\t"
		     "syscall\n\t"
		     "mov %%r11, %0"
		     : "=r" (r11) : "r" (number), "D" (-1l), "S" (0l), "d" (0l) : "rax", "rcx", "r11", "memory");
	return r11;
}

static void r11_of_many_calls(void)
{
	static const unsigned long numbers[] = { SYS_getpid, SYS_read, SYS_sched_yield, SYS_getppid, SYS_close, 100000 };
	const unsigned long undefined = 0x8d5 /* arithmetic */ | 1 << 18 /* AC: set in kernel mode */;

	for (int round = 0; round < 600; round++)
		CHECK((r11_of(numbers[round % 6]) & ~undefined) == 0x202);
}

static unsigned long flags_after_getpid(unsigned long set)
{
	unsigned long flags, number = SYS_getpid;

	asm volatile("pushfq; orq %[set], (%%rsp); popfq\n"
		     "syscall\n"
		     "pushfq; popq %[flags]; cld\n"
		     "pushfq; andq $~0x44000, (%%rsp); popfq\n"
		     : [flags] "=&r" (flags), "+a" (number) : [set] "r" (set)
		     : "rcx", "r11", "memory", "cc");
	return flags;
}

static void direction_flag(void)
{
	CHECK(flags_after_getpid(0x400) & 0x400);
	CHECK(!(flags_after_getpid(0) & 0x400));
}

static void nested_task_flag(void)
{
	CHECK(flags_after_getpid(0x4000) & 0x4000);
}

static void alignment_check_flag(void)
{
	char buffer[8] = { 0 };

	/* Cleared in the middle of a program it must not make the next access fatal. */
	asm volatile("pushfq; andq $~0x40000, (%%rsp); popfq; movl $1, (%0)"
		     : : "r" (buffer) : "memory", "cc");
	CHECK(buffer[0] == 1);
	CHECK(getpid() > 0);
}

static void floating_point(void)
{
	double expected = 0;

	arm();
	for (int i = 1; i < 1000; i++)
		expected += 1.0 / i;
	while (!over) {
		double sum = 0;

		for (int i = 1; i < 1000; i++)
			sum += 1.0 / i;
		CHECK(sum == expected);
	}
}

/* Two processes with different vector registers, preempted by each other. */
static void vector_registers(void)
{
	pid_t child = fork();
	unsigned long pattern = child ? 0x0123456789abcdef : 0xfedcba9876543210;
	int status;

	arm();
	while (!over) {
		unsigned long seen;

		asm volatile("movq %1, %%xmm7\n"
			     "mov $100000, %%ecx\n1: dec %%ecx\njnz 1b\n"
			     "movq %%xmm7, %0\n"
			     : "=r" (seen) : "r" (pattern) : "rcx", "xmm7", "cc");
		CHECK(seen == pattern);
	}
	if (!child)
		_exit(0);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(void)
{
	const struct test_case cases[] = {
		{ "red zone under timer interrupts", red_zone_under_interrupts },
		{ "red zone under system calls", red_zone_under_system_calls },
		{ "registers over system calls", callee_saved_over_system_calls },
		{ "RCX and R11 after a system call", rcx_and_r11 },
		{ "R11 after many system calls at one site", r11_of_many_calls },
		{ "direction flag over a system call", direction_flag },
		{ "nested task flag over a system call", nested_task_flag },
		{ "alignment check flag cleared", alignment_check_flag },
		{ "floating point across preemption", floating_point },
		{ "vector registers across preemption", vector_registers },
	};

	return RUN(cases);
}
