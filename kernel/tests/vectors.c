// SPDX-License-Identifier: GPL-2.0
/*
 * INT n for every n. At CPL 0 no gate refuses it, and most gates are not meant for it; the kernel
 * has to tell it from the exception or interrupt and do what the CPU does to a program at CPL 3.
 */
#include "test.h"

#include <stdbool.h>
#include <sys/mman.h>
#include <ucontext.h>

#define VECTORS		256
#define INT_SIZE	2
#define TIMER_VECTOR	0xec		/* LOCAL_TIMER_VECTOR of Linux */
#define NMI_VECTOR	2
#define TRAP_OF		4
#define TRAP_GP		13

static unsigned char *code;

/* Set where real NMIs come: INT 2 at the moment of one may end in SIGSEGV at null, as documented. */
static bool real_nmis;

/* Leave `int vector; ud2` at code. */
static void write_int(unsigned int vector)
{
	const unsigned char bytes[] = { 0xcd, vector, 0x0f, 0x0b };

	if (!code) {
		code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(code != MAP_FAILED);
	}
	memcpy(code, bytes, sizeof(bytes));
}

static void jump_to(const void *target)
{
	asm volatile("jmp *%0" : : "r" (target));
}

static int signal_of_int(unsigned int vector)
{
	int status;
	pid_t child;

	write_int(vector);
	child = fork();
	if (!child)
		jump_to(code);
	CHECK(child > 0 && waitpid(child, &status, 0) == child);

	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void every_vector_ends_the_program(void)
{
	for (unsigned int vector = 0; vector < VECTORS; vector++) {
		if (vector == NMI_VECTOR && real_nmis)
			continue;
		const int expected = vector == 3 ? SIGTRAP : SIGSEGV;
		const int number = signal_of_int(vector);

		if (number != expected)
			fprintf(stderr, "int %u: signal %d\n", vector, number);
		CHECK(number == expected);
	}
}

static volatile sig_atomic_t caught;
static volatile unsigned long caught_ip, caught_trap, caught_error;

static void on_signal(int number, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)info;
	caught = number;
	caught_ip = registers[REG_RIP];
	caught_trap = registers[REG_TRAPNO];
	caught_error = registers[REG_ERR];
	registers[REG_RIP] = registers[REG_R8];
}

static void catch(int number)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	CHECK(!sigaction(number, &action, NULL));
}

static void run_int(unsigned int vector)
{
	write_int(vector);
	caught = 0;
	asm volatile("lea 1f(%%rip), %%r8; jmp *%0; 1:" : : "r" (code) : "r8", "memory");
}

static void what_a_handler_sees(void)
{
	catch(SIGSEGV);
	for (unsigned int vector = 0; vector < VECTORS; vector++) {
		if (vector == 3 || vector == TRAP_OF || (vector == NMI_VECTOR && real_nmis))
			continue;
		run_int(vector);
		/* QEMU 7.2 emulates an error code of 16 * vector + 2. */
		if (caught_error != vector * 8 + 2 && caught_error != vector * 16 + 2)
			fprintf(stderr, "int %u: trap %lu, error %#lx\n", vector, caught_trap, caught_error);
		CHECK(caught == SIGSEGV && caught_trap == TRAP_GP);
		CHECK(caught_error == vector * 8 + 2 || caught_error == vector * 16 + 2);
		CHECK(caught_ip == (unsigned long)code);
	}
}

static void the_two_that_are_allowed(void)
{
	catch(SIGSEGV);
	catch(SIGTRAP);
	run_int(3);
	CHECK(caught == SIGTRAP && caught_ip == (unsigned long)code + INT_SIZE);
	run_int(TRAP_OF);
	CHECK(caught == SIGSEGV && caught_trap == TRAP_OF && caught_ip == (unsigned long)code + INT_SIZE);
}

static void icebp(void)
{
	asm volatile(".byte 0xf1");
}

