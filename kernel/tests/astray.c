// SPDX-License-Identifier: GPL-2.0
/*
 * Programs that lost their way: RIP, RSP and signal frames that point nowhere or into the kernel.
 * The kernel must end the program, as it ends one in user mode, and live on.
 */
#include "test.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>

static void jump_to(unsigned long address)
{
	asm volatile("jmp *%0" : : "r" (address));
}

static void jump_to_vsyscall(void)
{
	jump_to(0xffffffffff600000);
}

static void jump_to_unmapped_kernel(void)
{
	jump_to(0xffffff8000001000);
}

static void jump_to_top(void)
{
	jump_to(0xfffffffffffffff0);
}

/* Touch the stack with RSP at `address`. */
static void stack_at(unsigned long address)
{
	asm volatile("mov %0, %%rsp; push %%rax; pop %%rax" : : "r" (address) : "memory");
}

static void stack_at_null(void)
{
	stack_at(0);
}

static void stack_non_canonical(void)
{
	stack_at(0x0000900000000000);
}

static void stack_unmapped(void)
{
	stack_at(0x10000);
}

/* Spin with RSP at `address` until a timer interrupt and the alarm behind it arrive. */
static void spin_at(unsigned long address)
{
	signal(SIGALRM, SIG_DFL);
	alarm_soon();
	asm volatile("mov %0, %%rsp; 1: jmp 1b" : : "r" (address) : "memory");
}

static void interrupts_with_null_stack(void)
{
	spin_at(0);
}

static void interrupts_with_non_canonical_stack(void)
{
	spin_at(0x0000900000000000);
}

/* Enter the kernel with RSP at `address`; the system call itself must work. */
static long getpid_at(unsigned long address)
{
	long number = SYS_getpid;

	asm volatile("mov %%rsp, %%r12; mov %[address], %%rsp; syscall; mov %%r12, %%rsp"
		     : "+a" (number) : [address] "r" (address) : "rcx", "r11", "r12", "memory");
	return number;
}

static void system_calls_with_odd_stacks(void)
{
	const pid_t pid = getpid();

	CHECK(getpid_at(0) == pid);
	CHECK(getpid_at(0x10001) == pid);
	CHECK(getpid_at(0x0000900000000000) == pid);
}

static unsigned long next_ip;

static void redirect(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	signal(SIGSEGV, SIG_DFL);
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] = next_ip;
}

static void return_from_signal_to(unsigned long ip)
{
	struct sigaction action = { .sa_sigaction = redirect, .sa_flags = SA_SIGINFO };

	next_ip = ip;
	CHECK(!sigaction(SIGUSR1, &action, NULL));
	raise(SIGUSR1);
}

static void sigreturn_to_kernel(void)
{
	return_from_signal_to(0xffffffff81000000);
}

static void sigreturn_to_non_canonical(void)
{
	return_from_signal_to(0x0000900000000000);
}

static void sigreturn_to_top(void)
{
	return_from_signal_to(0xfffffffffffffff0);
}

static void sigreturn_without_frame(void)
{
	asm volatile("mov %0, %%rsp; mov $15, %%eax; syscall" : : "r" (8ul) : "memory");
}

int main(void)
{
	const struct test_case cases[] = {
		{ "jump to the vsyscall page", jump_to_vsyscall, SIGSEGV },
		{ "jump to unmapped kernel memory", jump_to_unmapped_kernel, SIGSEGV },
		{ "jump to the last addresses", jump_to_top, SIGSEGV },
		{ "push at null", stack_at_null, SIGSEGV },
		{ "push at a non-canonical address", stack_non_canonical, SIGBUS, SIGSEGV },
		{ "push at an unmapped address", stack_unmapped, SIGSEGV },
		{ "timer interrupts with RSP null", interrupts_with_null_stack, SIGALRM },
		{ "timer interrupts with RSP non-canonical", interrupts_with_non_canonical_stack, SIGALRM },
		{ "system calls with odd stacks", system_calls_with_odd_stacks },
		{ "sigreturn to a kernel address", sigreturn_to_kernel, SIGSEGV },
		{ "sigreturn to a non-canonical address", sigreturn_to_non_canonical, SIGSEGV },
		{ "sigreturn to the last addresses", sigreturn_to_top, SIGSEGV },
		{ "sigreturn without a frame", sigreturn_without_frame, SIGSEGV },
	};

	return RUN(cases);
}
