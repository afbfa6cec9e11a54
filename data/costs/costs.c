// SPDX-License-Identifier: MIT
/*
 * What instructions and ways into the kernel cost on this machine, without root: loops of each kind, in batches
 * that take turns, timed in nanoseconds, cycles of the time-stamp counter and, where perf_event_open lets us count
 * the kernel's share, cycles and instructions of the core. Prints JSON: of each kind the raw totals of its batches
 * and how many operations a batch has. `empty` is the loop itself, to be subtracted. What cannot be measured here is
 * named with its reason. Nothing is subtracted, divided or left out of the totals. Where neighbours make a kind slow,
 * it gets fewer batches.
 *
 * Usage: costs [BATCHES [MICROSECONDS]]: batches of each kind (51), and about how long each takes (200).
 * Compile with -mno-red-zone: the loops call and push below the compiler's back.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LEAST_BATCHES = 3, MOST_NANOSECONDS = 100000000, UNROLLED = 16, MAX_BATCHES = 999, PAGE = 4096, MOST_PAGES = 4096, MOST_SWITCHES = 16, NO_SUCH_CALL = 1000 };

struct reading {
	uint64_t nanoseconds, tsc, cycles, instructions;
};

/* `loop` does `rounds` rounds of `operations` each. `missing` is why it cannot be measured here, or NULL. */
struct kind {
	const char *name;
	void (*loop)(uint64_t rounds);
	unsigned int operations;
	const char *missing;
	uint64_t most_rounds;
	uint64_t rounds;
	uint64_t spent;
	int done;
	struct reading batches[MAX_BATCHES];
};

static int cycle_counter = -1, instruction_counter = -1;
static int to_child = -1, from_child = -1;
static pid_t child;
static char *pages;
static uint64_t word;
static unsigned char area[16384] __attribute__((aligned(64)));

/* A loop of UNROLLED times the same instructions. */
#define LOOP(name, instructions, ...)                                                           \
	static void name(uint64_t rounds)                                                      \
	{                                                                                       \
		for (uint64_t i = 0; i < rounds; i++)                                           \
			__asm__ volatile(".rept 16\n\t" instructions "\n\t.endr" __VA_ARGS__);  \
	}

__asm__(".text\n.p2align 4\nkmlbench_nothing:\n\tret\n");

LOOP(loop_empty, "", ::: "memory")
LOOP(loop_add, "add %0, %0", : "+r"(word))
LOOP(loop_call_return, "call kmlbench_nothing", ::: "memory", "cc")
LOOP(loop_lfence, "lfence", ::: "memory")
LOOP(loop_mfence, "mfence", ::: "memory")
LOOP(loop_sfence, "sfence", ::: "memory")
LOOP(loop_pause, "pause", ::: "memory")
LOOP(loop_rdtsc, "rdtsc", ::: "eax", "edx", "memory")
LOOP(loop_rdtscp, "rdtscp", ::: "eax", "ecx", "edx", "memory")
LOOP(loop_cpuid, "xor %%eax, %%eax\n\tcpuid", ::: "eax", "ebx", "ecx", "edx", "memory", "cc")
LOOP(loop_xgetbv, "xor %%ecx, %%ecx\n\txgetbv", ::: "eax", "ecx", "edx", "cc")
LOOP(loop_rdfsbase, "rdfsbase %%rax", ::: "rax")
LOOP(loop_rdpkru, "xor %%ecx, %%ecx\n\trdpkru", ::: "eax", "ecx", "edx", "cc")
LOOP(loop_pushf, "pushfq\n\tpop %%rax", ::: "rax", "memory")
LOOP(loop_lock, "lock addq $1, %0", : "+m"(word) :: "cc")
LOOP(loop_jmp_indirect, "lea 1f(%%rip), %%rax\n\tjmp *%%rax\n1:", ::: "rax")

static void loop_call_indirect(uint64_t rounds)
{
	extern char kmlbench_nothing[];

	for (uint64_t i = 0; i < rounds; i++)
		__asm__ volatile(".rept 16\n\tcall *%0\n\t.endr" :: "r"(kmlbench_nothing) : "memory", "cc");
}

static void loop_popf(uint64_t rounds)
{
	for (uint64_t i = 0; i < rounds; i++)
		__asm__ volatile("pushfq\n\tpop %%rax\n\t.rept 16\n\tpush %%rax\n\tpopfq\n\t.endr" ::: "rax", "memory", "cc");
}

static void loop_wrfsbase(uint64_t rounds)
{
	for (uint64_t i = 0; i < rounds; i++)
		__asm__ volatile("rdfsbase %%rax\n\t.rept 16\n\twrfsbase %%rax\n\t.endr" ::: "rax");
}

