// SPDX-License-Identifier: GPL-2.0
/*
 * Programs in random hostile states, made from a seed: registers, flags, stacks and bases of all kinds,
 * then a few instructions; signal frames; what a tracer writes into registers. Each ends with a status.
 *
 *	fuzz SEED COUNT [FIRST]
 *
 * prints a digest of the statuses for every hundred programs, which must be the same from /usr and
 * /trusted and on both kernels. With FUZZ_VERBOSE in the environment it prints every status and, for a
 * COUNT of 1, the code.
 *
 * Left out is what kernel mode changes on purpose (privileged instructions, alignment checks, kernel
 * memory that is mapped), far transfers, which depend on the CPL they start from, and IRET, which QEMU
 * 7.2 gets wrong at CPL 3.
 */
#include "test.h"

#include <stdbool.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <ucontext.h>

#define PAGE			4096ul
/* Between the heap and the mappings, whose places are random. */
#define CODE			0x10010000000ul	/* read, write, execute */
#define DATA			0x10020000000ul	/* read, write */
#define CONSTANTS		0x10020010000ul	/* read */
#define ALTERNATE		0x10020020000ul	/* a stack for signals */
#define NOTHING			0x10030000000ul
#define ALTERNATE_SIZE		(16 * PAGE)
#define HWCAP2_FSGSBASE_BIT	(1 << 1)
#define FLAG_TF			0x100ul
#define PLAIN_FLAGS		(0x8d5ul | 1 << 10 | 1 << 14 | 1 << 21)	/* arithmetic, DF, NT, ID */
#define LIMIT_S			5
#define RSP			4

/* --- random numbers: splitmix64, one stream for each program ------------------------------ */

static uint64_t state;

static uint64_t next(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static uint64_t below(uint64_t limit)
{
	return next() % limit;
}

static bool one_in(unsigned int chances)
{
	return !below(chances);
}

#define PICK(table) ((table)[below(sizeof(table) / sizeof((table)[0]))])

/* Of the kernel half only what is never mapped: a kernel-mode program could read and write the rest. */
static uint64_t address(void)
{
	switch (below(12)) {
	case 0: return below(PAGE);
	case 1: return NOTHING + below(1 << 28);
	case 2: return CONSTANTS + below(PAGE);
	case 3: return 0x00007ffffffff000 + below(PAGE);
	case 4: return 0x0000800000000000 + below(1ul << 47);
	case 5: return 0x8000000000000000 + below(1ul << 62);
	case 6: return 0xffffff8000000000 + below(1ul << 36);
	case 7: return 0xffff800000000000 + below(1ul << 36);
	case 8: return 0xffffffffff600000 + below(PAGE);
	default: return DATA + below(PAGE - 256);
	}
}

static uint64_t value(void)
{
	return one_in(3) ? address() : one_in(2) ? next() : below(1000);
}

/* --- code --------------------------------------------------------------------------------- */

static unsigned char *end;

static void emit(const void *bytes, size_t size)
{
	memcpy(end, bytes, size);
	end += size;
}

#define EMIT(...) do {									\
	const unsigned char bytes[] = { __VA_ARGS__ };					\
	emit(bytes, sizeof(bytes));							\
} while (0)

static void emit_load(unsigned int reg, uint64_t number)	/* movabs $number, %reg */
{
	EMIT(0x48 | reg >> 3, 0xb8 | (reg & 7));
	emit(&number, sizeof(number));
}

/* A register other than RSP. */
static unsigned int any_register(void)
{
	const unsigned int reg = below(15);

	return reg + (reg >= RSP);
}

static void emit_flags(uint64_t flags)			/* push $flags; popf */
{
	EMIT(0x68);
	emit(&flags, 4);
	EMIT(0x9d);
}

/* Only such as can be called with anything and return the same in every run. */
static const uint32_t system_calls[] = {
	3, 10, 11, 13, 14, 24, 28, 97, 102, 104, 107, 108, 131, 158, 273, 334, 600, 1000, 0x40000027, 0xffffffff,
};

/* Whether the program may change its mappings, and so needs some of its own. */
static bool remaps;

static void emit_system_call(void)
{
	const uint32_t number = PICK(system_calls);

	remaps |= number == 10 || number == 11 || number == 28;
	if (number == 158)
		emit_load(7, 0x1001 + below(4));
	if (one_in(4))
		emit_load(RSP, address());
	EMIT(0xb8);
	emit(&number, sizeof(number));
	EMIT(0x0f, 0x05);
}

static void emit_sigreturn(void)
{
	emit_load(RSP, address());
	EMIT(0xb8, 15, 0, 0, 0, 0x0f, 0x05);
}

static void emit_int(void)
{
	EMIT(0xcd, below(256));
}

