// SPDX-License-Identifier: GPL-2.0
/* ptrace of a process of the same kind: breakpoints, single steps, system calls, registers. */
#include "traced.h"

#include <stddef.h>
#include <sys/syscall.h>

static volatile long value;

static __attribute__((noinline)) void stop_here(void)
{
	value++;
	asm volatile("" : : : "memory");
}

static int resume(pid_t child, int request)
{
	int status;

	CHECK(!ptrace(request, child, 0, 0));
	CHECK(waitpid(child, &status, 0) == child);
	return status;
}

static void ended_well(int status)
{
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

static void software_breakpoint(void)
{
	pid_t child = traced(stop_here);
	const unsigned long address = (unsigned long)stop_here;
	const long code = ptrace(PTRACE_PEEKTEXT, child, address, 0);
	struct user_regs_struct registers;
	int status;

	CHECK(!ptrace(PTRACE_POKETEXT, child, address, (code & ~0xfful) | 0xcc));
	status = resume(child, PTRACE_CONT);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	registers = registers_of(child);
	CHECK(registers.rip == address + 1);
	CHECK((registers.cs & 3) == 3 && (registers.ss & 3) == 3);
	registers.rip = address;
	CHECK(!ptrace(PTRACE_POKETEXT, child, address, code));
	CHECK(!ptrace(PTRACE_SETREGS, child, 0, &registers));
	ended_well(resume(child, PTRACE_CONT));
}

static void hardware_breakpoint(void)
{
	pid_t child = traced(stop_here);
	int status;

	CHECK(!ptrace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg[0]), stop_here));
	CHECK(!ptrace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg[7]), 1));
	status = resume(child, PTRACE_CONT);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	CHECK(registers_of(child).rip == (unsigned long)stop_here);
	CHECK(!ptrace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg[7]), 0));
	ended_well(resume(child, PTRACE_CONT));
}

static void single_steps(void)
{
	pid_t child = traced(stop_here);
	int steps = 0, status;

	for (;;) {
		status = resume(child, PTRACE_SINGLESTEP);
		if (!WIFSTOPPED(status))
			break;
		CHECK(WSTOPSIG(status) == SIGTRAP);
		steps++;
	}
	CHECK(steps > 10);
	ended_well(status);
}

static void one_getpid(void)
{
	syscall(SYS_getpid);
}

static void system_call_stops(void)
{
	pid_t child = traced(one_getpid);
	int seen = 0, status;

	for (;;) {
		status = resume(child, PTRACE_SYSCALL);
		if (!WIFSTOPPED(status))
			break;
		seen += registers_of(child).orig_rax == SYS_getpid;
	}
	CHECK(seen == 2);
	ended_well(status);
}

static void forced_to_kernel_address(void)
{
	pid_t child = traced(stop_here);
	struct user_regs_struct registers = registers_of(child);
	int status;

	registers.rip = 0xffffffff81000000;
	if (!ptrace(PTRACE_SETREGS, child, 0, &registers)) {
		status = resume(child, PTRACE_CONT);
		CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSEGV);
	}
	kill(child, SIGKILL);
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
}

int main(void)
{
	const struct test_case cases[] = {
		{ "software breakpoint", software_breakpoint },
		{ "hardware breakpoint", hardware_breakpoint },
		{ "single steps", single_steps },
		{ "system call stops", system_call_stops },
		{ "tracer sets RIP to a kernel address", forced_to_kernel_address },
	};

	return RUN(cases);
}