static void loop_wrpkru(uint64_t rounds)
{
	for (uint64_t i = 0; i < rounds; i++)
		__asm__ volatile("xor %%ecx, %%ecx\n\trdpkru\n\txor %%edx, %%edx\n\t.rept 16\n\twrpkru\n\t.endr"
				 ::: "eax", "ecx", "edx", "memory", "cc");
}

/* As the kernel does on its way out: from memory, with a selector that can be written. */
static void loop_verw(uint64_t rounds)
{
	uint16_t selector;

	__asm__("mov %%ss, %0" : "=r"(selector));
	for (uint64_t i = 0; i < rounds; i++)
		__asm__ volatile(".rept 16\n\tverw %0\n\t.endr" :: "m"(selector) : "cc");
}

static void loop_mov_to_segment(uint64_t rounds)
{
	for (uint64_t i = 0; i < rounds; i++)
		__asm__ volatile("mov %%es, %%eax\n\t.rept 16\n\tmov %%eax, %%es\n\t.endr" ::: "eax");
}

static void loop_div(uint64_t rounds)
{
	for (uint64_t i = 0; i < rounds; i++)
		__asm__ volatile("mov $1000003, %%eax\n\tmov $7, %%ecx\n\t.rept 16\n\txor %%edx, %%edx\n\tdiv %%rcx\n\t"
				 "or $1000000, %%eax\n\t.endr" ::: "rax", "rcx", "rdx", "cc");
}

static void loop_xsave(uint64_t rounds)
{
	for (uint64_t i = 0; i < rounds; i++)
		__asm__ volatile("mov $-1, %%eax\n\tmov $-1, %%edx\n\t.rept 16\n\txsave64 %0\n\t.endr"
				 : "+m"(area) :: "eax", "edx", "memory");
}

