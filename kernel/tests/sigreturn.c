// SPDX-License-Identifier: GPL-2.0
/*
 * Signal frames and tracers that ask for segments, flags and addresses of all kinds. Whatever would
 * not run as 64-bit code at the user's segments ends the program.
 */
#include "test.h"

#include <asm/ldt.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <ucontext.h>

#define USER_CS			0x33
#define USER_SS			0x2b
#define UC_STRICT_RESTORE_SS	4
#define KERNEL_ADDRESS		0xffffffff81000000
#define NON_CANONICAL		0x0000900000000000

/* The code a frame returns to: exit status 0 as 64-bit code, SIGSEGV as 32-bit code. */
asm(".pushsection .text; target: .byte 0x8b, 0x05, 0, 0, 0, 0;"
    "mov $60, %eax; xor %edi, %edi; syscall; ud2; .popsection");
extern char target[];

struct wish {
	unsigned int cs, ss;
	unsigned long ip, sp, flags, uc_flags_off;
};

static struct wish wish;

static void grant(int number, siginfo_t *info, void *context)
{
	ucontext_t *user = context;
	greg_t *registers = user->uc_mcontext.gregs;

	(void)number;
	(void)info;
	registers[REG_RIP] = wish.ip;
	registers[REG_RSP] = wish.sp;
	registers[REG_EFL] ^= wish.flags;
	/* cs, gs, fs, ss: 16 bits each */
	registers[REG_CSGSFS] = wish.cs | (long)wish.ss << 48;
	user->uc_flags &= ~wish.uc_flags_off;
}

/* The wait status of a child that returns from a signal as wished. */
static int outcome(struct wish wished)
{
	struct sigaction action = { .sa_sigaction = grant, .sa_flags = SA_SIGINFO };
	int status;
	pid_t child;

	wish = wished;
	if (!wish.ip)
		wish.ip = (unsigned long)target;
	child = fork();
	if (!child) {
		CHECK(!sigaction(SIGUSR1, &action, NULL));
		raise(SIGUSR1);
		_exit(1);
	}
	CHECK(child > 0 && waitpid(child, &status, 0) == child);

	return status;
}

static bool killed(int status, int number)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == number;
}

static void add_ldt_segments(void)
{
	struct user_desc code = { .entry_number = 0, .limit = 0xfffff, .seg_32bit = 1, .contents = 2,
				  .limit_in_pages = 1, .useable = 1 };
	struct user_desc data = { .entry_number = 1, .limit = 0xfffff, .seg_32bit = 1,
				  .limit_in_pages = 1, .useable = 1 };

	CHECK(!syscall(SYS_modify_ldt, 1, &code, sizeof(code)));
	CHECK(!syscall(SYS_modify_ldt, 1, &data, sizeof(data)));
}

/* RPL is forced to 3. Among them: null, the kernel's, 32-bit, LDT (4, 12), TSS, beyond the table. */
static const unsigned int selectors[] = {
	0, 1, 3, 4, 7, 8, 0x0b, 0x0c, 0x0f, 0x10, 0x13, 0x18, 0x1b, 0x20, 0x23, 0x28, 0x2b, 0x30, 0x33,
	0x3b, 0x40, 0x43, 0x4b, 0x63, 0x7b, 0x83, 0xfb, 0x1ff, 0x7fff, 0xffff,
};

#define SELECTORS (sizeof(selectors) / sizeof(selectors[0]))

static void every_cs(void)
{
	add_ldt_segments();
	for (size_t i = 0; i < SELECTORS; i++) {
		const int status = outcome((struct wish){ .cs = selectors[i], .ss = USER_SS });
		const bool fine = (selectors[i] | 3) == USER_CS;

		if (fine ? status != 0 : !killed(status, SIGSEGV))
			fprintf(stderr, "CS %#x: wait status %#x\n", selectors[i], status);
		CHECK(fine ? status == 0 : killed(status, SIGSEGV));
	}
}

/* The data segment of the LDT is good for a user's SS; a kernel-mode program has no choice. */
static void every_ss(void)
{
	const bool kernel_mode = current_privilege_level() == 0;

	add_ldt_segments();
	for (size_t i = 0; i < SELECTORS; i++) {
		const int status = outcome((struct wish){ .cs = USER_CS, .ss = selectors[i] });
		const bool fine = (selectors[i] | 3) == USER_SS ||
				  (!kernel_mode && (selectors[i] | 3) == 0x0f);

		if (fine ? status != 0 : !killed(status, SIGSEGV))
			fprintf(stderr, "SS %#x: wait status %#x\n", selectors[i], status);
		CHECK(fine ? status == 0 : killed(status, SIGSEGV));
	}
}

static void a_bad_ss_that_the_kernel_may_mend(void)
{
	CHECK(outcome((struct wish){ .cs = USER_CS, .uc_flags_off = UC_STRICT_RESTORE_SS }) == 0);
}

static void every_flag(void)
{
	for (unsigned int bit = 0; bit < 64; bit++) {
		const int status = outcome((struct wish){ .cs = USER_CS, .ss = USER_SS, .flags = 1ul << bit });
		const bool trap = bit == 8;

		if (trap ? !killed(status, SIGTRAP) : status != 0)
			fprintf(stderr, "flag %u: wait status %#x\n", bit, status);
		CHECK(trap ? killed(status, SIGTRAP) : status == 0);
	}
}

static const unsigned long lost[] = {
	8, NON_CANONICAL, 0x00007ffffffff000, 0x8000000000000000, KERNEL_ADDRESS, 0xffff800000000000,
	0xffff888000000000, 0xffffc90000000000, 0xfffffe0000000000, 0xffffffffa0000000,
	0xffffffffff600000, 0xfffffffffffffffe,
};

