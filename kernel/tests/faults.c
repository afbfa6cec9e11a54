// SPDX-License-Identifier: GPL-2.0
/* Exceptions: what a fault does to a program must not depend on its privilege. */
#include "test.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <ucontext.h>

#define PAGE 4096

static void *map(int protection)
{
	void *memory = mmap(NULL, PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(memory != MAP_FAILED);
	return memory;
}

static void read_null(void)
{
	(void)*(volatile char *)8;
}

static void read_unmapped(void)
{
	volatile char *memory = map(PROT_READ);

	CHECK(!munmap((void *)memory, PAGE));
	(void)*memory;
}

static void write_read_only(void)
{
	*(volatile char *)map(PROT_READ) = 1;
}

static void write_text(void)
{
	*(volatile char *)write_text = 1;
}

static void access_none(void)
{
	(void)*(volatile char *)map(PROT_NONE);
}

static void execute_not_executable(void)
{
	char *code = map(PROT_READ | PROT_WRITE);

	*code = (char)0xc3;
	((void (*)(void))code)();
}

static void jump_to(unsigned long address)
{
	asm volatile("jmp *%0" : : "r" (address));
}

static void jump_to_null(void)
{
	jump_to(0);
}

static void jump_to_non_canonical(void)
{
	jump_to(0x0000900000000000);
}

static void undefined_instruction(void)
{
	asm volatile("ud2");
}

static void breakpoint(void)
{
	asm volatile("int3");
}

static void divide_by_zero(void)
{
	asm volatile("xor %%ecx, %%ecx; mov $1, %%eax; cltd; idiv %%ecx" : : : "rax", "rcx", "rdx");
}

static void single_step_trap(void)
{
	asm volatile("pushfq; orq $0x100, (%rsp); popfq; nop; nop");
}

static volatile sig_atomic_t caught;
static volatile unsigned long caught_address;

static void on_fault(int number, siginfo_t *info, void *context)
{
	ucontext_t *user = context;

	caught = number;
	caught_address = (unsigned long)info->si_addr;
	user->uc_mcontext.gregs[REG_RIP] = user->uc_mcontext.gregs[REG_R8];
}

static void catch(int number)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	CHECK(!sigaction(number, &action, NULL));
}

static void caught_and_left(void)
{
	char *memory = map(PROT_READ);

	catch(SIGSEGV);
	for (int i = 0; i < 100; i++) {
		caught = 0;
		asm volatile("lea 1f(%%rip), %%r8; movb $1, (%0); 1:" : : "r" (memory + i) : "r8", "memory");
		CHECK(caught == SIGSEGV && caught_address == (unsigned long)memory + i);
	}
}

static void caught_breakpoints(void)
{
	catch(SIGTRAP);
	for (int i = 0; i < 100; i++) {
		caught = 0;
		asm volatile("lea 1f(%%rip), %%r8; int3; 1:" : : : "r8", "memory");
		CHECK(caught == SIGTRAP);
	}
}

static void demand_paging(void)
{
	const size_t pages = 2000;
	char *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(memory != MAP_FAILED);
	for (size_t i = 0; i < pages; i++)
		memory[i * PAGE] = i;
	for (size_t i = 0; i < pages; i++)
		CHECK(memory[i * PAGE] == (char)i);
}

static __attribute__((noinline)) int deep(int levels)
{
	volatile char frame[PAGE];

	frame[0] = levels;
	return levels ? deep(levels - 1) + frame[0] : 0;
}

static void stack_growth(void)
{
	CHECK(deep(1000) != 1);		/* 4 MB of the usual 8 */
}

static void stack_exhaustion(void)
{
	const struct rlimit limit = { 1 << 20, 1 << 20 };

	CHECK(!setrlimit(RLIMIT_STACK, &limit));
	deep(1 << 20);
}

int main(void)
{
	const struct test_case cases[] = {
		{ "read at null", read_null, SIGSEGV },
		{ "read of unmapped memory", read_unmapped, SIGSEGV },
		{ "write to read-only memory", write_read_only, SIGSEGV },
		{ "write to program text", write_text, SIGSEGV },
		{ "access to PROT_NONE", access_none, SIGSEGV },
		{ "execution of data", execute_not_executable, SIGSEGV },
		{ "jump to null", jump_to_null, SIGSEGV },
		{ "jump to a non-canonical address", jump_to_non_canonical, SIGSEGV },
		{ "ud2", undefined_instruction, SIGILL },
		{ "int3", breakpoint, SIGTRAP },
		{ "division by zero", divide_by_zero, SIGFPE },
		{ "trap flag", single_step_trap, SIGTRAP },
		{ "faults caught by a handler", caught_and_left },
		{ "breakpoints caught by a handler", caught_breakpoints },
		{ "demand paging", demand_paging },
		{ "stack growth", stack_growth },
		{ "stack exhaustion", stack_exhaustion, SIGSEGV },
	};

	return RUN(cases);
}
