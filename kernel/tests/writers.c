// SPDX-License-Identifier: GPL-2.0
/*
 * Whoever changes, moves, copies or looks at code finds the program's own bytes and leaves them: the
 * program itself, a tracer, /proc/<pid>/mem, process_vm_readv, uprobes, mremap, fork. Needs the boot
 * parameter proc_mem.force_override=always where CONFIG_PROC_MEM_ALWAYS_FORCE is not set.
 */
#include "direct.h"
#include "traced.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <time.h>

enum { GETPID = 39, GETPPID = 110 };

static const uint8_t own[8] = { 0xb8, GETPID, 0, 0, 0, 0x0f, 0x05, 0xc3 };

/* A site whose calls are direct, if there are direct calls. */
static site_fn called_site(uint8_t *code, uint32_t nr)
{
	site_fn site = make_site(code, nr);
	const long expected = site(0, 0, 0);

	CHECK(site(0, 0, 0) == expected);
	return site;
}

static bool patched(const uint8_t *code)
{
	return code[0] == 0xe9;
}

/* The immediate alone is rewritten, as by a JIT. */
static void own_store(void)
{
	uint8_t *code = code_pages(1);
	site_fn site = called_site(code, GETPID);
	int i;

	for (i = 0; i < 20; i++) {
		CHECK(patched(code) == direct_calls());
		begin_code(code, 8);
		CHECK(!memcmp(code, i % 2 ? "\xb8\x6e" : "\xb8\x27", 2));
		code[1] = i % 2 ? GETPID : GETPPID;
		CHECK(site(0, 0, 0) == (i % 2 ? getpid() : getppid()));
		end_code(code, 8);
		CHECK(site(0, 0, 0) == (i % 2 ? getpid() : getppid()));
	}
}

/* By way of no access at all. */
static void own_store_in_two_steps(void)
{
	uint8_t *code = code_pages(1);
	site_fn site = called_site(code, GETPID);

	protect(code, 8, PROT_NONE);
	protect(code, 8, PROT_READ | PROT_WRITE);
	CHECK(!memcmp(code, own, sizeof(own)));
	code[1] = GETPPID;
	end_code(code, 8);
	CHECK(site(0, 0, 0) == getppid());
}

/* A tool that hooks system calls: a jump over the SYSCALL and the instruction behind it. */
static void hook(void)
{
	static const uint8_t body[] = {
		0xb8, GETPID, 0, 0, 0, 0x0f, 0x05, 0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff, 0xc3,
		0xb8, 0x92, 0x10, 0, 0, 0xeb, 0xf8,		/* mov $4242, %eax; jmp to the ret */
	};
	uint8_t *code = code_pages(1);
	site_fn site = (site_fn)(uintptr_t)code;

	emit(code, body, sizeof(body));
	end_code(code, sizeof(body));
	CHECK(site(0, 0, 0) == getpid() && site(0, 0, 0) == getpid());
	emit(code + 5, "\xe9\x04\x00\x00\x00\x90\x90\x90", 8);
	CHECK(site(0, 0, 0) == 4242);
	end_code(code, sizeof(body));
	CHECK(site(0, 0, 0) == 4242 && site(0, 0, 0) == 4242);
}