static void emit_access(void)
{
	static const unsigned char operations[] = { 0x8b, 0x89, 0x01, 0x03, 0x87, 0x31, 0x3b };
	const unsigned int base = 6 + below(2), other = below(4);

	emit_load(base, address());
	EMIT(0x48, PICK(operations), other << 3 | base);
}

static void emit_string(void)				/* std or cld; rep movsb or stosb */
{
	emit_load(6, address());
	emit_load(7, address());
	if (one_in(2))
		emit_load(1, below(3 * PAGE));
	EMIT(0xfc + below(2), 0xf3, one_in(2) ? 0xa4 : 0xaa);
}

static void emit_stack(void)
{
	static const unsigned char operations[] = { 0x50, 0x58, 0x9c, 0xc3, 0xc9, 0x53, 0x5b };

	if (one_in(2))
		emit_load(RSP, address());
	EMIT(PICK(operations));
}

static void emit_jump(void)				/* jmp or call *%rax */
{
	emit_load(0, address());
	EMIT(0xff, one_in(2) ? 0xe0 : 0xd0);
}

static void emit_exception(void)
{
	switch (below(9)) {
	case 0: EMIT(0xcc); break;			/* int3 */
	case 1: EMIT(0x0f, 0x0b); break;		/* ud2 */
	case 2: EMIT(0x0f, 0xff, 0xc0); break;		/* ud0 */
	case 3: EMIT(0x06); break;			/* no 64-bit instruction */
	case 4: EMIT(0xf0, 0x90); break;		/* lock nop */
	case 5: EMIT(0x31, 0xc9, 0xf7, 0xf1); break;	/* xor %ecx, %ecx; div %ecx */
	case 6: EMIT(0xf1); break;			/* int1 */
	case 7: EMIT(0x0f, 0x34); break;		/* sysenter */
	default: EMIT(0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90);
	}
}

static void emit_floating_point(void)
{
	emit_load(7, one_in(2) ? DATA + 64 * below(32) : address());
	switch (below(6)) {
	case 0: EMIT(0x0f, 0xae, 0x17, 0x0f, 0x5e, 0xc1); break;	/* ldmxcsr; divps */
	case 1: EMIT(0xd9, 0x2f, 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9, 0x9b); break;	/* fldcw; 1 / 0; fwait */
	case 2: EMIT(0x0f, 0xae, 0x0f); break;				/* fxrstor */
	case 3: EMIT(0x0f, 0xae, 0x2f); break;				/* xrstor */
	case 4: EMIT(0x0f, 0xae, 0x07); break;				/* fxsave */
	default: EMIT(0x0f, 0x28, 0x07); break;				/* movaps */
	}
}

/* Null, the user's and what is in no table. The kernel's own could be loaded at CPL 0. */
static const uint32_t data_selectors[] = { 0, 1, 3, 0x2b, 0x33, 0x0f, 0xfffb, 0x7ff3 };

static void emit_segment(void)				/* mov %eax, %es, %ds, %fs or %gs */
{
	static const unsigned char registers[] = { 0xc0, 0xd8, 0xe0, 0xe8 };
	const uint32_t selector = PICK(data_selectors);

	EMIT(0xb8);
	emit(&selector, sizeof(selector));
	EMIT(0x8e, PICK(registers));
}

static void emit_base(void)				/* wrgsbase or wrfsbase %rax, or a fault */
{
	emit_load(0, value());
	if (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT)
		EMIT(0xf3, 0x48, 0x0f, 0xae, one_in(3) ? 0xd0 : 0xd8);
}

static void emit_odd_flags(void)			/* with a stack of its own, then lost again */
{
	emit_load(RSP, DATA + PAGE - 64);
	emit_flags((next() & PLAIN_FLAGS) | (one_in(3) ? FLAG_TF : 0) | 0x202);
	if (one_in(2))
		emit_load(RSP, address());
}

static void emit_arithmetic(void)
{
	EMIT(0x48, 0x01, 0xc0 | below(3) << 3 | below(3), 0x48, 0x0f, 0xaf, 0xc1, 0x48, 0xd3, 0xc8);
}

static void (*const emitters[])(void) = {
	emit_system_call, emit_system_call, emit_system_call, emit_sigreturn, emit_int, emit_int, emit_access,
	emit_access, emit_string, emit_stack, emit_stack, emit_jump, emit_jump, emit_exception, emit_exception,
	emit_floating_point, emit_segment, emit_base, emit_odd_flags, emit_odd_flags, emit_arithmetic,
};

/* exit with a digest of the registers a system call must keep: not RAX, RCX, R11. */
static void emit_exit(void)
{
	static const unsigned char mixed[] = { 2, 3, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15 };

	for (size_t i = 0; i < sizeof(mixed); i++)	/* add %reg, %rax; ror $7, %rax */
		EMIT(0x48 | mixed[i] >> 3 << 2, 0x01, 0xc0 | (mixed[i] & 7) << 3, 0x48, 0xc1, 0xc8, 7);
	EMIT(0x89, 0xc7, 0x83, 0xe7, 0x3f, 0xb8, 0xe7, 0, 0, 0, 0x0f, 0x05);
}

