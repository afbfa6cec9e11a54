// SPDX-License-Identifier: GPL-2.0
/*
 * The registers that C code preserves: a direct call leaves them where they are, and saves them only when
 * somebody is about to look. Signals, tracers, new tasks and core dumps must see the program's.
 */
#include "direct.h"
#include "traced.h"

#include <elf.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/procfs.h>
#include <sys/resource.h>
#include <time.h>
#include <ucontext.h>

enum { HELD = 6, SITES = 8, SIGNALS = 60, STOPS = 60 };

/* Written and read by the assembler below. RBX, RBP, R12 to R15, in this order. */
struct call {
	site_fn site;
	long number, first;
};

unsigned long held[HELD] = { 0x1b1b, 0x2b2b, 0x3c3c, 0x4d4d, 0x5e5e, 0x6f6f }, seen[HELD];
struct call calls[SITES];
volatile long next_call, over, holding, wrong;

static struct timespec moment = { 0, 300000 };
static site_fn any_site;

#define LOAD_HELD								\
	"mov held(%%rip), %%rbx\n\tmov held+8(%%rip), %%rbp\n\t"		\
	"mov held+16(%%rip), %%r12\n\tmov held+24(%%rip), %%r13\n\t"		\
	"mov held+32(%%rip), %%r14\n\tmov held+40(%%rip), %%r15\n\t"

/* The number is in RAX: mov %rax, -64(%rsp); mov -64(%rsp), %rax; syscall; ret */
static site_fn make_any_site(uint8_t *code)
{
	end_code(code, EMIT(code, "\x48\x89\x44\x24\xc0\x48\x8b\x44\x24\xc0\x0f\x05\xc3") - code);
	return (site_fn)(uintptr_t)code;
}

static void make_sites(void)
{
	static const struct call wanted[SITES] = {
		{ NULL, SYS_getpid, 0 }, { NULL, SYS_nanosleep, (long)&moment }, { NULL, SYS_read, -1 },
		{ NULL, SYS_nanosleep, (long)&moment }, { NULL, SYS_sched_yield, 0 }, { NULL, 100000, 0 },
		{ NULL, SYS_close, -1 }, { NULL, SYS_nanosleep, -1 },
	};
	uint8_t *code = code_pages(1);

	any_site = make_any_site(code);
	for (int i = 0; i < SITES; i++) {
		calls[i] = wanted[i];
		/* the numbers of half of them are in the site, where the stub has them too */
		calls[i].site = i & 1 ? any_site : make_site(code + 64 * (i + 1), wanted[i].number);
	}
	end_code(code, PAGE);
}

/* Make calls until it is over, with the held registers; a register that changes ends it, and is wrong. */
static void hold(void)
{
	asm volatile("push %%rbp\n\t"
		     LOAD_HELD
		     "movq $1, holding(%%rip)\n"
		     "1:\tmov next_call(%%rip), %%rcx\n\t"
		     "inc %%rcx\n\tand $7, %%ecx\n\tmov %%rcx, next_call(%%rip)\n\t"
		     "lea (%%rcx,%%rcx,2), %%rcx\n\tlea calls(%%rip), %%rdx\n\tlea (%%rdx,%%rcx,8), %%rdx\n\t"
		     "mov 8(%%rdx), %%rax\n\tmov 16(%%rdx), %%rdi\n\tmov (%%rdx), %%rcx\n\t"
		     "push %%rdi\n\t"
		     "mov $0x77, %%edx\n\txor %%esi, %%esi\n\t"
		     "mov $0x88, %%r8d\n\tmov $0x99, %%r9d\n\tmov $0xaa, %%r10d\n\t"
		     "call *%%rcx\n\t"
		     "pop %%rcx\n\t"
		     "cmp %%rcx, %%rdi\n\tjne 2f\n\ttest %%rsi, %%rsi\n\tjne 2f\n\tcmp $0x77, %%rdx\n\tjne 2f\n\t"
		     "cmp $0x88, %%r8\n\tjne 2f\n\tcmp $0x99, %%r9\n\tjne 2f\n\tcmp $0xaa, %%r10\n\tjne 2f\n\t"
		     "cmp held(%%rip), %%rbx\n\tjne 2f\n\tcmp held+8(%%rip), %%rbp\n\tjne 2f\n\t"
		     "cmp held+16(%%rip), %%r12\n\tjne 2f\n\tcmp held+24(%%rip), %%r13\n\tjne 2f\n\t"
		     "cmp held+32(%%rip), %%r14\n\tjne 2f\n\tcmp held+40(%%rip), %%r15\n\tjne 2f\n\t"
		     "cmpq $0, over(%%rip)\n\tje 1b\n\t"
		     "jmp 3f\n"
		     "2:\tincq wrong(%%rip)\n"
		     "3:\tmovq $0, holding(%%rip)\n\t"
		     "pop %%rbp"
		     : : : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
			   "r14", "r15", "memory", "cc");
}