static void moved(void)
{
	uint8_t *code = code_pages(3), *to = code_pages(3);

	called_site(code + PAGE, GETPID);
	CHECK(mremap(code + PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	CHECK(!memcmp(to, own, sizeof(own)));
	check_site((site_fn)(uintptr_t)to, getpid(), true);
	/* away and back, to where its own stub is */
	CHECK(mremap(to, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, code + PAGE) == code + PAGE);
	check_site((site_fn)(uintptr_t)(code + PAGE), getpid(), true);
}

/* The vDSO, too, and whatever has been called in it. */
static void moved_vdso(void)
{
	unsigned long start = 0, end = 0;
	struct timespec now;
	uint8_t *to, *was;
	char line[256];
	FILE *maps;

	maps = fopen("/proc/self/maps", "r");
	CHECK(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (strstr(line, "[vdso]"))
			CHECK(sscanf(line, "%lx-%lx", &start, &end) == 2);
	}
	fclose(maps);
	if (!start)
		return;
	was = malloc(end - start);
	CHECK(was && syscall(SYS_process_vm_readv, getpid(), &(struct iovec){ was, end - start }, 1,
			     &(struct iovec){ (void *)start, end - start }, 1, 0) == (long)(end - start));
	CHECK(!clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) && !clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now));
	to = code_pages((end - start) / PAGE);
	CHECK(mremap((void *)start, end - start, end - start, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	CHECK(!memcmp(to, was, end - start));
}

/* A function in memory that is writable is as it was written, and so is a copy of it. */
static void copied(void)
{
	uint8_t *code = code_pages(1), *copy = code_pages(1);
	site_fn site = called_site(code, GETPID);

	begin_code(code, 8);
	CHECK(site(0, 0, 0) == getpid());
	memcpy(copy, code, 64);
	CHECK(((site_fn)(uintptr_t)copy)(0, 0, 0) == getpid());
	end_code(copy, 64);
	check_site((site_fn)(uintptr_t)copy, getpid(), true);
}

/* The same where the process can only read what it copies, and there are jumps in it. */
static void copied_from_text(void)
{
	uint8_t *far = mmap((void *)0x200000000, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	uint8_t *code = code_pages(3);
	site_fn site = called_site(code, GETPID);
	const long pid = getpid();
	int i;

	CHECK(far != MAP_FAILED);
	memcpy(far + 64, code, 64);
	memcpy(code + PAGE, code, 64);
	memcpy(code + 2 * PAGE, code, 64);
	end_code(code + 2 * PAGE, 64);
	for (i = 0; i < 3; i++) {
		CHECK(site(0, 0, 0) == pid);
		CHECK(((site_fn)(uintptr_t)(far + 64))(0, 0, 0) == pid);
		CHECK(((site_fn)(uintptr_t)(code + PAGE))(0, 0, 0) == pid);
		CHECK(((site_fn)(uintptr_t)(code + 2 * PAGE))(0, 0, 0) == pid);
	}
	CHECK(!memcmp(far + 64, own, sizeof(own)) && !memcmp(code + PAGE, own, sizeof(own)));
}

/* Reads by the kernel for somebody else, whole and in part. */
static void read_by_others(void)
{
	uint8_t *code = code_pages(1), seen[64];
	int memory = open("/proc/self/mem", O_RDWR);
	size_t from, size;

	CHECK(memory >= 0);
	memset(code, 0x90, 64);
	called_site(code + 16, GETPID);
	for (from = 10; from < 30; from++) {
		for (size = 1; from + size < 40; size++) {
			uint8_t expected[64] = { };

			memset(expected, 0x90, sizeof(expected));
			memcpy(expected + 16, own, sizeof(own));
			CHECK(pread(memory, seen, size, (off_t)(uintptr_t)(code + from)) == (ssize_t)size);
			CHECK(!memcmp(seen, expected + from, size));
			CHECK(process_vm_readv(getpid(), &(struct iovec){ seen, size }, 1,
					       &(struct iovec){ code + from, size }, 1, 0) == (ssize_t)size);
			CHECK(!memcmp(seen, expected + from, size));
		}
	}
	/* They are as direct as they were. */
	CHECK(patched(code + 16) == direct_calls());
}

static void written_by_proc_mem(void)
{
	uint8_t *code = code_pages(1), nr;
	site_fn site = called_site(code, GETPID);
	int memory = open("/proc/self/mem", O_RDWR), i;

	CHECK(memory >= 0);
	for (i = 0; i < 20; i++) {
		nr = i % 2 ? GETPID : GETPPID;
		CHECK(pwrite(memory, &nr, 1, (off_t)(uintptr_t)(code + 1)) == 1);
		CHECK(site(0, 0, 0) == (i % 2 ? getpid() : getppid()));
		CHECK(site(0, 0, 0) == (i % 2 ? getpid() : getppid()));
	}
}

static uint8_t *traced_code;

static void three_calls(void)
{
	int i;

	for (i = 0; i < 3; i++)
		CHECK(((site_fn)(uintptr_t)traced_code)(0, 0, 0) == getpid());
}

/* Breakpoints as debuggers set them, word by word, on each instruction of a site. */
static void breakpoints(void)
{
	static const int offsets[] = { 0, 5, 7 };
	size_t i;

	for (i = 0; i < 3; i++) {
		unsigned long address;
		pid_t child;
		int status, hits;
		long word;

		traced_code = code_pages(1);
		called_site(traced_code, GETPID);
		child = traced(three_calls);
		address = (unsigned long)traced_code + offsets[i];
		word = ptrace(PTRACE_PEEKTEXT, child, address, 0);
		CHECK((word & 0xff) == own[offsets[i]]);
		for (hits = 0; ; hits++) {
			struct user_regs_struct registers;

			CHECK(!ptrace(PTRACE_POKETEXT, child, address, (word & ~0xfful) | 0xcc));
			CHECK(!ptrace(PTRACE_CONT, child, 0, 0) && waitpid(child, &status, 0) == child);
			if (!WIFSTOPPED(status))
				break;
			CHECK(WSTOPSIG(status) == SIGTRAP);
			registers = registers_of(child);
			CHECK(registers.rip == address + 1);
			CHECK(!ptrace(PTRACE_POKETEXT, child, address, word));
			registers.rip = address;
			CHECK(!ptrace(PTRACE_SETREGS, child, 0, &registers));
			CHECK(!ptrace(PTRACE_SINGLESTEP, child, 0, 0) && waitpid(child, &status, 0) == child);
			CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
		}
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42 && hits == 3);
	}
}

/* Threads that call a site all the time while somebody does something to it */
enum { CALLERS = 3 };

static struct {
	site_fn site;
	long expected, wrong, calls;
	volatile int stop;
	pthread_t threads[CALLERS];
} callers;

static void *caller(void *unused)
{
	long wrong = 0, calls = 0;

	while (!callers.stop) {
		wrong += callers.site(0, 0, 0) != callers.expected;
		calls++;
	}
	__atomic_add_fetch(&callers.wrong, wrong, __ATOMIC_RELAXED);
	__atomic_add_fetch(&callers.calls, calls, __ATOMIC_RELAXED);
	return unused;
}

static void start_callers(site_fn site)
{
	int i;

	callers.site = site;
	callers.expected = getpid();
	callers.stop = 0;
	for (i = 0; i < CALLERS; i++)
		CHECK(!pthread_create(&callers.threads[i], NULL, caller, NULL));
}

/* Returns how many calls there were. */
static long stop_callers(void)
{
	int i;

	callers.stop = 1;
	for (i = 0; i < CALLERS; i++)
		CHECK(!pthread_join(callers.threads[i], NULL));
	CHECK(!callers.wrong);
	return callers.calls;
}

static void written_under_threads(void)
{
	uint8_t *code = code_pages(1);
	int memory = open("/proc/self/mem", O_RDWR), i;

	CHECK(memory >= 0);
	start_callers(called_site(code, GETPID));
	for (i = 0; i < 120; i++) {
		CHECK(pwrite(memory, own + i % 8, 1, (off_t)(uintptr_t)(code + i % 8)) == 1);
		begin_code(code, 8);
		CHECK(!memcmp(code, own, sizeof(own)));
		if (i % 3)
			sched_yield();
		end_code(code, 8);
		if (i % 5)
			sched_yield();
	}
	stop_callers();
}

static void forked_under_threads(void)
{
	uint8_t *code = code_pages(1);
	int i, status;
	pid_t child;

	start_callers(called_site(code, GETPID));
	for (i = 0; i < 20; i++) {
		child = fork();
		if (!child) {
			begin_code(code, 8);
			CHECK(!memcmp(code, own, sizeof(own)));
			end_code(code, 8);
			check_site((site_fn)(uintptr_t)code, getpid(), true);
			_exit(0);
		}
		CHECK(child > 0 && waitpid(child, &status, 0) == child && !status);
	}
	stop_callers();
}

/* A page with code and data: a thread counts in it while its process forks. No store may get lost. */
enum { FORKS = 60 };

static volatile unsigned long *volatile counted;
static volatile unsigned long ready, lost, over;

static void *counting(void *unused)
{
	volatile unsigned long *word = NULL;
	unsigned long next = 0;
	int i;

	while (!over) {
		volatile unsigned long *wanted = counted;

		if (wanted != word) {
			word = wanted;
			next = *word = 0;
			ready = (unsigned long)word;
		}
		for (i = 0; word && i < 50; i++) {
			lost += *word != next;
			*word = ++next;
		}
	}
	return unused;
}

static void forks_and_stores(void)
{
	uint8_t *code = code_pages(FORKS + 1);
	pthread_t thread;
	int i, again;

	CHECK(!madvise(code, (FORKS + 1) * PAGE, MADV_NOHUGEPAGE));
	called_site(code + FORKS * PAGE, GETPPID);
	for (i = 0; i < FORKS; i++)
		make_site(code + i * PAGE, GETPPID);
	begin_code(code, FORKS * PAGE);
	CHECK(!pthread_create(&thread, NULL, counting, NULL));
	for (i = 0; i < FORKS; i++) {
		uint8_t *page = code + i * PAGE;
		unsigned long *word = (unsigned long *)(page + PAGE - 8);

		counted = word;
		while (ready != (unsigned long)word)
			sched_yield();
		/* The child has the site patched, the next fork would have it patched here. */
		for (again = 0; again < 2; again++) {
			pid_t child = fork();

			if (!child) {
				end_code(page, 8);
				((site_fn)(uintptr_t)page)(0, 0, 0);
				_exit(0);
			}
			CHECK(child > 0 && waitpid(child, NULL, 0) == child);
			usleep(500);
		}
	}
	over = 1;
	CHECK(!pthread_join(thread, NULL));
	CHECK(!lost);
}

/* uprobes */
#define TRACING "/sys/kernel/tracing"

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_APPEND);
	bool written;

	if (fd < 0)
		return false;
	written = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return written;
}

