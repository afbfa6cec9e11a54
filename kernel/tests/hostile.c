// SPDX-License-Identifier: GPL-2.0
/*
 * States in which no program should enter the kernel: RIP, RSP and the GS base in the kernel half,
 * odd flags, behind a SWAPGS, inside the kernel's entry code. The kernel must tell them from its own.
 */
#include "test.h"

#include <stdbool.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>

#define PAGE			4096
#define HUGE_PAGE		(2ul << 20)
#define UNMAPPED_KERNEL		0xffffff8000001000
#define VSYSCALL		0xffffffffff600000
#define NON_CANONICAL		0x0000900000000000
#define MSR_LSTAR		0xc0000082
#define SWAPGS_SIZE		3
#define HWCAP2_FSGSBASE_BIT	(1 << 1)

static bool kernel_mode;

/* RSP in the kernel half. */
static void push_in_the_kernel_half(void)
{
	asm volatile("mov %0, %%rsp; push %%rax" : : "r" (UNMAPPED_KERNEL) : "memory");
}

static void spin_in_the_kernel_half(void)
{
	alarm_soon();
	asm volatile("mov %0, %%rsp; 1: jmp 1b" : : "r" (UNMAPPED_KERNEL) : "memory");
}

static void fault_in_the_kernel_half(void)
{
	asm volatile("mov %0, %%rsp; movb $0, 8" : : "r" (UNMAPPED_KERNEL) : "memory");
}

static const unsigned long kernel_addresses[] = {
	0x8000000000000000, 0xffff800000000000, UNMAPPED_KERNEL, VSYSCALL, 0xfffffffffffffff0,
};

#define ADDRESSES (sizeof(kernel_addresses) / sizeof(kernel_addresses[0]))

static void both_in_the_kernel_half(void)
{
	for (size_t i = 0; i < ADDRESSES; i++) {
		for (size_t j = 0; j < ADDRESSES; j++) {
			int status;
			pid_t child = fork();

			if (!child)
				asm volatile("mov %0, %%rsp; jmp *%1"
					     : : "r" (kernel_addresses[j]), "r" (kernel_addresses[i]) : "memory");
			CHECK(child > 0 && waitpid(child, &status, 0) == child);
			CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
		}
	}
}

/* The trap comes behind the jump, at the target. */
static void single_step_into_the_kernel_half(void)
{
	asm volatile("pushfq; orq $0x100, (%%rsp); popfq; jmp *%0" : : "r" (UNMAPPED_KERNEL) : "memory");
}

static void single_step_with_both(void)
{
	asm volatile("pushfq; orq $0x100, (%%rsp); mov %%rsp, %%rcx; popfq; mov %0, %%rsp; jmp *%0"
		     : : "r" (UNMAPPED_KERNEL) : "rcx", "memory");
}

/* What may happen to a program in between. Keeps all registers that matter to the caller. */
static volatile sig_atomic_t caught;

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	caught = number;
}

static void catch(int number)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	CHECK(!sigaction(number, &action, NULL));
}

static volatile char *fresh_pages(void)
{
	void *memory = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(memory != MAP_FAILED);
	return memory;
}

static void gs_base_in_the_kernel_half(void)
{
	const unsigned long bases[] = { 0xffff800000000000, UNMAPPED_KERNEL, VSYSCALL, 0xfffffffffffffff8,
					0xffff888000000000 };

	if (!(getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT))
		return;
	catch(SIGTRAP);
	catch(SIGALRM);
	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		volatile char *memory = fresh_pages();
		unsigned long base;

		asm volatile("wrgsbase %0" : : "r" (bases[i]));
		for (int page = 0; page < 64; page++) {
			memory[page * PAGE] = 1;
			syscall(SYS_sched_yield);
		}
		caught = 0;
		asm volatile("int3");
		CHECK(caught == SIGTRAP);
		caught = 0;
		alarm_soon();
		while (!caught)
			;
		asm volatile("rdgsbase %0" : "=r" (base));
		CHECK(base == bases[i]);
	}
}

/* Behind a SWAPGS the program has the kernel's GS base. At CPL 3 SWAPGS itself ends it. */
static void swapgs_and_spin(void)
{
	alarm_soon();
	asm volatile("swapgs; 1: jmp 1b");
}

static void swapgs_and_fault(void)
{
	asm volatile("swapgs; movb $0, 8" : : : "memory");
}

static void swapgs_and_break(void)
{
	asm volatile("swapgs; int3");
}

static void swapgs_and_single_step(void)
{
	asm volatile("swapgs; pushfq; orq $0x100, (%%rsp); popfq; nop; nop" : : : "memory");
}

static void swapgs_and_lose_the_stack(void)
{
	asm volatile("swapgs; xor %%esp, %%esp; push %%rax" : : : "memory");
}

/* SWAPGS at the SYSCALL entry brings the program's GS base back: the entry code faults. */
static void swapgs_and_system_call(void)
{
	asm volatile("swapgs; syscall" : : "a" (SYS_getpid) : "rcx", "r11", "memory");
}