/* One call with the held registers, which are seen afterwards. */
static long call_held(site_fn site, long number, long first)
{
	long result;

	asm volatile("push %%rbp\n\t"
		     LOAD_HELD
		     "call *%%rcx\n\t"
		     "mov %%rbx, seen(%%rip)\n\tmov %%rbp, seen+8(%%rip)\n\t"
		     "mov %%r12, seen+16(%%rip)\n\tmov %%r13, seen+24(%%rip)\n\t"
		     "mov %%r14, seen+32(%%rip)\n\tmov %%r15, seen+40(%%rip)\n\t"
		     "pop %%rbp"
		     : "=a" (result), "+c" (site) : "a" (number), "D" (first), "S" (0l), "d" (0l)
		     : "rbx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
	return result;
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	static int signals;
	const greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
	static const int order[HELD] = { REG_RBX, REG_RBP, REG_R12, REG_R13, REG_R14, REG_R15 };

	(void)number;
	(void)info;
	for (int i = 0; holding && i < HELD; i++)
		wrong += (unsigned long)registers[order[i]] != held[i];
	/* More of them may come before the loop looks. */
	over = ++signals >= SIGNALS;
	/* as a handler does that needs them */
	asm volatile("xor %%ebx, %%ebx\n\txor %%r12d, %%r12d\n\txor %%r13d, %%r13d\n\t"
		     "xor %%r14d, %%r14d\n\txor %%r15d, %%r15d" : : : "rbx", "r12", "r13", "r14", "r15", "cc");
}

static void signals(void)
{
	const struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	const struct itimerval often = { { 0, 2000 }, { 0, 2000 } };

	make_sites();
	CHECK(!sigaction(SIGALRM, &action, NULL) && !setitimer(ITIMER_REAL, &often, NULL));
	hold();
	CHECK(!wrong && over);
}

static struct user_regs_struct check_stopped(pid_t child)
{
	struct user_regs_struct registers = registers_of(child);
	const unsigned long values[HELD] = { registers.rbx, registers.rbp, registers.r12,
					     registers.r13, registers.r14, registers.r15 };

	for (int i = 0; ptrace(PTRACE_PEEKDATA, child, &holding, 0) && i < HELD; i++)
		CHECK(values[i] == held[i]);
	return registers;
}

/* Other values for the held registers, and for what the child compares them with. */
static void change_held(pid_t child)
{
	struct user_regs_struct registers = check_stopped(child);

	if (!ptrace(PTRACE_PEEKDATA, child, &holding, 0))
		return;
	for (int i = 0; i < HELD; i++) {
		held[i] = held[i] * 5 + 1;
		CHECK(!ptrace(PTRACE_POKEDATA, child, held + i, held[i]));
	}
	registers.rbx = held[0];
	registers.rbp = held[1];
	registers.r12 = held[2];
	registers.r13 = held[3];
	registers.r14 = held[4];
	registers.r15 = held[5];
	CHECK(!ptrace(PTRACE_SETREGS, child, 0, &registers));
}

static void hold_for_tracer(void)
{
	CHECK(!prctl(PR_SET_PDEATHSIG, SIGKILL));
	hold();
	_exit(wrong ? 1 : 42);
}

static void next_stop(pid_t child, long request)
{
	int status;

	CHECK(!ptrace(request, child, 0, 0));
	CHECK(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
}

static void tracer(void)
{
	pid_t child;
	int status;

	make_sites();
	child = fork();
	if (!child)
		hold_for_tracer();
	CHECK(!ptrace(PTRACE_SEIZE, child, 0, PTRACE_O_TRACESYSGOOD));
	for (int i = 0; i < STOPS; i++) {
		usleep(500 + i * 37 % 900);
		CHECK(!ptrace(PTRACE_INTERRUPT, child, 0, 0));
		CHECK(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
		check_stopped(child);
		if (i % 3 == 0)
			change_held(child);
		for (int j = 0; i % 4 == 0 && j < 6; j++) {
			next_stop(child, PTRACE_SYSCALL);
			check_stopped(child);
			if (i % 8 == 0)
				change_held(child);
		}
		CHECK(!ptrace(PTRACE_CONT, child, 0, 0));
	}
	CHECK(!ptrace(PTRACE_INTERRUPT, child, 0, 0));
	CHECK(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
	CHECK(!ptrace(PTRACE_POKEDATA, child, &over, 1));
	CHECK(!ptrace(PTRACE_DETACH, child, 0, 0));
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

static void new_task(long number, long first)
{
	int status;

	make_sites();
	for (int i = 0; i < 20; i++) {
		/* by both kinds of sites */
		site_fn site = i & 1 ? any_site : make_site(code_pages(1), number);
		pid_t child;

		for (int round = 0; round < 3; round++) {
			memset(seen, 0, sizeof(seen));
			child = call_held(site, number, first);
			CHECK(!memcmp(seen, held, sizeof(held)));
			if (!child)
				_exit(42);
			CHECK(child > 0 && waitpid(child, &status, 0) == child);
			CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
		}
	}
}

static void after_fork(void)
{
	new_task(SYS_fork, 0);
}

static void after_clone(void)
{
	new_task(SYS_clone, SIGCHLD);
}

static void end_held(void)
{
	for (int i = 0; i < 3; i++)
		CHECK(call_held(any_site, SYS_getpid, 0) == getpid());
	call_held(any_site, SYS_exit_group, 42);
}

static void at_exit(void)
{
	const unsigned long *expected = held;
	struct user_regs_struct registers;
	pid_t child;
	int status;

	make_sites();
	child = traced(end_held);
	CHECK(!ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACEEXIT));
	next_stop(child, PTRACE_CONT);
	registers = registers_of(child);
	CHECK(registers.orig_rax == SYS_exit_group);
	CHECK(registers.rbx == expected[0] && registers.rbp == expected[1] && registers.r12 == expected[2]);
	CHECK(registers.r13 == expected[3] && registers.r14 == expected[4] && registers.r15 == expected[5]);
	CHECK(!ptrace(PTRACE_CONT, child, 0, 0));
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

static volatile pid_t sleeper;

static void *wait_in_pause(void *unused)
{
	(void)unused;
	sleeper = gettid();
	for (int i = 0; i < 3; i++)
		call_held(any_site, SYS_getpid, 0);
	call_held(any_site, SYS_pause, 0);
	return NULL;
}

static void dump_core(void)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	pthread_t thread;

	CHECK(!setrlimit(RLIMIT_CORE, &all));
	CHECK(!pthread_create(&thread, NULL, wait_in_pause, NULL));
	while (!sleeper)
		usleep(1000);
	/* There is but one call in which it does. */
	await_sleep(sleeper);
	abort();
}

/* Whether a thread of the core is in pause(), with the held registers. */
static bool core_has_held(const char *core, size_t size)
{
	const Elf64_Ehdr *header = (const void *)core;
	const Elf64_Phdr *segments = (const void *)(core + header->e_phoff);

	for (int i = 0; i < header->e_phnum; i++) {
		size_t at = segments[i].p_offset, end = at + segments[i].p_filesz;

		while (segments[i].p_type == PT_NOTE && at + sizeof(Elf64_Nhdr) <= end && end <= size) {
			const Elf64_Nhdr *note = (const void *)(core + at);
			const char *content = core + at + sizeof(*note) + ((note->n_namesz + 3) & ~3u);
			struct user_regs_struct r;

			at = content - core + ((note->n_descsz + 3) & ~3u);
			if (note->n_type != NT_PRSTATUS)
				continue;
			memcpy(&r, ((const struct elf_prstatus *)content)->pr_reg, sizeof(r));
			if (r.orig_rax != SYS_pause)
				continue;
			return r.rbx == held[0] && r.rbp == held[1] && r.r12 == held[2] && r.r13 == held[3] &&
			       r.r14 == held[4] && r.r15 == held[5];
		}
	}
	return false;
}

static void in_a_core(void)
{
	char pattern[256] = "", name[64];
	int file = open("/proc/sys/kernel/core_pattern", O_RDWR), status;
	ssize_t size;
	char *core;
	pid_t child;

	make_sites();
	CHECK(file >= 0);
	size = read(file, pattern, sizeof(pattern) - 1);
	CHECK(size > 0 && pwrite(file, "/tmp/core.%p\n", 13, 0) == 13);
	child = fork();
	if (!child)
		dump_core();
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(pwrite(file, pattern, size, 0) == size);
	CHECK(WIFSIGNALED(status) && WCOREDUMP(status));
	snprintf(name, sizeof(name), "/tmp/core.%d", child);
	file = open(name, O_RDONLY);
	CHECK(file >= 0);
	size = lseek(file, 0, SEEK_END);
	core = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
	CHECK(core != MAP_FAILED && !unlink(name));
	CHECK(core_has_held(core, size));
}

int main(void)
{
	const struct test_case cases[] = {
		{ "registers over many calls, and in the frames of signals", signals },
		{ "registers that a tracer reads and writes", tracer },
		{ "registers of the child of fork", after_fork },
		{ "registers of the child of clone", after_clone },
		{ "registers at PTRACE_EVENT_EXIT", at_exit },
		{ "registers of a thread in a core dump", in_a_core },
	};

	return RUN(cases);
}