static void probe_on(bool on)
{
	char path[128];

	snprintf(path, sizeof(path), TRACING "/events/uprobes/w%d/enable", getpid());
	CHECK(write_text(path, on ? "1" : "0"));
}

static long probe_hits(void)
{
	char line[256], name[32];
	FILE *profile = fopen(TRACING "/uprobe_profile", "r");
	long hits = -1;

	CHECK(profile);
	snprintf(name, sizeof(name), " w%d ", getpid());
	while (fgets(line, sizeof(line), profile)) {
		if (strstr(line, name))
			sscanf(strstr(line, name) + strlen(name), "%ld", &hits);
	}
	fclose(profile);
	return hits;
}

/* With one more instruction before the SYSCALL. A probe on the SYSCALL itself ends badly everywhere in QEMU. */
static const uint8_t probed[11] = { 0xb8, GETPID, 0, 0, 0, 0x48, 0x89, 0xf2, 0x0f, 0x05, 0xc3 };

/* A file with a site, and a probe at an offset of it; returns the site, mapped and called. */
static uint8_t *probed_site(int offset, char *path)
{
	char definition[256];
	uint8_t page[PAGE];
	uint8_t *code;
	int fd;

	mount("tracefs", TRACING, "tracefs", 0, NULL);
	snprintf(path, 64, "/tmp/writers.%d.%d", getpid(), offset);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0755);
	memset(page, 0x90, sizeof(page));
	memcpy(page + 64, probed, sizeof(probed));
	CHECK(fd >= 0 && write(fd, page, sizeof(page)) == sizeof(page));
	code = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	CHECK(code != MAP_FAILED);
	close(fd);
	code += 64;
	check_site((site_fn)(uintptr_t)code, getpid(), true);
	snprintf(definition, sizeof(definition), "p:w%d %s:%#x\n", getpid(), path, 64 + offset);
	CHECK(write_text(TRACING "/uprobe_events", definition));

	return code;
}

