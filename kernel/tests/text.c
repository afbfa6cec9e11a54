// SPDX-License-Identifier: GPL-2.0
/*
 * The text of files that several processes have mapped: what one of them has called, the others call directly
 * from the first time on, and each of them still has the program's own code as soon as it, or the file, changes.
 */
#include "direct.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/uio.h>

enum { GETPID = 39, GETPPID = 110, SITES = 16, GAP = 64 };

static const uint8_t own[8] = { 0xb8, GETPID, 0, 0, 0, 0x0f, 0x05, 0xc3 };

static char path[64];

/* A file with so many pages, each of which has SITES sites. Nobody has it open for writing then. */
static void make_file(int pages)
{
	uint8_t page[PAGE];
	int fd, i;

	snprintf(path, sizeof(path), "/tmp/text.%d", getpid());
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0755);
	memset(page, 0x90, sizeof(page));
	for (i = 0; i < SITES; i++)
		memcpy(page + GAP * i, own, sizeof(own));
	CHECK(fd >= 0);
	for (i = 0; i < pages; i++)
		CHECK(write(fd, page, PAGE) == PAGE);
	close(fd);
}

static uint8_t *map_file(int pages)
{
	int fd = open(path, O_RDONLY);
	uint8_t *code = mmap(NULL, (size_t)pages * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

	CHECK(fd >= 0 && code != MAP_FAILED);
	close(fd);
	return code;
}

static void write_file(off_t offset, const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY);

	CHECK(fd >= 0 && pwrite(fd, bytes, size, offset) == (ssize_t)size);
	close(fd);
}

static long call(const uint8_t *code, int site)
{
	return ((site_fn)(uintptr_t)(code + GAP * site))(0, 0, 0);
}

/* Whether the page is the file's, not one of the process's own. */
static bool of_the_file(const uint8_t *code)
{
	uint64_t entry;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	CHECK(fd >= 0);
	CHECK(pread(fd, &entry, sizeof(entry), (uintptr_t)code / PAGE * sizeof(entry)) == sizeof(entry));
	close(fd);
	CHECK(entry >> 63);
	return entry >> 61 & 1;
}

static pid_t spawn(void (*body)(void))
{
	pid_t child = fork();

	if (!child) {
		body();
		_exit(0);
	}
	CHECK(child > 0);
	return child;
}

static void join(pid_t child)
{
	int status;

	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && !WEXITSTATUS(status));
}

/* A process that has called the sites, and goes. */
static void calls_all(void)
{
	uint8_t *code = map_file(2);
	int i;

	for (i = 0; i < 2 * SITES; i++)
		CHECK(call(code + i / SITES * PAGE, i % SITES) == getpid());
}

/* Every call is direct, at once, and no page is the process's own. */
static void calls_directly(void)
{
	const long pid = getpid();
	uint8_t *code;
	long first;
	int i;

	status("KernelModeCallsDirect");
	first = status("KernelModeTrapFirst");
	code = map_file(2);
	CHECK(COUNT_DIRECT(for (i = 0; i < 2 * SITES; i++)
				CHECK(call(code + i / SITES * PAGE, i % SITES) == pid)) ==
	      (direct_calls() ? 2 * SITES : 0));
	CHECK(status("KernelModeTrapFirst") == first);
	CHECK(of_the_file(code) && of_the_file(code + PAGE));
}

static void learned_by_another(void)
{
	make_file(2);
	join(spawn(calls_all));
	join(spawn(calls_directly));
	join(spawn(calls_directly));
	unlink(path);
}

static void learned_before_a_fork(void)
{
	uint8_t *code;
	long first;
	pid_t child;
	int i;

	make_file(1);
	code = map_file(1);
	for (i = 0; i < SITES; i++)
		CHECK(call(code, i) == getpid());
	child = fork();
	if (!child) {
		status("KernelModeCallsDirect");
		first = status("KernelModeTrapFirst");
		for (i = 0; i < SITES; i++)
			CHECK(call(code, i) == getpid());
		CHECK(status("KernelModeTrapFirst") == first && of_the_file(code));
		_exit(0);
	}
	join(child);
	unlink(path);
}

