// SPDX-License-Identifier: GPL-2.0
/*
 * perf samples a program with the clock of its CPU: where it is, and what its user registers and stack
 * are when the sample hits the kernel. A kernel-mode program must look like any other.
 */
#include "direct.h"

#include <linux/perf_event.h>
#include <asm/perf_regs.h>

#define DATA_PAGES	256
#define PERIOD_NS	50000
#define STACK_BYTES	256
#define WANTED		50
#define ROUNDS		200

static struct perf_event_mmap_page *ring;

static int open_sampler(void)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attributes),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = PERIOD_NS,
		.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_CALLCHAIN | PERF_SAMPLE_REGS_USER |
			       PERF_SAMPLE_STACK_USER,
		.sample_regs_user = 1 << PERF_REG_X86_IP | 1 << PERF_REG_X86_SP | 1 << PERF_REG_X86_CS,
		.sample_stack_user = STACK_BYTES,
	};
	int fd = syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0);

	CHECK(fd >= 0);
	ring = mmap(NULL, (1 + DATA_PAGES) * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(ring != MAP_FAILED);

	return fd;
}

struct samples {
	unsigned int user, kernel;
};

static bool in_user_half(uint64_t address)
{
	return address < 1ul << 63;
}

/* The words of a sample: IP, the call chain with its length, the ABI and three registers. */
static void check_sample(const struct perf_event_header *header, const uint64_t *word, struct samples *found)
{
	const bool user = (header->misc & PERF_RECORD_MISC_CPUMODE_MASK) == PERF_RECORD_MISC_USER;
	const uint64_t ip = word[0];
	/* In the order of their numbers: SP, IP, CS. */
	const uint64_t *registers = word + 2 + word[1] + 1;

	CHECK(user || (header->misc & PERF_RECORD_MISC_CPUMODE_MASK) == PERF_RECORD_MISC_KERNEL);
	CHECK(in_user_half(ip) == user);
	CHECK(word[1] > 0 && word[2] == (user ? PERF_CONTEXT_USER : PERF_CONTEXT_KERNEL));
	CHECK(registers[-1] == PERF_SAMPLE_REGS_ABI_64);
	CHECK(in_user_half(registers[0]) && in_user_half(registers[1]) && registers[2] == 0x33);
	CHECK(!user || registers[1] == ip);
	found->user += user;
	found->kernel += !user;
}

static struct samples read_samples(void)
{
	uint64_t position = ring->data_tail, head = __atomic_load_n(&ring->data_head, __ATOMIC_ACQUIRE);
	const char *data = (const char *)ring + ring->data_offset;
	struct samples found = { };

	while (position < head) {
		static uint64_t record[8192];
		struct perf_event_header header;

		/* A header never wraps; what follows may. */
		memcpy(&header, data + position % ring->data_size, sizeof(header));
		CHECK(header.size >= sizeof(header) && header.size <= sizeof(record));
		for (unsigned int i = 0; i < header.size; i += 8)
			record[i / 8] = *(const uint64_t *)(data + (position + i) % ring->data_size);
		if (header.type == PERF_RECORD_SAMPLE)
			check_sample(&header, record + 1, &found);
		position += header.size;
	}
	__atomic_store_n(&ring->data_tail, head, __ATOMIC_RELEASE);

	return found;
}

/* Run the body until there are enough samples of both kinds. */
static void sample(void (*body)(void))
{
	struct samples all = { };

	open_sampler();
	for (int round = 0; round < ROUNDS && (all.user < WANTED || all.kernel < WANTED); round++) {
		struct samples found;

		body();
		found = read_samples();
		all.user += found.user;
		all.kernel += found.kernel;
	}
	CHECK(all.user >= WANTED && all.kernel >= WANTED);
}

static void spin(void)
{
	for (volatile int i = 0; i < 200000; i++)
		;
}

static void calls(void)
{
	static site_fn site;

	if (!site)
		site = make_site(code_pages(1), SYS_getppid);
	for (int i = 0; i < 5000; i++)
		site(0, 0, 0);
	spin();
}

static void faults(void)
{
	for (int i = 0; i < 100; i++) {
		char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		CHECK(page != MAP_FAILED);
		*page = 1;
		CHECK(!munmap(page, PAGE));
	}
	spin();
}

static void on_signal(int number)
{
	(void)number;
}

static void signals(void)
{
	signal(SIGUSR1, on_signal);
	for (int i = 0; i < 200; i++)
		raise(SIGUSR1);
	spin();
}

static void children(void)
{
	for (int i = 0; i < 10; i++) {
		pid_t child = fork();

		if (!child)
			_exit(0);
		CHECK(child > 0 && waitpid(child, NULL, 0) == child);
	}
	spin();
}

static void sampled_calls(void)
{
	sample(calls);
}

static void sampled_faults(void)
{
	sample(faults);
}

static void sampled_signals(void)
{
	sample(signals);
}

static void sampled_children(void)
{
	sample(children);
}

int main(void)
{
	static const struct test_case cases[] = {
		{ "samples of system calls", sampled_calls },
		{ "samples of page faults", sampled_faults },
		{ "samples of signals", sampled_signals },
		{ "samples of forks", sampled_children },
	};

	return RUN(cases);
}