#define LOST (sizeof(lost) / sizeof(lost[0]))

static void every_ip(void)
{
	for (size_t i = 0; i < LOST; i++) {
		const int status = outcome((struct wish){ .cs = USER_CS, .ss = USER_SS, .ip = lost[i] });

		CHECK(killed(status, SIGSEGV));
	}
}

static void every_sp(void)
{
	for (size_t i = 0; i < LOST; i++)
		CHECK(outcome((struct wish){ .cs = USER_CS, .ss = USER_SS, .sp = lost[i] }) == 0);
}

static void every_ip_and_sp(void)
{
	for (size_t i = 0; i < LOST; i++) {
		for (size_t j = 0; j < LOST; j++) {
			const int status = outcome((struct wish){ .cs = USER_CS, .ss = USER_SS,
								  .ip = lost[i], .sp = lost[j] });

			CHECK(killed(status, SIGSEGV));
		}
	}
}

static void bad_floating_point_state(void)
{
	const unsigned long pointers[] = { 1, 8, NON_CANONICAL, KERNEL_ADDRESS, 0xffffffffffffff00 };

	for (size_t i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++) {
		struct { unsigned long back; ucontext_t user; siginfo_t info; } frame = { };
		int status;
		pid_t child = fork();

		if (!child) {
			frame.user.uc_mcontext.gregs[REG_RIP] = (greg_t)target;
			frame.user.uc_mcontext.gregs[REG_CSGSFS] = USER_CS | (long)USER_SS << 48;
			frame.user.uc_mcontext.fpregs = (void *)pointers[i];
			asm volatile("mov %0, %%rsp; mov $15, %%eax; syscall; ud2" : : "r" (&frame.user)
				     : "memory");
		}
		CHECK(waitpid(child, &status, 0) == child);
		CHECK(killed(status, SIGSEGV));
	}
}

static pid_t stopped_child(void)
{
	int status;
	pid_t child = fork();

	if (!child) {
		CHECK(!ptrace(PTRACE_TRACEME, 0, 0, 0));
		raise(SIGSTOP);
		_exit(1);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSTOPPED(status));

	return child;
}

/* Set the child's registers. Either that is refused, or the child gets the signal or ends. */
static int traced_outcome(pid_t child, const struct user_regs_struct *registers)
{
	int status, unused;

	if (ptrace(PTRACE_SETREGS, child, 0, registers)) {
		CHECK(errno == EIO);
		status = SIGSEGV;
	} else {
		CHECK(!ptrace(PTRACE_CONT, child, 0, 0));
		CHECK(waitpid(child, &status, 0) == child);
		if (WIFSTOPPED(status))
			status = WSTOPSIG(status);
	}
	if (!WIFEXITED(status) || status) {
		kill(child, SIGKILL);
		CHECK(waitpid(child, &unused, 0) == child);
	}

	return status;
}

static struct user_regs_struct registers_of(pid_t child)
{
	struct user_regs_struct registers;

	CHECK(!ptrace(PTRACE_GETREGS, child, 0, &registers));
	registers.rip = (unsigned long)target;
	registers.orig_rax = -1;

	return registers;
}

static void tracer_sets_cs_and_ss(void)
{
	for (size_t i = 0; i < SELECTORS; i++) {
		pid_t child = stopped_child();
		struct user_regs_struct registers = registers_of(child);

		registers.cs = selectors[i];
		CHECK(traced_outcome(child, &registers) == (selectors[i] == USER_CS ? 0 : SIGSEGV));

		child = stopped_child();
		registers = registers_of(child);
		registers.ss = selectors[i];
		CHECK(traced_outcome(child, &registers) == (selectors[i] == USER_SS ? 0 : SIGSEGV));
	}
}

static void tracer_sets_flags(void)
{
	for (unsigned int bit = 0; bit < 64; bit++) {
		pid_t child = stopped_child();
		struct user_regs_struct registers = registers_of(child);

		registers.eflags ^= 1ul << bit;
		CHECK(traced_outcome(child, &registers) == (bit == 8 ? SIGTRAP : 0));
	}
}

static void tracer_sets_ip_and_sp(void)
{
	for (size_t i = 0; i < LOST; i++) {
		pid_t child = stopped_child();
		struct user_regs_struct registers = registers_of(child);

		registers.rip = lost[i];
		registers.rsp = lost[LOST - 1 - i];
		CHECK(traced_outcome(child, &registers) == SIGSEGV);

		child = stopped_child();
		registers = registers_of(child);
		registers.rsp = lost[i];
		CHECK(traced_outcome(child, &registers) == 0);
	}
}

static void tracer_sets_bases(void)
{
	for (size_t i = 3; i < LOST; i++) {
		pid_t child = stopped_child();
		struct user_regs_struct registers = registers_of(child);

		registers.gs_base = lost[i];
		CHECK(traced_outcome(child, &registers) == SIGSEGV);
	}
}

int main(void)
{
	const struct test_case cases[] = {
		{ "signal frames with every CS", every_cs },
		{ "signal frames with every SS", every_ss },
		{ "a bad SS that the kernel may mend", a_bad_ss_that_the_kernel_may_mend },
		{ "signal frames with every flag", every_flag },
		{ "signal frames with every RIP", every_ip },
		{ "signal frames with every RSP", every_sp },
		{ "signal frames with every RIP and RSP", every_ip_and_sp },
		{ "signal frames with a bad floating point state", bad_floating_point_state },
		{ "a tracer sets CS and SS", tracer_sets_cs_and_ss },
		{ "a tracer sets flags", tracer_sets_flags },
		{ "a tracer sets RIP and RSP", tracer_sets_ip_and_sp },
		{ "a tracer sets GS bases in the kernel half", tracer_sets_bases },
	};

	return RUN(cases);
}