/* A mapping that has been called, one that has not, and one that is not there yet, when the file is written. */
static void file_is_written(void)
{
	static const uint8_t numbers[] = { GETPPID, GETPID };
	uint8_t *code, *uncalled;
	int round;

	make_file(1);
	code = map_file(1);
	/* Both have stubs, at the same distance. */
	CHECK(mmap(NULL, 64 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	uncalled = map_file(1);
	for (round = 0; round < 6; round++) {
		const bool swapped = round % 2;
		const long before = swapped ? getppid() : getpid(), after = swapped ? getpid() : getppid();

		CHECK(call(code, 0) == before && call(code, 0) == before && call(code, 1) == getpid());
		CHECK(uncalled[1] == (swapped ? GETPPID : GETPID) || uncalled[0] == 0xe9);
		write_file(1, numbers + swapped, 1);
		CHECK(code[0] == 0xb8 && code[1] == numbers[swapped]);
		CHECK(call(code, 0) == after && call(code, 1) == getpid());
		CHECK(call(uncalled, 0) == after && call(map_file(1), 0) == after);
	}
	unlink(path);
}

/* As long as anybody has the file open for writing, it is as it is for all. */
static void file_stays_open(void)
{
	uint8_t number, *code;
	int fd, i;

	make_file(1);
	fd = open(path, O_RDWR);
	code = map_file(1);
	for (i = 0; i < 10; i++) {
		number = i % 2 ? GETPID : GETPPID;
		CHECK(pwrite(fd, &number, 1, 1) == 1);
		CHECK(call(map_file(1), 0) == (i % 2 ? getpid() : getppid()));
	}
	close(fd);
	check_site((site_fn)(uintptr_t)code, getpid(), true);
	unlink(path);
}

/* Nobody has opened this one, and nobody counts who writes to it. */
static void file_of_memory(void)
{
	const int fd = memfd_create("text", 0);
	uint8_t number, *code;
	int i;

	CHECK(fd >= 0 && !ftruncate(fd, PAGE) && pwrite(fd, own, sizeof(own), 0) == sizeof(own));
	for (i = 0; i < 10; i++) {
		number = i % 2 ? GETPID : GETPPID;
		CHECK(pwrite(fd, &number, 1, 1) == 1);
		code = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
		CHECK(code != MAP_FAILED && code[0] == 0xb8 && code[1] == number);
		CHECK(call(code, 0) == (i % 2 ? getpid() : getppid()));
	}
	check_site((site_fn)(uintptr_t)code, getpid(), true);
	close(fd);
}

/* Written again and again, and longer each time: more text than there is room for at once. */
static void file_grows(void)
{
	static const uint8_t numbers[] = { GETPPID, GETPID };
	uint8_t *code;
	int i;

	make_file(1);
	code = map_file(64);
	for (i = 1; i < 40; i++) {
		CHECK(call(code, 0) == (i % 2 ? getpid() : getppid()));
		CHECK(call(code, 0) == (i % 2 ? getpid() : getppid()));
		write_file((off_t)i * PAGE, own, sizeof(own));
		write_file(1, numbers + !(i % 2), 1);
		CHECK(call(code, 0) == (i % 2 ? getppid() : getpid()));
		CHECK(call(code + i * PAGE, 0) == getpid());
		CHECK(call(code + i * PAGE, 0) == getpid());
	}
	unlink(path);
}

static void file_is_truncated(void)
{
	static const uint8_t nothing[8];
	uint8_t *code;

	make_file(1);
	code = map_file(1);
	CHECK(call(code, 0) == getpid() && call(code, 1) == getpid() && call(code, 1) == getpid());
	CHECK(!truncate(path, GAP));
	CHECK(!memcmp(code, own, sizeof(own)) && !memcmp(code + GAP, nothing, sizeof(nothing)));
	CHECK(call(code, 0) == getpid());
	CHECK(!truncate(path, 0));
	CHECK(open(path, O_RDONLY | O_TRUNC) >= 0);
	unlink(path);
	call(code, 0);
}

/* In another process, meanwhile, everything stays as it is. */
static void stays_direct(void)
{
	uint8_t *code = map_file(1);

	CHECK(call(code, 0) == getpid());
	check_site((site_fn)(uintptr_t)code, getpid(), true);
	CHECK(of_the_file(code));
}

static void stores(void)
{
	uint8_t *code;

	make_file(1);
	code = map_file(1);
	CHECK(call(code, 0) == getpid() && call(code, 0) == getpid());
	protect(code, PAGE, PROT_READ | PROT_WRITE);
	CHECK(!memcmp(code, own, sizeof(own)));
	code[1] = GETPPID;
	CHECK(!memcmp(code + GAP, own, sizeof(own)));
	end_code(code, PAGE);
	check_site((site_fn)(uintptr_t)code, getppid(), true);
	join(spawn(stays_direct));
	/* back to the file's */
	CHECK(!madvise(code, PAGE, MADV_DONTNEED));
	check_site((site_fn)(uintptr_t)(code + GAP), getpid(), true);
	unlink(path);
}

/* Patched by another process after this one has written to the page, and has mapped it writable. */
static void stores_first(void)
{
	uint8_t *code;

	make_file(2);
	code = map_file(2);
	protect(code, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
	code[1] = GETPPID;
	join(spawn(calls_all));
	CHECK(!memcmp(code + GAP, own, sizeof(own)) && !memcmp(code + PAGE, own, sizeof(own)));
	CHECK(call(code, 0) == getppid() && call(code, 1) == getpid());
	end_code(code, 2 * PAGE);
	check_site((site_fn)(uintptr_t)code, getppid(), true);
	check_site((site_fn)(uintptr_t)(code + PAGE), getpid(), true);
	unlink(path);
}

static void written_by_proc_mem(void)
{
	static const uint8_t number = GETPPID, breakpoint = 0xcc;
	int memory = open("/proc/self/mem", O_RDWR);
	uint8_t *code;

	CHECK(memory >= 0);
	make_file(2);
	join(spawn(calls_all));
	/* into pages that are not there yet, and into some that are */
	code = map_file(2);
	CHECK(pwrite(memory, &number, 1, (off_t)(uintptr_t)(code + 1)) == 1);
	CHECK(call(code, 0) == getppid() && call(code, 1) == getpid());
	check_site((site_fn)(uintptr_t)code, getppid(), true);
	CHECK(call(code + PAGE, 0) == getpid() && call(code + PAGE, 0) == getpid());
	CHECK(pwrite(memory, &breakpoint, 1, (off_t)(uintptr_t)(code + PAGE + GAP + 7)) == 1);
	CHECK(!memcmp(code + PAGE + GAP, own, 7) && code[PAGE + GAP + 7] == 0xcc);
	CHECK(pwrite(memory, own + 7, 1, (off_t)(uintptr_t)(code + PAGE + GAP + 7)) == 1);
	check_site((site_fn)(uintptr_t)(code + PAGE + GAP), getpid(), true);
	join(spawn(calls_directly));
	unlink(path);
}

static void read_by_others(void)
{
	int memory = open("/proc/self/mem", O_RDONLY), i;
	uint8_t seen[PAGE], *code;

	CHECK(memory >= 0);
	make_file(2);
	join(spawn(calls_all));
	code = map_file(2);
	for (i = 0; i < SITES; i++) {
		CHECK(pread(memory, seen, 8, (off_t)(uintptr_t)(code + GAP * i)) == 8);
		CHECK(!memcmp(seen, own, sizeof(own)));
		CHECK(process_vm_readv(getpid(), &(struct iovec){ seen, 8 }, 1,
				       &(struct iovec){ code + GAP * i, 8 }, 1, 0) == 8);
		CHECK(!memcmp(seen, own, sizeof(own)));
	}
	CHECK(of_the_file(code));
	CHECK(code[0] == (direct_calls() ? 0xe9 : 0xb8));
	unlink(path);
}

static void moved(void)
{
	uint8_t *code, *to = code_pages(4);

	make_file(2);
	join(spawn(calls_all));
	code = map_file(2);
	CHECK(call(code, 0) == getpid());
	/* one page that is there, and one that is not */
	CHECK(mremap(code, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	CHECK(!memcmp(to, own, sizeof(own)));
	CHECK(call(to, 0) == getpid() && call(to + PAGE, 0) == getpid());
	check_site((site_fn)(uintptr_t)(to + PAGE), getpid(), true);
	unlink(path);
}

/* The same file at another place has its text, too, but for a place where the stubs do not fit. */
static void mapped_twice(void)
{
	uint8_t *code, *other, *taken;
	int i;

	make_file(2);
	join(spawn(calls_all));
	for (i = 0; i < 40; i++) {
		taken = mmap(NULL, (size_t)(i + 1) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		code = map_file(2);
		other = map_file(2);
		CHECK(call(code, 0) == getpid() && call(other + PAGE, i % SITES) == getpid());
		check_site((site_fn)(uintptr_t)other, getpid(), true);
		munmap(taken, PAGE);
	}
	unlink(path);
}

/* What nobody uses is given back: when memory is short, and when the file goes. */
static long text_pages(void)
{
	return status_of("/proc/kernel_mode_linux", "KernelModeTextPages");
}

static void reclaim(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

	CHECK(fd >= 0 && write(fd, "2", 1) == 1);
	close(fd);
}

static void given_back(void)
{
	long before;

	make_file(2);
	if (!direct_calls()) {
		unlink(path);
		return;
	}
	reclaim();
	before = text_pages();
	join(spawn(calls_all));
	CHECK(text_pages() >= before + 2);
	reclaim();
	CHECK(text_pages() < before + 2);
	join(spawn(calls_all));
	join(spawn(calls_directly));
	before = text_pages();
	unlink(path);
	CHECK(text_pages() <= before - 2);
}

/* A program below /usr, whatever kernel-mode processes have done to the file. */
static void look(void)
{
	uint8_t *code = map_file(2);
	int i;

	for (i = 0; i < 2 * SITES; i++) {
		CHECK(!memcmp(code + i / SITES * PAGE + i % SITES * GAP, own, sizeof(own)));
		CHECK(call(code + i / SITES * PAGE, i % SITES) == getpid());
		CHECK(!memcmp(code + i / SITES * PAGE + i % SITES * GAP, own, sizeof(own)));
	}
}

static void ordinary_program(void)
{
	char program[256] = "/usr/lib/kmlbench/tests/text";
	pid_t child;

	make_file(2);
	join(spawn(calls_all));
	calls_all();
	child = fork();
	if (!child) {
		execl(program, program, path, NULL);
		_exit(2);
	}
	join(child);
	unlink(path);
}

/* Processes that call, learn and are born while the file is written: each finds what was written last. */
enum { CALLERS = 3, WRITES = 60 };

static volatile int *over;

static void keeps_calling(void)
{
	const long pid = getpid(), parent = getppid();
	int i;

	for (i = 0; !*over; i++) {
		uint8_t *code = map_file(2);
		int site;

		for (site = 0; site < SITES; site++) {
			const long result = call(code + i % 2 * PAGE, (site + i) % SITES);

			CHECK(result == pid || result == parent);
		}
		CHECK(!munmap(code, 2 * PAGE));
	}
}

static void written_while_called(void)
{
	uint8_t *code;
	pid_t callers[CALLERS];
	int i;

	over = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	make_file(2);
	code = map_file(2);
	for (i = 0; i < CALLERS; i++)
		callers[i] = spawn(keeps_calling);
	for (i = 0; i < WRITES; i++) {
		const int site = i % SITES;
		const uint8_t number = i / SITES % 2 ? GETPID : GETPPID;
		const long expected = number == GETPID ? getpid() : getppid();

		write_file(GAP * site + 1, &number, 1);
		CHECK(call(code, site) == expected && call(map_file(2), site) == expected);
		sched_yield();
		CHECK(call(code, site) == expected);
	}
	*over = 1;
	for (i = 0; i < CALLERS; i++)
		join(callers[i]);
	unlink(path);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "sites that another process has called", learned_by_another },
		{ "sites that were called before a fork", learned_before_a_fork },
		{ "a file that is written", file_is_written },
		{ "a file that somebody has open for writing", file_stays_open },
		{ "a file of memfd_create", file_of_memory },
		{ "a file that grows", file_grows },
		{ "a file that is truncated", file_is_truncated, SIGBUS },
		{ "stores of one process", stores },
		{ "stores before others call", stores_first },
		{ "writes by /proc/self/mem", written_by_proc_mem },
		{ "reads by /proc/self/mem and process_vm_readv", read_by_others },
		{ "mremap", moved },
		{ "a file mapped again and again", mapped_twice },
		{ "text that nobody uses", given_back },
		{ "an ordinary program with the same file", ordinary_program },
		{ "writes while others call", written_while_called },
	};

	if (argc == 2) {
		snprintf(path, sizeof(path), "%s", argv[1]);
		look();
		return 0;
	}
	return RUN(cases);
}