static void remove_probe(const char *path)
{
	char definition[64];

	snprintf(definition, sizeof(definition), "-:w%d\n", getpid());
	CHECK(write_text(TRACING "/uprobe_events", definition));
	unlink(path);
}

static void uprobes(void)
{
	static const int offsets[] = { 0, 5, 10 };
	size_t i;
	int round;

	for (i = 0; i < 3; i++) {
		char path[64];
		uint8_t *code = probed_site(offsets[i], path);
		site_fn site = (site_fn)(uintptr_t)code;
		uint8_t seen[sizeof(probed)];
		long before = 0;

		for (round = 0; round < 3; round++) {
			probe_on(true);
			CHECK(code[offsets[i]] == 0xcc);
			CHECK(site(0, 0, 0) == getpid() && site(0, 0, 0) == getpid());
			CHECK(probe_hits() == before + 2);
			probe_on(false);
			CHECK(process_vm_readv(getpid(), &(struct iovec){ seen, sizeof(seen) }, 1,
					       &(struct iovec){ code, sizeof(seen) }, 1, 0) == sizeof(seen));
			CHECK(!memcmp(seen, probed, sizeof(probed)));
			check_site(site, getpid(), true);
			before = probe_hits();
		}
		remove_probe(path);
	}
}

static void uprobes_under_threads(void)
{
	char path[64];
	uint8_t *code = probed_site(0, path);
	int i;

	start_callers((site_fn)(uintptr_t)code);
	for (i = 0; i < 6; i++) {
		probe_on(true);
		usleep(2000);
		probe_on(false);
		usleep(2000);
	}
	CHECK(probe_hits() > 0);
	CHECK(stop_callers() > 0);
	check_site((site_fn)(uintptr_t)code, getpid(), true);
	remove_probe(path);
}