static void loop_xrstor(uint64_t rounds)
{
	for (uint64_t i = 0; i < rounds; i++)
		__asm__ volatile("mov $-1, %%eax\n\tmov $-1, %%edx\n\txsave64 %0\n\t.rept 16\n\txrstor64 %0\n\t.endr"
				 : "+m"(area) :: "eax", "edx", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
				   "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

static long system_call(long number)
{
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"(number) : "rcx", "r11", "memory");
	return result;
}

static void loop_system_call(uint64_t rounds)
{
	for (uint64_t i = 0; i < rounds; i++)
		system_call(NO_SUCH_CALL);
}

static void loop_getpid(uint64_t rounds)
{
	for (uint64_t i = 0; i < rounds; i++)
		system_call(SYS_getpid);
}

/* `pages` are empty when a batch begins. */
static void loop_page_fault(uint64_t rounds)
{
	for (uint64_t i = 0; i < rounds; i++)
		((volatile char *)pages)[i * PAGE] = 1;
}

static void loop_signal(uint64_t rounds)
{
	pid_t self = getpid();

	for (uint64_t i = 0; i < rounds; i++)
		syscall(SYS_tgkill, self, self, SIGUSR1);
}

/* Two switches: to the child on this processor, and back. */
static void loop_context_switch(uint64_t rounds)
{
	char byte = 0;

	for (uint64_t i = 0; i < rounds; i++)
		if (write(to_child, &byte, 1) != 1 || read(from_child, &byte, 1) != 1)
			exit(1);
}

static struct kind kinds[] = {
	{ "empty", loop_empty, UNROLLED },
	{ "add", loop_add, UNROLLED },
	{ "call_return", loop_call_return, UNROLLED },
	{ "call_indirect", loop_call_indirect, UNROLLED },
	{ "jmp_indirect", loop_jmp_indirect, UNROLLED },
	{ "lfence", loop_lfence, UNROLLED },
	{ "mfence", loop_mfence, UNROLLED },
	{ "sfence", loop_sfence, UNROLLED },
	{ "pause", loop_pause, UNROLLED },
	{ "rdtsc", loop_rdtsc, UNROLLED },
	{ "rdtscp", loop_rdtscp, UNROLLED },
	{ "cpuid", loop_cpuid, UNROLLED },
	{ "xgetbv", loop_xgetbv, UNROLLED },
	{ "rdfsgsbase", loop_rdfsbase, UNROLLED },
	{ "wrfsgsbase", loop_wrfsbase, UNROLLED },
	{ "rdpkru", loop_rdpkru, UNROLLED },
	{ "wrpkru", loop_wrpkru, UNROLLED },
	{ "pushf", loop_pushf, UNROLLED },
	{ "popf", loop_popf, UNROLLED },
	{ "verw", loop_verw, UNROLLED },
	{ "mov_to_segment", loop_mov_to_segment, UNROLLED },
	{ "lock", loop_lock, UNROLLED },
	{ "div", loop_div, UNROLLED },
	{ "xsave", loop_xsave, UNROLLED },
	{ "xrstor", loop_xrstor, UNROLLED },
	{ "system_call", loop_system_call, 1 },
	{ "getpid", loop_getpid, 1 },
	{ "page_fault", loop_page_fault, 1, NULL, MOST_PAGES },
	{ "signal", loop_signal, 1 },
	{ "context_switch", loop_context_switch, 2, NULL, MOST_SWITCHES },
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static void require(bool condition, const char *what)
{
	if (!condition) {
		perror(what);
		exit(1);
	}
}

static void leave_out(const char *name, const char *reason)
{
	for (int i = 0; i < KINDS; i++)
		if (!strcmp(kinds[i].name, name))
			kinds[i].missing = reason;
}

/* What the processor or the kernel does not let us execute; what a hypervisor would execute for us. */
static void leave_out_what_is_missing(void)
{
	unsigned int eax, ebx, ecx, edx;
	const char *no = "this processor, or its kernel, does not have it";
	bool known;

	require(__get_cpuid(1, &eax, &ebx, &ecx, &edx), "CPUID");
	if (ecx & 1u << 31)
		leave_out("cpuid", "in a virtual machine it leaves to the hypervisor, whose price it would be");
	if (!(ecx & 1u << 27)) {
		leave_out("xgetbv", no);
		leave_out("xsave", no);
		leave_out("xrstor", no);
	} else if (!__get_cpuid_count(13, 0, &eax, &ebx, &ecx, &edx) || ebx > sizeof(area)) {
		leave_out("xsave", "the state is larger than 16 KiB");
		leave_out("xrstor", "the state is larger than 16 KiB");
	}
	known = __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx);
	if (!known || !(ecx & 1u << 4)) {
		leave_out("rdpkru", no);
		leave_out("wrpkru", no);
	}
	/* HWCAP2_FSGSBASE */
	if (!(getauxval(AT_HWCAP2) & 2)) {
		leave_out("rdfsgsbase", no);
		leave_out("wrfsgsbase", no);
	}
	known = __get_cpuid(0x80000001u, &eax, &ebx, &ecx, &edx);
	if (!known || !(edx & 1u << 27))
		leave_out("rdtscp", no);
}

/* -1 where there is no counter (most virtual machines) or no permission for the kernel's share. */
static int open_counter(uint64_t event)
{
	struct perf_event_attr attributes;

	memset(&attributes, 0, sizeof(attributes));
	attributes.type = PERF_TYPE_HARDWARE;
	attributes.size = sizeof(attributes);
	attributes.config = event;
	attributes.exclude_hv = 1;
	attributes.pinned = 1;
	return (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static uint64_t count(int counter)
{
	uint64_t value = 0;

	/* A pinned counter that did not always count cannot be read. */
	if (counter >= 0 && read(counter, &value, sizeof(value)) != sizeof(value))
		cycle_counter = instruction_counter = -1;
	return value;
}

static struct reading now(void)
{
	struct reading taken;
	struct timespec time;
	uint32_t low, high;

	taken.cycles = count(cycle_counter);
	taken.instructions = count(instruction_counter);
	clock_gettime(CLOCK_MONOTONIC, &time);
	__asm__ volatile("lfence\n\trdtsc\n\tlfence" : "=a"(low), "=d"(high) :: "memory");
	taken.nanoseconds = (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
	taken.tsc = (uint64_t)high << 32 | low;
	return taken;
}

static struct reading measure(const struct kind *kind)
{
	struct reading before, after;

	require(madvise(pages, (size_t)MOST_PAGES * PAGE, MADV_DONTNEED) == 0, "madvise");
	before = now();
	kind->loop(kind->rounds);
	after = now();
	after.nanoseconds -= before.nanoseconds;
	after.tsc -= before.tsc;
	after.cycles -= before.cycles;
	after.instructions -= before.instructions;
	return after;
}

/* As many rounds as take this long; the loop is warm afterwards. */
static void choose_rounds(struct kind *kind, uint64_t nanoseconds)
{
	for (kind->rounds = 1; measure(kind).nanoseconds < nanoseconds; kind->rounds *= 2)
		if (kind->most_rounds && kind->rounds >= kind->most_rounds)
			break;
	if (kind->most_rounds && kind->rounds > kind->most_rounds)
		kind->rounds = kind->most_rounds;
}

static void add_batch(struct kind *kind)
{
	struct reading taken;

	if (kind->done >= LEAST_BATCHES && kind->spent > MOST_NANOSECONDS)
		return;
	taken = measure(kind);
	kind->spent += taken.nanoseconds;
	kind->batches[kind->done++] = taken;
}

static void ignore(int number)
{
	(void)number;
}

static void answer_parent(int from, int to)
{
	char byte;

	while (read(from, &byte, 1) == 1 && write(to, &byte, 1) == 1)
		;
	_exit(0);
}

/* A child that answers through two pipes, on the same processor as we. */
static void start_child(void)
{
	int down[2], up[2];
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	if (sched_setaffinity(0, sizeof(one), &one)) {
		leave_out("context_switch", "this process cannot be kept on one processor");
		return;
	}
	require(pipe(down) == 0 && pipe(up) == 0, "pipe");
	child = fork();
	require(child >= 0, "fork");
	if (child == 0) {
		close(down[1]);
		close(up[0]);
		answer_parent(down[0], up[1]);
	}
	close(down[0]);
	close(up[1]);
	to_child = down[1];
	from_child = up[0];
}

static void set_up(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = ignore;
	require(sigaction(SIGUSR1, &action, NULL) == 0, "sigaction");
	pages = mmap(NULL, (size_t)MOST_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	require(pages != MAP_FAILED, "mmap");
	/* Without huge pages in the kernel this fails, and is not needed. */
	madvise(pages, (size_t)MOST_PAGES * PAGE, MADV_NOHUGEPAGE);
	leave_out_what_is_missing();
	start_child();
	cycle_counter = open_counter(PERF_COUNT_HW_CPU_CYCLES);
	instruction_counter = cycle_counter < 0 ? -1 : open_counter(PERF_COUNT_HW_INSTRUCTIONS);
	if (instruction_counter < 0)
		cycle_counter = -1;
}

static void print_totals(const char *name, const struct kind *kind, size_t offset)
{
	printf(", \"%s\": [", name);
	for (int i = 0; i < kind->done; i++) {
		uint64_t value;

		memcpy(&value, (const char *)&kind->batches[i] + offset, sizeof(value));
		printf("%s%llu", i ? ", " : "", (unsigned long long)value);
	}
	printf("]");
}

static void print_kind(const struct kind *kind)
{
	printf("\"%s\": {\"operations\": %llu, \"rounds\": %llu", kind->name,
	       (unsigned long long)(kind->operations * kind->rounds), (unsigned long long)kind->rounds);
	print_totals("nanoseconds", kind, offsetof(struct reading, nanoseconds));
	print_totals("tsc", kind, offsetof(struct reading, tsc));
	/* The child's are not counted. */
	if (cycle_counter >= 0 && kind->loop != loop_context_switch) {
		print_totals("cycles", kind, offsetof(struct reading, cycles));
		print_totals("instructions", kind, offsetof(struct reading, instructions));
	}
	printf("}");
}

/* The name that a hypervisor gives itself; empty on a real machine. Other than letters becomes a dot. */
static void print_hypervisor(void)
{
	unsigned int eax, ebx, ecx, edx, name[3] = { 0, 0, 0 };
	const char *letters = (const char *)name;

	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & 1u << 31))
		__cpuid(0x40000000u, eax, name[0], name[1], name[2]);
	printf("\"hypervisor\": \"");
	for (size_t i = 0; i < sizeof(name) && letters[i]; i++)
		putchar((letters[i] | 32) >= 'a' && (letters[i] | 32) <= 'z' ? letters[i] : '.');
	printf("\"");
}

static void print_all(void)
{
	const char *separator = "";

	printf("{\"format\": 1, ");
	print_hypervisor();
	printf(", \"kinds\": {");
	for (int i = 0; i < KINDS; i++)
		if (!kinds[i].missing) {
			printf("%s", separator);
			print_kind(&kinds[i]);
			separator = ", ";
		}
	separator = "";
	printf("}, \"left_out\": {");
	for (int i = 0; i < KINDS; i++)
		if (kinds[i].missing) {
			printf("%s\"%s\": \"%s\"", separator, kinds[i].name, kinds[i].missing);
			separator = ", ";
		}
	printf("}}\n");
}

static int argument(int argc, char **argv, int index, int fallback, int most)
{
	char *end;
	long value;

	if (argc <= index)
		return fallback;
	value = strtol(argv[index], &end, 10);
	if (*end || end == argv[index] || value < 1 || value > most) {
		fprintf(stderr, "costs: %s is not a number from 1 to %d\n", argv[index], most);
		exit(2);
	}
	return (int)value;
}

int main(int argc, char **argv)
{
	int batches = argument(argc, argv, 1, 51, MAX_BATCHES);
	uint64_t nanoseconds = (uint64_t)argument(argc, argv, 2, 200, 1000000) * 1000;

	set_up();
	for (int i = 0; i < KINDS; i++)
		if (!kinds[i].missing)
			choose_rounds(&kinds[i], nanoseconds);
	for (int batch = 0; batch < batches; batch++)
		for (int i = 0; i < KINDS; i++)
			if (!kinds[i].missing)
				add_batch(&kinds[i]);
	print_all();
	if (child > 0) {
		close(to_child);
		waitpid(child, NULL, 0);
	}
	return 0;
}