/*
 * Real exceptions and interrupts just behind bytes that read as their INT n. RFLAGS.RF tells such a
 * fault from INT n, but QEMU 7.2 does not emulate RF.
 */
static void division_behind_its_int(void)
{
	asm volatile("xor %%ecx, %%ecx; mov $1, %%eax; cltd; jmp 1f; .byte 0xcd, 0; 1: idiv %%ecx"
		     : : : "rax", "rcx", "rdx");
}

static void undefined_behind_its_int(void)
{
	asm volatile("jmp 1f; .byte 0xcd, 6; 1: ud2");
}

static void timer_behind_its_int(void)
{
	signal(SIGALRM, SIG_DFL);
	alarm_soon();
	asm volatile("jmp 1f; .byte 0xcd, %c0; 1: jmp 1b" : : "i" (TIMER_VECTOR));
}

#define RF		0x10000

/* Return to the bytes at code with RF set, as a page fault at INT n leaves it. */
static void to_code_with_rf(int number, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)number, (void)info;
	registers[REG_R8] = registers[REG_RIP];
	registers[REG_RIP] = (unsigned long)code;
	registers[REG_EFL] |= RF;
}

/*
 * INT n that pushes RF set looks like a fault right behind it. By looks, nobody can tell INT 0 and INT 6 from
 * that; the others end the same way as ever.
 */
static void check_signal_of(unsigned int vector)
{
	const bool good = caught == SIGSEGV || (vector == 0 && caught == SIGFPE) ||
			  (vector == 3 && caught == SIGTRAP) || (vector == 6 && caught == SIGILL);

	if (!good)
		fprintf(stderr, "int %u: signal %d at code+%ld\n", vector, caught, caught_ip - (unsigned long)code);
	CHECK(good);
}

static void catch_all(void)
{
	catch(SIGSEGV);
	catch(SIGTRAP);
	catch(SIGFPE);
	catch(SIGILL);
}

static void what_looks_like_a_fault(void)
{
	const struct sigaction action = { .sa_sigaction = to_code_with_rf, .sa_flags = SA_SIGINFO };

	CHECK(!sigaction(SIGUSR1, &action, NULL));
	catch_all();
	for (unsigned int vector = 0; vector < VECTORS; vector++) {
		if (vector == NMI_VECTOR && real_nmis)
			continue;
		write_int(vector);
		caught = 0;
		raise(SIGUSR1);
		check_signal_of(vector);
	}
}

/* INT n while real interrupts and other programs' INT n come too. An emulator may leave RF set. */
static void a_storm(void)
{
	const unsigned int programs = 4, rounds = 2000;
	int status;

	for (unsigned int program = 0; program < programs; program++) {
		if (fork())
			continue;
		catch_all();
		for (unsigned int round = 0; round < rounds; round++) {
			const unsigned int vector = (round * 7 + program * 64) % VECTORS;

			if (vector == NMI_VECTOR && real_nmis)
				continue;
			run_int(vector);
			check_signal_of(vector);
		}
		_exit(0);
	}
	for (unsigned int program = 0; program < programs; program++)
		CHECK(wait(&status) > 0 && status == 0);
}

/* vectors [nmis] */
int main(int count, char **arguments)
{
	const struct test_case cases[] = {
		{ "every vector ends the program", every_vector_ends_the_program },
		{ "what a handler sees", what_a_handler_sees },
		{ "int 3 and int 4", the_two_that_are_allowed },
		{ "int1", icebp, SIGTRAP, SIGILL },
		{ "division by zero behind int 0", division_behind_its_int, SIGFPE, SIGSEGV },
		{ "undefined instruction behind int 6", undefined_behind_its_int, SIGILL, SIGSEGV },
		{ "timer interrupts behind their int", timer_behind_its_int, SIGALRM },
		{ "what looks like a fault", what_looks_like_a_fault },
		{ "a storm", a_storm },
	};

	real_nmis = count > 1 && !strcmp(arguments[1], "nmis");

	return RUN(cases);
}
