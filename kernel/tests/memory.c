// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that is short: more than there is, without end, swapped out below patched sites; and huge
 * pages of hugetlbfs. Needs root, swap, and a machine that has nothing better to do.
 */
#include "direct.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <time.h>

#define HUGE_PAGE	(2ul << 20)
#define SLOW_LIMIT_S	900
/* What the programs that use it up find: more would only take longer. */
#define LEFT		(224ul << 20)
#define HUGE_PAGES	"/proc/sys/vm/nr_hugepages"

static uint8_t *anonymous(size_t size, int flags)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	CHECK(memory != MAP_FAILED);
	return memory;
}

static void write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

/* A line of /proc/meminfo. */
static size_t meminfo(const char *name)
{
	FILE *file = fopen("/proc/meminfo", "r");
	size_t value, length = strlen(name);
	char line[128];

	CHECK(file);
	do
		CHECK(fgets(line, sizeof(line), file));
	while (strncmp(line, name, length) || sscanf(line + length, ": %zu", &value) != 1);
	fclose(file);
	return value;
}

/* Have so many huge pages more, if there is room for them. */
static void reserve(size_t pages)
{
	char total[24];

	snprintf(total, sizeof(total), "%zu", meminfo("HugePages_Total") + pages);
	write_to(HUGE_PAGES, total);
}

/*
 * Let huge pages take what is more than LEFT: nobody clears them. A machine that boots with hugepages=N has
 * them at once, later the kernel has to make room first.
 */
static void make_scarce(void)
{
	size_t bytes = meminfo("MemAvailable") << 10;

	if (bytes > LEFT)
		reserve((bytes - LEFT) / HUGE_PAGE);
}

/* What /proc/self/pagemap says of the page. */
static bool swapped(void *page)
{
	uint64_t entry;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	CHECK(fd >= 0);
	CHECK(pread(fd, &entry, sizeof(entry), (uintptr_t)page / PAGE * sizeof(entry)) == sizeof(entry));
	close(fd);
	return entry >> 62 & 1;
}

static void run_on(int cpu)
{
	cpu_set_t only;

	CPU_ZERO(&only);
	CPU_SET(cpu, &only);
	CHECK(!sched_setaffinity(0, sizeof(only), &only) || errno == EINVAL);
}

/*
 * MADV_PAGEOUT is a request: it leaves a page that is locked, or still on its way to the disk from the last time. On a
 * busy machine that takes seconds; the limit of the case ends it. It also leaves a page that another processor, where
 * it came back, has still to put into a list: so it is asked on each of them.
 */
static void swap_out(void *page)
{
	struct timespec pause = { .tv_nsec = 10000000 };
	const int cpus = sysconf(_SC_NPROCESSORS_CONF);

	for (int turn = 0;; turn++) {
		run_on(turn % cpus);
		CHECK(!madvise(page, PAGE, MADV_PAGEOUT));
		if (swapped(page))
			return;
		nanosleep(&pause, NULL);
	}
}

/* A patched page belongs to the process: it has to come back as it was, with its jumps. */
static void swapped_sites(void)
{
	uint8_t *code = code_pages(1);
	site_fn site = make_site(code, SYS_getppid), other = make_site(code + 64, SYS_getppid);

	check_site(site, getppid(), true);
	for (int round = 0; round < 5; round++) {
		swap_out(code);
		CHECK(COUNT_DIRECT(CHECK(site(0, 0, 0) == getppid())) >= direct_calls());
	}
	/* A site that is new when its page comes back. */
	swap_out(code);
	check_site(other, getppid(), true);
}

/*
 * All memory that is left and half of the swap, with system calls between the accesses, and pauses: Linux 7.2 calls
 * the OOM killer, with the swap half empty, if pages are used up more quickly than an emulated disk takes others.
 */
static void more_than_there_is(void)
{
	struct timespec pause = { .tv_nsec = 5000000 };
	struct sysinfo info;
	uint8_t *memory;
	size_t size, i;

	limit_case(SLOW_LIMIT_S);
	make_scarce();
	CHECK(!sysinfo(&info));
	size = ((meminfo("MemAvailable") << 10) + info.freeswap / 2) & -PAGE;
	memory = anonymous(size, 0);
	for (i = 0; i < size; i += PAGE) {
		*(uint64_t *)(memory + i) = i ^ 0x5a5a5a5a;
		if (i % (256 * PAGE) == 0) {
			CHECK(getppid() > 0);
			nanosleep(&pause, NULL);
		}
	}
	for (i = 0; i < size; i += PAGE)
		CHECK(*(uint64_t *)(memory + i) == (i ^ 0x5a5a5a5a));
}

static void be_the_victim(void)
{
	write_to("/proc/self/oom_score_adj", "1000");
	limit_case(SLOW_LIMIT_S);
}

/* The page fault finds that there is no memory. */
static void without_end_by_faults(void)
{
	make_scarce();
	be_the_victim();
	CHECK(!mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT));
	for (;;) {
		uint8_t *memory = anonymous(16 << 20, 0);

		for (size_t i = 0; i < 16 << 20; i += PAGE)
			memory[i] = 1;
	}
}

/* A system call finds it. */
static void without_end_by_calls(void)
{
	make_scarce();
	be_the_victim();
	CHECK(!mlockall(MCL_CURRENT | MCL_FUTURE));
	for (;;)
		anonymous(16 << 20, MAP_POPULATE);
}

/* A page of hugetlbfs with the code of a site. */
static uint8_t *huge_site(int protection)
{
	uint8_t *memory;

	if (meminfo("HugePages_Free") < 2)
		reserve(2);
	memory = anonymous(HUGE_PAGE, MAP_HUGETLB);
	memcpy(memory + 64, "\xb8\x6e\x00\x00\x00\x0f\x05\xc3", 8);
	CHECK(!mprotect(memory, HUGE_PAGE, protection));
	return memory + 64;
}

/* Such a page is not copied for a patch: its site stays a SYSCALL. */
static void hugetlb_code(void)
{
	check_site((site_fn)(uintptr_t)huge_site(PROT_READ | PROT_EXEC), getppid(), false);
}

static void hugetlb_data(void)
{
	((site_fn)(uintptr_t)huge_site(PROT_READ | PROT_WRITE))(0, 0, 0);
}

static void hugetlb_end(void)
{
	uint8_t *code = huge_site(PROT_READ | PROT_EXEC) - 64 + HUGE_PAGE - 1;

	CHECK(!mprotect(code + 1 - HUGE_PAGE, HUGE_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
	*code = 0x90;
	((site_fn)(uintptr_t)code)(0, 0, 0);
}

int main(void)
{
	static const struct test_case cases[] = {
		{ "a site in a hugetlb page", hugetlb_code },
		{ "execution of hugetlb data", hugetlb_data, SIGSEGV },
		{ "execution across the end of a hugetlb page", hugetlb_end, SIGSEGV },
		{ "patched sites that were swapped out", swapped_sites },
		{ "more memory than there is", more_than_there_is },
		{ "memory without end, by page faults", without_end_by_faults, SIGKILL },
		{ "memory without end, by system calls", without_end_by_calls, SIGKILL },
	};
	size_t huge_pages = meminfo("HugePages_Total");
	char before[24];
	int failed = RUN(cases);

	snprintf(before, sizeof(before), "%zu", huge_pages);
	write_to(HUGE_PAGES, before);
	return failed;
}