/* A fault repairs it. Then everything must work as before. */
static void swapgs_and_go_on(void)
{
	volatile char *memory = fresh_pages();

	for (int page = 0; page < 64; page++) {
		asm volatile("swapgs" : : : "memory");
		memory[page * PAGE] = 1;
		CHECK(syscall(SYS_getppid) > 0);
	}
}

static unsigned long system_call_entry(void)
{
	unsigned int low, high;

	asm volatile("rdmsr" : "=a" (low), "=d" (high) : "c" (MSR_LSTAR));
	return (unsigned long)high << 32 | low;
}

static void jump_into_the_system_call_entry(unsigned long offset)
{
	const unsigned long entry = kernel_mode ? system_call_entry() : VSYSCALL;

	asm volatile("lea 1f(%%rip), %%rcx; mov $0x202, %%r11d; jmp *%0; 1: ud2"
		     : : "r" (entry + offset), "a" (-1ul) : "rcx", "r11", "memory");
}

static void jump_to_the_system_call_entry(void)
{
	jump_into_the_system_call_entry(0);
}

static void jump_behind_its_swapgs(void)
{
	jump_into_the_system_call_entry(SWAPGS_SIZE);
}

/* Flags at every way in. TF has tests of its own, AC is always set at CPL 0. */
#define FLAG_CF			(1ul << 0)
#define FLAG_DF			(1ul << 10)
#define FLAG_IOPL		(3ul << 12)
#define FLAG_NT			(1ul << 14)
#define FLAG_AC			(1ul << 18)
#define FLAG_ID			(1ul << 21)

#define WITH_FLAGS(change, instructions) ({						\
	unsigned long before, after;							\
											\
	asm volatile("pushfq; xorq %[changed], (%%rsp); popfq; pushfq; pop %[old];"	\
		     instructions							\
		     "pushfq; pop %[new]; pushq $0x202; popfq; cld"			\
		     : [old] "=&r" (before), [new] "=&r" (after)			\
		     : [changed] "r" (change), "a" (SYS_getpid), "D" (memory)		\
		     : "rcx", "r11", "memory", "cc");					\
	(before ^ after) & ~(FLAG_AC | 0x8d5);						\
})

static void flags_at_every_way_in(void)
{
	static const unsigned long flags[] = { FLAG_DF, FLAG_NT, FLAG_ID, FLAG_AC, FLAG_IOPL, FLAG_CF,
					       FLAG_DF | FLAG_NT | FLAG_ID | FLAG_IOPL };

	catch(SIGTRAP);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		volatile char *memory = fresh_pages();

		CHECK(!WITH_FLAGS(flags[i], "syscall;"));
		CHECK(!WITH_FLAGS(flags[i], "movb $1, (%%rdi);"));
		CHECK(!WITH_FLAGS(flags[i], "int3;"));
		CHECK(!WITH_FLAGS(flags[i], "mov $30000000, %%ecx; 1: dec %%ecx; jnz 1b;"));
	}
}

static void sysenter(void)
{
	asm volatile("mov $0x1234, %%esp; sysenter" : : "a" (SYS_getpid) : "memory");
}

static void unknown_system_calls(void)
{
	const long numbers[] = { -1, -2, 0x7fffffff, 0x40000000, 0x40000000 + SYS_getpid, 1000, 1l << 31 };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		long result = numbers[i];

		asm volatile("syscall" : "+a" (result) : : "rcx", "r11", "memory");
		CHECK(result == -ENOSYS);
	}
}

/*
 * IRET of the program itself: to where it would be, and to nowhere. At CPL 3 that needs no care of the
 * kernel, but QEMU 7.2 reads the frame as a supervisor would, against SMAP, and the kernel oopses.
 */
static void iret_to(unsigned long ip, unsigned long cs, unsigned long ss)
{
	asm volatile("mov %%rsp, %%rcx; push %2; push %%rcx; pushfq; push %1;"
		     "test %0, %0; jnz 1f; lea 2f(%%rip), %0; 1: push %0; iretq; 2:"
		     : "+r" (ip) : "r" (cs), "r" (ss) : "rcx", "memory", "cc");
}

static void iret_to_itself(void)
{
	if (kernel_mode)
		iret_to(0, 0x33, 0x2b);
	CHECK(syscall(SYS_getpid) == getpid());
	raise(SIGCONT);
}

static void iret_to_nowhere(void)
{
	if (!kernel_mode)
		raise(SIGSEGV);
	iret_to(NON_CANONICAL, 0x33, 0x2b);
}

static void iret_to_bad_segments(void)
{
	if (!kernel_mode)
		raise(SIGSEGV);
	iret_to(0, 0xfffb, 0x2b);
}

static void bad_data_segment(void)
{
	asm volatile("mov %0, %%ds" : : "r" (0xfffb));
}

static void bad_stack_segment(void)
{
	asm volatile("mov %0, %%ss" : : "r" (0xfffb));
}