/* A core dump has the program's own code. */
enum { CORE_SIZE = 64 << 20 };

static void core_dump(void)
{
	char pattern[128] = "", path[64], *dump;
	uint8_t *code;
	int fd, status;
	ssize_t size;
	pid_t child;

	fd = open("/proc/sys/kernel/core_pattern", O_RDWR);
	if (fd < 0)
		return;
	size = read(fd, pattern, sizeof(pattern) - 1);
	CHECK(size > 0);
	snprintf(path, sizeof(path), "/tmp/writers.core.%d", getpid());
	CHECK(pwrite(fd, path, strlen(path), 0) == (ssize_t)strlen(path));
	child = fork();
	if (!child) {
		const struct rlimit limit = { CORE_SIZE, CORE_SIZE };

		CHECK(!setrlimit(RLIMIT_CORE, &limit));
		prctl(PR_SET_DUMPABLE, 1);
		code = code_pages(1);
		memset(code, 0x90, 64);
		memcpy(code, "in the core dump", 16);
		called_site(code + 16, GETPID);
		abort();
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
	CHECK(pwrite(fd, pattern, size, 0) == size);
	close(fd);
	if (!WCOREDUMP(status))
		return;
	fd = open(path, O_RDONLY);
	if (fd < 0) {
		snprintf(path, sizeof(path), "/tmp/writers.core.%d.%d", getpid(), child);
		fd = open(path, O_RDONLY);
	}
	CHECK(fd >= 0);
	unlink(path);
	dump = malloc(CORE_SIZE);
	CHECK(dump);
	size = 0;
	for (;;) {
		ssize_t got = read(fd, dump + size, (CORE_SIZE) - size);

		if (got <= 0)
			break;
		size += got;
	}
	/* a page begins with it */
	for (char *found = dump; (found = memmem(found, dump + size - found, "in the core dump", 16)); found++) {
		if (!((found - dump) % PAGE))
			_exit(memcmp(found + 16, own, sizeof(own)) != 0);
	}
	CHECK(!"the page is in the dump");
}

/* Memory that is given back and used again: what was known about it is forgotten, sooner or later. */
static void given_back(void)
{
	uint8_t *code = code_pages(1);
	site_fn site = (site_fn)(uintptr_t)code;
	const long pid = getpid();
	int i;

	/* not to be patched: the number is not loaded by the instruction before */
	emit(code, "\x6a\x27\x58\xeb\x00\x0f\x05\xc3", 8);
	end_code(code, 8);
	for (i = 0; i < 10; i++)
		CHECK(site(0, 0, 0) == getpid());
	CHECK(mmap(code, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
	      code);
	make_site(code, GETPID);
	for (i = 0; i < 1000; i++)
		CHECK(site(0, 0, 0) == getpid());
	CHECK(COUNT_DIRECT(CHECK(site(0, 0, 0) == pid)) == direct_calls());

	/* patched, and then again what it was, without a word to the kernel but this */
	CHECK(!madvise(code, PAGE, MADV_DONTNEED));
	make_site(code, GETPID);
	for (i = 0; i < 1000; i++)
		CHECK(site(0, 0, 0) == getpid());
	CHECK(COUNT_DIRECT(CHECK(site(0, 0, 0) == pid)) == direct_calls());
}

/* Four pages full of one site. */
static int pages_of(const uint8_t *site)
{
	int file = memfd_create("sites", 0), i;
	uint8_t page[PAGE];

	memset(page, 0x90, sizeof(page));
	for (i = 0; i < PAGE; i += 16)
		memcpy(page + i, site, 8);
	CHECK(file >= 0);
	for (i = 0; i < 4; i++)
		CHECK(write(file, page, PAGE) == PAGE);
	return file;
}

static void call_both(uint8_t *code, int one, int other)
{
	CHECK(((site_fn)(uintptr_t)(code + 16 * one))(0, 0, 0) == getpid());
	CHECK(((site_fn)(uintptr_t)(code + 16 * other))(0, 0, 0) == getpid());
}

/*
 * Sites that cannot be patched: none of them makes the kernel look at another one anew, which is what takes
 * time. Behind its back sites that it could patch come to their places. One that it patches it has looked at.
 * It does that now and then, but for no pair of sites three times in a row.
 */
static void many_unpatched(void)
{
	const int unpatchable = pages_of((const uint8_t *)"\x6a\x27\x58\xeb\x00\x0f\x05\xc3");
	const int patchable = pages_of(own);
	uint8_t *code = code_pages(4);
	int i, again;

	for (i = 1; i < 4 * PAGE / 16; i++) {
		for (again = 0; again < 3; again++) {
			CHECK(mmap(code, 4 * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, unpatchable, 0) ==
			      code);
			call_both(code, 0, i);
			call_both(code, 0, i);
			CHECK(mmap(code, 4 * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, patchable, 0) ==
			      code);
			call_both(code, 0, i);
			if (!patched(code) && !patched(code + 16 * i))
				break;
		}
		CHECK(again < 3);
	}
}

int main(void)
{
	static const struct test_case cases[] = {
		{ "the process rewrites a number", own_store },
		{ "the same, after it took all access away", own_store_in_two_steps },
		{ "a hook over a site that was called", hook },
		{ "mremap", moved },
		{ "mremap of the vDSO", moved_vdso },
		{ "a copy of a function that was called", copied },
		{ "a copy of a function in memory that is only executed", copied_from_text },
		{ "reads by /proc/self/mem and process_vm_readv", read_by_others },
		{ "writes by /proc/self/mem", written_by_proc_mem },
		{ "breakpoints of a tracer", breakpoints },
		{ "writes while threads call the site", written_under_threads },
		{ "forks while threads call the site", forked_under_threads },
		{ "forks while a thread stores into the page", forks_and_stores },
		{ "uprobes", uprobes },
		{ "uprobes while threads call the site", uprobes_under_threads },
		{ "a core dump", core_dump },
		{ "memory that was given back", given_back },
		{ "many sites that cannot be patched", many_unpatched },
	};

	return RUN(cases);
}