static unsigned char *exit_code;

static void make_code(void)
{
	const unsigned int instructions = 1 + below(5);
	unsigned int reg;

	end = (unsigned char *)CODE;
	remaps = false;
	if (one_in(3))
		emit_base();
	emit_flags((next() & PLAIN_FLAGS) | 0x202);
	for (reg = 0; reg < 16; reg++) {
		if (reg != RSP)
			emit_load(reg, value());
	}
	emit_load(RSP, one_in(3) ? address() : DATA + PAGE - 256);
	for (unsigned int i = 0; i < instructions; i++) {
		if (one_in(4))
			emit_load(any_register(), value());
		PICK(emitters)();
	}
	exit_code = end;
	EMIT(0x31, 0xc0);				/* xor %eax, %eax */
	emit_exit();
}

/* --- what a child does -------------------------------------------------------------------- */

static int returns;

/* Goes on at the end of the program once or twice, or ends with what the handler got. */
static void on_signal(int number, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

	if (returns-- > 0) {
		registers[REG_RIP] = (greg_t)exit_code;
		return;
	}
	(void)info;
	syscall(SYS_exit_group, 64 + number);
}

static void catch_signals(bool on_alternate)
{
	static const int numbers[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
	const stack_t stack = { .ss_sp = (void *)ALTERNATE, .ss_size = ALTERNATE_SIZE };
	struct sigaction action = {
		.sa_sigaction = on_signal,
		.sa_flags = SA_SIGINFO | (on_alternate ? SA_ONSTACK : 0),
	};

	CHECK(!sigaltstack(&stack, NULL));
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		CHECK(!sigaction(numbers[i], &action, NULL));
}

static void run_code(void)
{
	asm volatile("jmp *%0" : : "r" (CODE) : "memory");
}

/* Exit status 0 as 64-bit code, SIGSEGV as 32-bit code. */
asm(".pushsection .text; target: .byte 0x8b, 0x05, 0, 0, 0, 0;"
    "mov $60, %eax; xor %edi, %edi; syscall; ud2; .popsection");
extern char target[];

static const unsigned int selectors[] = {
	0, 3, 4, 8, 0x0b, 0x10, 0x13, 0x18, 0x1b, 0x20, 0x23, 0x28, 0x30, 0x40, 0x43, 0x4b, 0x7b, 0xfb, 0xffff,
};

static struct {
	unsigned long unused;
	ucontext_t user;
	siginfo_t info;
} frame;

static void make_frame(void)
{
	greg_t *registers = frame.user.uc_mcontext.gregs;
	unsigned long cs = one_in(4) ? PICK(selectors) : 0x33;
	unsigned long ss = one_in(4) ? PICK(selectors) : 0x2b;

	memset(&frame, 0, sizeof(frame));
	for (int i = 0; i < NGREG; i++)
		registers[i] = value();
	registers[REG_RIP] = one_in(2) ? (greg_t)target : (greg_t)address();
	registers[REG_EFL] = (next() & PLAIN_FLAGS) | (one_in(8) ? FLAG_TF : 0) | (one_in(8) ? 1ul << below(64) : 0);
	registers[REG_EFL] &= ~(1l << 18);
	registers[REG_CSGSFS] = cs | ss << 48;
	frame.user.uc_flags = below(8);
	frame.user.uc_mcontext.fpregs = one_in(4) ? (void *)address() : NULL;
	frame.user.uc_stack.ss_sp = (void *)address();
	frame.user.uc_stack.ss_size = below(1 << 20);
}

static void run_frame(void)
{
	asm volatile("mov %0, %%rsp; mov $15, %%eax; syscall" : : "r" (&frame.user) : "memory");
}

static struct user_regs_struct wanted;
static unsigned int steps;

static void make_registers(void)
{
	unsigned long *words = (unsigned long *)&wanted;

	for (size_t i = 0; i < sizeof(wanted) / sizeof(*words); i++)
		words[i] = value();
	wanted.rip = one_in(2) ? (unsigned long)target : address();
	wanted.eflags = next() & (PLAIN_FLAGS | (one_in(4) ? FLAG_TF : 0));
	wanted.cs = one_in(4) ? PICK(selectors) : 0x33;
	wanted.ss = one_in(4) ? PICK(selectors) : 0x2b;
	wanted.ds = wanted.es = wanted.fs = wanted.gs = 0;
	wanted.orig_rax = -1;
	if (one_in(2))
		wanted.fs_base = wanted.gs_base = DATA;
	steps = one_in(4) ? 1 + below(4) : 0;
}

static int resume(pid_t child, int request)
{
	int status;

	CHECK(!ptrace(request, child, 0, 0));
	CHECK(waitpid(child, &status, 0) == child);
	return status;
}

/* The status or, where the child stopped or its registers were refused, that of the signal. */
static int trace(pid_t child)
{
	int status, unused;

	CHECK(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
	if (ptrace(PTRACE_SETREGS, child, 0, &wanted)) {
		CHECK(errno == EIO);
		status = SIGSEGV;
	} else {
		for (unsigned int i = 0; i < steps && WIFSTOPPED(status); i++)
			status = resume(child, PTRACE_SINGLESTEP);
		if (WIFSTOPPED(status) && (!steps || WSTOPSIG(status) == SIGTRAP))
			status = resume(child, PTRACE_CONT);
	}
	if (WIFEXITED(status))
		return status;
	if (WIFSTOPPED(status))
		status = WSTOPSIG(status);
	kill(child, SIGKILL);
	CHECK(waitpid(child, &unused, 0) == child);

	return status;
}

/* --- programs ----------------------------------------------------------------------------- */

static uint64_t initial_data[PAGE / sizeof(uint64_t)];

/* vfork is several times as fast as fork. The child's stack is in DATA. */
static int run_child(void (*body)(void), bool handlers, bool on_alternate)
{
	int status;
	pid_t child = remaps || handlers ? fork() : vfork();

	if (!child) {
		alarm(LIMIT_S);
		if (handlers)
			catch_signals(on_alternate);
		body();
		_exit(99);
	}
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	memcpy((void *)DATA, initial_data, sizeof(initial_data));

	return status;
}

static int run_traced(void)
{
	pid_t child = fork();

	if (!child) {
		CHECK(!ptrace(PTRACE_TRACEME, 0, 0, 0));
		alarm(LIMIT_S);
		syscall(SYS_kill, syscall(SYS_getpid), SIGSTOP);
		_exit(99);
	}
	CHECK(child > 0);

	return trace(child);
}

static int run_program(uint64_t seed, uint64_t number)
{
	const bool handlers = (state = seed * 0x100000001b3 + number, one_in(3)), on_alternate = one_in(2);

	returns = below(3);
	switch (below(10)) {
	case 0:
		make_registers();
		return run_traced();
	case 1:
	case 2:
		make_frame();
		remaps = false;
		exit_code = (unsigned char *)target;
		return run_child(run_frame, handlers, on_alternate);
	default:
		CHECK(!mprotect((void *)CODE, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
		make_code();
		/* Sites are patched where the program cannot write. */
		if (one_in(2))
			CHECK(!mprotect((void *)CODE, PAGE, PROT_READ | PROT_EXEC));
		return run_child(run_code, handlers, on_alternate);
	}
}

static void map(unsigned long where, size_t size, int protection)
{
	CHECK(mmap((void *)where, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
}

static void make_memory(void)
{
	map(CODE, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
	map(DATA, PAGE, PROT_READ | PROT_WRITE);
	map(CONSTANTS, PAGE, PROT_READ | PROT_WRITE);
	map(ALTERNATE, ALTERNATE_SIZE, PROT_READ | PROT_WRITE);
	state = 1;
	for (unsigned long word = 0; word < PAGE; word += sizeof(uint64_t)) {
		*(uint64_t *)(DATA + word) = value();
		*(uint64_t *)(CONSTANTS + word) = value();
	}
	memcpy(initial_data, (void *)DATA, sizeof(initial_data));
	CHECK(!mprotect((void *)CONSTANTS, PAGE, PROT_READ));
}

int main(int argc, char **argv)
{
	const bool verbose = getenv("FUZZ_VERBOSE");
	uint64_t seed, count, first, digest = 0;

	if (argc < 3) {
		fprintf(stderr, "usage: fuzz SEED COUNT [FIRST]\n");
		return 2;
	}
	seed = strtoull(argv[1], NULL, 0);
	count = strtoull(argv[2], NULL, 0);
	first = argc > 3 ? strtoull(argv[3], NULL, 0) : 0;
	make_memory();
	printf("seed %lu, programs %lu to %lu\n", seed, first, first + count - 1);
	for (uint64_t i = first; i < first + count; i++) {
		int status;

		fflush(NULL);
		status = run_program(seed, i);
		if (verbose)
			printf("%lu: %#x\n", i, status);
		for (unsigned char *byte = (unsigned char *)CODE; verbose && count == 1 && byte < end; byte++)
			printf("%02x%s", *byte, byte + 1 == end ? "\n" : " ");
		digest = (digest ^ status) * 0x100000001b3;
		if (i % 100 == 99 || i == first + count - 1)
			printf("up to %lu: %016lx\n", i, digest);
	}

	return 0;
}