static void null_segments(void)
{
	asm volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%gs" : : "r" (0));
	CHECK(syscall(SYS_sched_yield) == 0);
}

static void on_overflow(int number)
{
	(void)number;
	_exit(0);
}

static void pushes_without_end(void)
{
	const struct rlimit limit = { 1 << 20, 1 << 20 };
	static char alternate[16 * PAGE];
	const stack_t stack = { .ss_sp = alternate, .ss_size = sizeof(alternate) };
	struct sigaction action = { .sa_handler = on_overflow, .sa_flags = SA_ONSTACK };

	CHECK(!setrlimit(RLIMIT_STACK, &limit));
	CHECK(!sigaltstack(&stack, NULL));
	CHECK(!sigaction(SIGSEGV, &action, NULL));
	asm volatile("1: push %%rax; jmp 1b" : : : "memory");
}

static char *huge_page(int protection)
{
	char *memory = mmap(NULL, 2 * HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *aligned = (char *)(((unsigned long)memory + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));

	CHECK(memory != MAP_FAILED);
	madvise(aligned, HUGE_PAGE, MADV_HUGEPAGE);
	memset(aligned, 0xc3, HUGE_PAGE);
	CHECK(!mprotect(aligned, HUGE_PAGE, protection));
	return aligned;
}

static void execution_of_a_huge_page(void)
{
	((void (*)(void))huge_page(PROT_READ | PROT_EXEC))();
}

static void execution_of_a_huge_data_page(void)
{
	((void (*)(void))huge_page(PROT_READ | PROT_WRITE))();
}

static void execution_across_the_end(void)
{
	char *memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(memory != MAP_FAILED && !munmap(memory + PAGE, PAGE));
	memory[PAGE - 1] = (char)0xb8;	/* the first byte of five */
	((void (*)(void))(memory + PAGE - 1))();
}

/* Signals whose frames start at every alignment. */
static void unaligned_stacks(void)
{
	catch(SIGTRAP);
	for (long shift = 0; shift < 32; shift++) {
		caught = 0;
		asm volatile("mov %%rsp, %%r12; sub %0, %%rsp; sub $256, %%rsp; int3; mov %%r12, %%rsp"
			     : : "r" (shift) : "r12", "memory");
		CHECK(caught == SIGTRAP);
	}
}

int main(void)
{
	kernel_mode = current_privilege_level() == 0;

	const struct test_case cases[] = {
		{ "push in the kernel half", push_in_the_kernel_half, SIGSEGV, SIGBUS },
		{ "timer interrupts with RSP in the kernel half", spin_in_the_kernel_half, SIGALRM },
		{ "page fault with RSP in the kernel half", fault_in_the_kernel_half, SIGSEGV },
		{ "RIP and RSP in the kernel half", both_in_the_kernel_half },
		{ "single step into the kernel half", single_step_into_the_kernel_half, SIGTRAP },
		{ "single step with RIP and RSP in the kernel half", single_step_with_both, SIGTRAP },
		{ "GS base in the kernel half", gs_base_in_the_kernel_half },
		{ "SWAPGS, timer interrupts", swapgs_and_spin, kernel_mode ? SIGALRM : SIGSEGV },
		{ "SWAPGS, page fault", swapgs_and_fault, SIGSEGV },
		{ "SWAPGS, breakpoint", swapgs_and_break, kernel_mode ? SIGTRAP : SIGSEGV },
		{ "SWAPGS, single step", swapgs_and_single_step, kernel_mode ? SIGTRAP : SIGSEGV },
		{ "SWAPGS, push at null", swapgs_and_lose_the_stack, SIGSEGV },
		{ "SWAPGS, system call", swapgs_and_system_call, SIGSEGV },
		{ "SWAPGS, repaired by a page fault", swapgs_and_go_on, kernel_mode ? 0 : SIGSEGV },
		{ "jump to the system call entry", jump_to_the_system_call_entry, SIGSEGV, SIGILL },
		{ "jump behind its SWAPGS", jump_behind_its_swapgs, SIGSEGV },
		{ "flags at every way in", flags_at_every_way_in },
		{ "sysenter", sysenter, SIGSEGV, SIGILL },
		{ "unknown system calls", unknown_system_calls },
		{ "iret", iret_to_itself },
		{ "iret to a non-canonical address", iret_to_nowhere, SIGSEGV },
		{ "iret to a bad CS", iret_to_bad_segments, SIGSEGV },
		{ "bad data segment", bad_data_segment, SIGSEGV },
		{ "bad stack segment", bad_stack_segment, SIGSEGV },
		{ "null segments", null_segments },
		{ "pushes without end", pushes_without_end },
		{ "execution of a huge page", execution_of_a_huge_page },
		{ "execution of a huge data page", execution_of_a_huge_data_page, SIGSEGV },
		{ "execution across the end of a mapping", execution_across_the_end, SIGSEGV },
		{ "unaligned stacks", unaligned_stacks },
	};

	return RUN(cases);
}
