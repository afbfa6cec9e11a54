// SPDX-License-Identifier: GPL-2.0
/* Sites that patch themselves, and sites that must be left alone: the result is that of a SYSCALL. */
#include "direct.h"

#include <linux/mman.h>
#include <pthread.h>
#include <sys/resource.h>

enum { GETPID = 39, GETPPID = 110 };

/* Each form of the instructions before a SYSCALL that can be moved */
static void forms(void)
{
	static const struct {
		const char *before, *after;
		size_t size;
	} forms[] = {
#define FORM(before, after) { before, after, sizeof(before) - 1 }
		FORM("\xb8\x27\x00\x00\x00", ""),				/* mov $39, %eax */
		FORM("\x48\xc7\xc0\x27\x00\x00\x00", ""),			/* mov $39, %rax */
		FORM("\xb8\x27\x00\x00\x00\x49\x89\xca", ""),			/* mov %rcx, %r10 */
		FORM("\xb8\x27\x00\x00\x00\x31\xff", ""),			/* xor %edi, %edi */
		FORM("\xb8\x27\x00\x00\x00\x40\x80\xf6\x80", ""),		/* xor $0x80, %sil */
		FORM("\xb8\x27\x00\x00\x00\x8b\x7c\x24\x08", ""),		/* mov 8(%rsp), %edi */
		FORM("\xb8\x27\x00\x00\x00\xbe\x80\x00\x00\x00", ""),		/* mov $128, %esi */
		FORM("\xb8\x27\x00\x00\x00\xba\x07\x00\x00\x00", ""),		/* mov $7, %edx */
		FORM("\xb8\x27\x00\x00\x00\x41\xba\x08\x00\x00\x00", ""),	/* mov $8, %r10d */
		FORM("\xb8\x27\x00\x00\x00\x48\x8d\xb3\xf0\x08\x00\x00", ""),	/* lea 0x8f0(%rbx), %rsi */
		FORM("\xb8\x27\x00\x00\x00\x48\x89\xf2\x31\xf6", ""),			/* mov %rsi, %rdx; xor %esi, %esi */
		FORM("\xb8\x27\x00\x00\x00\xba\xff\xff\xff\x7f\x40\x80\xf6\x81", ""),	/* mov before mov */
		FORM("\xb8\x27\x00\x00\x00\xf7\xd6\x81\xe6\x80\x00\x00\x00", ""),	/* not %esi; and $128, %esi */
		FORM("\xb8\x27\x00\x00\x00\x81\xe6\x80\x00\x00\x00\x40\x80\xf6\x81", ""),	/* and $128, %esi; xor */
		FORM("\xb8\x27\x00\x00\x00\x49\x39\xf0\x49\x0f\x46\xf0", ""),	/* cmp %rsi, %r8; cmovbe %r8, %rsi */
		FORM("\xb8\x27\x00\x00\x00\x4c\x89\x5c\x24\xf0", ""),		/* mov %r11, -16(%rsp) */
		FORM("\xb8\x27\x00\x00\x00\x4c\x8b\x4c\x24\x08", ""),		/* mov 8(%rsp), %r9 */
		FORM("\x68\x27\x00\x00\x00\x48\x8b\x44\x24\x00", "\x41\x5a"),	/* mov 0(%rsp), %rax */
	};
	uint8_t *code = code_pages(1), *end;
	size_t i;

	for (i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		end = emit(code, forms[i].before, forms[i].size);
		end = EMIT(end, "\x0f\x05");
		end = emit(end, forms[i].after, strlen(forms[i].after));
		EMIT(end, "\xc3");
		check_site((site_fn)(uintptr_t)code, getpid(), true);
		code += 64;
	}
}

/* The last bytes of a longer instruction look like mov $nr, %eax and hold the number, too. */
static void impostors(void)
{
	static const char * const impostors[] = {
		"\x6a\x27\x58\xc7\x44\x24\xb8\x27",	/* movl $39, -72(%rsp) */
		"\x6a\x27\x58\x41\xb8\x27",		/* mov $39, %r8d */
	};
	uint8_t *code = code_pages(1), *end;
	size_t i;

	for (i = 0; i < 2; i++) {
		end = emit(code, impostors[i], strlen(impostors[i]));
		end = EMIT(end, "\x00\x00\x00\x0f\x05\xc3");
		check_site((site_fn)(uintptr_t)code, getpid(), false);
		CHECK(!memcmp(code, impostors[i], strlen(impostors[i])));
		code += 64;
	}
}

/* The jump must be written at once: not across two pages. What follows it may lie in the next. */
static void page_end(void)
{
	uint8_t *code = code_pages(4);
	int before;

	for (before = 1; before <= 6; before++)
		check_site(make_site(code + PAGE * (1 + before % 2) - before, GETPID), getpid(),
			   before >= 5);
}

/* At the very beginning of a mapping there are no bytes before the instruction to look at. */
static void mapping_start(void)
{
	uint8_t *code = code_pages(3);

	CHECK(!munmap(code, PAGE));
	check_site(make_site(code + PAGE, GETPID), getpid(), true);
	/* the SYSCALL itself is the first instruction: mov $39, %eax; jmp */
	CHECK(!mprotect(code + PAGE, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
	EMIT(code + 2 * PAGE, "\x0f\x05\xc3");
	CHECK(!munmap(code + PAGE, PAGE));
	long result = GETPID;

	asm volatile("call *%1" : "+a"(result) : "r"(code + 2 * PAGE) : "rcx", "r11", "memory");
	CHECK(result == getpid());
}

/* Others see what is written to a shared page. */
static void shared_page(void)
{
	int fd = memfd_create("code", 0);
	uint8_t *code;

	CHECK(fd >= 0 && !ftruncate(fd, PAGE));
	code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED, fd, 0);
	CHECK(code != MAP_FAILED);
	check_site(make_site(code, GETPID), getpid(), false);
	CHECK(code[0] == 0xb8);
}

/* A file with the code of a site, mapped shared and writable. */
static uint8_t *file_site(int *fd)
{
	uint8_t *code;

	*fd = memfd_create("code", 0);
	CHECK(*fd >= 0 && !ftruncate(*fd, PAGE));
	code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	CHECK(code != MAP_FAILED);
	memcpy(code, "\xb8\x27\x00\x00\x00\x0f\x05\xc3", 8);

	return code;
}

static uint8_t *map_private(int fd)
{
	uint8_t *code = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

	CHECK(code != MAP_FAILED);
	return code;
}

/* The file keeps its bytes, the process gets a page of its own; it may be as read-only as it likes. */
static void file_page(void)
{
	uint8_t byte;
	int fd;

	CHECK(!munmap(file_site(&fd), PAGE));
	check_site((site_fn)(uintptr_t)map_private(fd), getpid(), true);
	CHECK(pread(fd, &byte, 1, 0) == 1 && byte == 0xb8);
}

/* What is written to the file by one mapping shows in the other, which is private but has written nothing. */
static void file_written_elsewhere(void)
{
	uint8_t *code, *other;
	int fd;

	code = file_site(&fd);
	other = map_private(fd);
	check_site((site_fn)(uintptr_t)other, getpid(), false);
	code[1] = GETPPID;
	check_site((site_fn)(uintptr_t)other, getppid(), false);
}

/* The same where the process can write the code itself, at any time. */
static void writable_page(void)
{
	uint8_t *code = code_pages(1);
	site_fn site = make_site(code, GETPID);
	const long pid = getpid();
	int i;

	begin_code(code, PAGE);
	for (i = 0; i < CALLS; i++) {
		CHECK(site(0, 0, 0) == getpid());
		code[1] = GETPPID;
		CHECK(site(0, 0, 0) == getppid());
		code[1] = GETPID;
	}
	CHECK(!COUNT_DIRECT(CHECK(site(0, 0, 0) == pid)));
	check_site(site, getpid(), true);
}

static void protected_and_unmapped(void)
{
	uint8_t *code = code_pages(1);
	int i;

	for (i = 0; i < 3; i++) {
		check_site(make_site(code, GETPID), getpid(), true);
		CHECK(!mprotect(code, PAGE, PROT_READ));
		CHECK(!mprotect(code, PAGE, PROT_READ | PROT_EXEC));
		/* the site has its own bytes again, and is patched anew */
		CHECK(((site_fn)(uintptr_t)code)(0, 0, 0) == getpid());
		CHECK(COUNT_DIRECT(((site_fn)(uintptr_t)code)(0, 0, 0)) == direct_calls());
		/* the same place, another program: what is known about the site is out of date */
		CHECK(mmap(code, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
			   MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == code);
		CHECK(make_site(code, GETPPID)(0, 0, 0) == getppid());
		CHECK(make_site(code, GETPPID)(0, 0, 0) == getppid());
		CHECK(mmap(code, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
			   MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == code);
		/* so that the next round may find the site unknown */
		code = code_pages(1);
	}
	CHECK(!munmap(code, PAGE));
}

/* More sites than one region has stubs for, each in reach of its code */
static void many_sites(void)
{
	enum { SITES = 1500 };
	uint8_t *code = code_pages(SITES / 64 + 1);
	uint8_t *far = mmap((void *)0x200000000, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	int i, round;

	CHECK(far != MAP_FAILED);
	for (i = 0; i < SITES; i++)
		make_site(code + 64 * i, GETPID);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < SITES; i++)
			CHECK(((site_fn)(uintptr_t)(code + 64 * i))(0, 0, 0) == getpid());
	}
	check_site((site_fn)(uintptr_t)(code + 64 * (SITES - 1)), getpid(), true);
	check_site(make_site(far, GETPID), getpid(), true);
}

/* A jump to the SYSCALL itself, with another number, where the site is patched */
static void jump_to_syscall(void)
{
	uint8_t *code = code_pages(1);
	long result = GETPPID;

	check_site(make_site(code, GETPID), getpid(), true);
	asm volatile("call *%1" : "+a"(result) : "r"(code + 5) : "rcx", "r11", "memory");
	CHECK(result == getppid());
}

/* A leaf function has 128 bytes below the stack pointer that belong to it. */
static void red_zone(void)
{
	uint8_t *code = code_pages(1);
	long wrong = 0;
	int round;

	/* the site ends with jmp *%r12 instead of ret: a call would write there itself */
	end_code(code, EMIT(emit_mov_nr(code, GETPID), "\x0f\x05\x41\xff\xe4") - code);
	for (round = 0; round < 200; round++) {
		asm volatile("lea 2f(%%rip), %%r12\n\t"
			     "mov $-128, %%rbx\n"
			     "1:\tmov %%rbx, (%%rsp, %%rbx)\n\t"
			     "add $8, %%rbx\n\t"
			     "jnz 1b\n\t"
			     "jmp *%1\n"
			     "2:\tmov $-128, %%rbx\n"
			     "3:\tcmp %%rbx, (%%rsp, %%rbx)\n\t"
			     "je 4f\n\t"
			     "inc %0\n"
			     "4:\tadd $8, %%rbx\n\t"
			     "jnz 3b\n"
			     : "+&r"(wrong) : "r"(code)
			     : "rax", "rbx", "rcx", "r11", "r12", "memory", "cc");
	}
	CHECK(!wrong);
}

/*
 * Load the registers from in[], and RFLAGS with these bits set, call the code
 * and store the registers to out[]. Returns the RFLAGS after the call.
 */
uint64_t call_with_registers(const uint64_t *in, uint64_t *out, void *code, uint64_t flags);

asm(".text\n"
    "call_with_registers:\n\t"
    "push %rbp\n\tpush %rbx\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\t"
    "push %rsi\n\tpush %rdx\n\t"
    "pushf\n\tpop %rax\n\tor %rcx, %rax\n\tpush %rax\n\t"
    "mov %rdi, %rax\n\t"
    "mov (%rax), %rbx\n\tmov 8(%rax), %rdx\n\tmov 16(%rax), %rsi\n\tmov 24(%rax), %rdi\n\t"
    "mov 32(%rax), %rbp\n\tmov 40(%rax), %r8\n\tmov 48(%rax), %r9\n\tmov 56(%rax), %r10\n\t"
    "mov 64(%rax), %r12\n\tmov 72(%rax), %r13\n\tmov 80(%rax), %r14\n\tmov 88(%rax), %r15\n\t"
    "movq 96(%rax), %xmm0\n\tmovq 104(%rax), %xmm15\n\t"
    "popf\n\t"
    "call *(%rsp)\n\t"
    "pushf\n\tpop %rax\n\t"
    "mov 8(%rsp), %rcx\n\t"
    "mov %rbx, (%rcx)\n\tmov %rdx, 8(%rcx)\n\tmov %rsi, 16(%rcx)\n\tmov %rdi, 24(%rcx)\n\t"
    "mov %rbp, 32(%rcx)\n\tmov %r8, 40(%rcx)\n\tmov %r9, 48(%rcx)\n\tmov %r10, 56(%rcx)\n\t"
    "mov %r12, 64(%rcx)\n\tmov %r13, 72(%rcx)\n\tmov %r14, 80(%rcx)\n\tmov %r15, 88(%rcx)\n\t"
    "movq %xmm0, 96(%rcx)\n\tmovq %xmm15, 104(%rcx)\n\t"
    "push $0x202\n\tpopf\n\t"
    "add $16, %rsp\n\t"
    "pop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbx\n\tpop %rbp\n\t"
    "ret\n");

/* All registers but RAX, RCX and R11 survive, and so do the flags that SYSCALL saves. */
static void registers_survive(void)
{
	static const uint64_t flags[] = {
		0, 1 << 10 /* DF */, 1 << 21 /* ID */, 1 << 14 /* NT */, 1 << 18 /* AC */,
	};
	uint8_t *code = code_pages(1);
	uint64_t in[14], out[14], seen;
	size_t i, round;

	make_site(code, GETPID);
	for (round = 0; round < 5 * CALLS; round++) {
		const uint64_t flag = flags[round % 5];

		for (i = 0; i < 14; i++)
			in[i] = 0x0101010101010101 * (i + 1 + round % 7);
		seen = call_with_registers(in, out, code, flag);
		CHECK(!memcmp(in, out, sizeof(in)));
		CHECK((seen & flag) == flag);
	}
}

/* lea disp(%rip), %rsi loads the same address when it runs elsewhere; one too far for that stays. */
static void relative_address(void)
{
	static const struct {
		int32_t displacement;
		bool patched;
	} sites[] = {
		{ 0x11cf46, true }, { -0xb35, true }, { 0, true }, { 0xfffffff, true },
		{ -0xfffffff, true }, { 0x7fffffff, false }, { INT32_MIN, false },
	};
	uint64_t in[14] = { }, out[14];
	uint8_t *code = code_pages(1), *end;
	size_t i, round;

	for (i = 0; i < sizeof(sites) / sizeof(*sites); i++) {
		end = emit_mov_nr(code, GETPID);
		if (i % 2)
			end = EMIT(end, "\x89\xff");		/* mov %edi, %edi */
		end = EMIT(end, "\x48\x8d\x35");
		end = emit(end, &sites[i].displacement, sizeof(sites[i].displacement));
		end_code(code, EMIT(end, "\x0f\x05\xc3") - code);
		for (round = 0; round < CALLS; round++) {
			call_with_registers(in, out, code, 0);
			CHECK(out[2] == (uintptr_t)end + (int64_t)sites[i].displacement);
		}
		CHECK((*code == 0xe9) == (sites[i].patched && direct_calls()));
		code += 64;
	}
}

/* Threads that all come to the same fresh sites at the same time */
enum { RACERS = 8, RACE_SITES = 384 };

static uint8_t *race_code;
static pthread_barrier_t race_start;

static void *racer(void *unused)
{
	const long pid = getpid();
	long wrong = 0;
	int i, round;

	pthread_barrier_wait(&race_start);
	for (round = 0; round < 4; round++) {
		for (i = 0; i < RACE_SITES; i++)
			wrong += ((site_fn)(uintptr_t)(race_code + 32 * i))(0, 0, 0) != pid;
	}
	return (void *)wrong + (unused - unused);
}

static void racing_threads(void)
{
	pthread_t threads[RACERS];
	void *wrong;
	int i, round;

	for (round = 0; round < 3; round++) {
		race_code = code_pages(RACE_SITES * 32 / PAGE);
		for (i = 0; i < RACE_SITES; i++)
			make_site(race_code + 32 * i, GETPID);
		CHECK(!pthread_barrier_init(&race_start, NULL, RACERS));
		for (i = 0; i < RACERS; i++)
			CHECK(!pthread_create(&threads[i], NULL, racer, NULL));
		for (i = 0; i < RACERS; i++) {
			CHECK(!pthread_join(threads[i], &wrong));
			CHECK(!wrong);
		}
		CHECK(!munmap(race_code, RACE_SITES * 32));
	}
}

/* Nobody takes the stubs away, by accident or on purpose. */
static void stubs_stay(void)
{
	char line[256];
	FILE *maps;

	check_site(make_site(code_pages(1), GETPID), getpid(), true);
	maps = fopen("/proc/self/maps", "r");
	CHECK(maps);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long start, end;

		if (!strstr(line, "[kml]"))
			continue;
		CHECK(sscanf(line, "%lx-%lx r-xp", &start, &end) == 2);
		CHECK(munmap((void *)start, end - start) && errno == EPERM);
		CHECK(mprotect((void *)start, PAGE, PROT_READ | PROT_WRITE));
		CHECK(mprotect((void *)start, PAGE, PROT_NONE) && errno == EPERM);
		CHECK(mremap((void *)start, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
	}
	fclose(maps);
}

/* The sum over exited threads, and the whole system's, grow with the calls. */
static void *ten_calls(void *site)
{
	int i;

	for (i = 0; i < 10; i++)
		((site_fn)(uintptr_t)site)(0, 0, 0);
	return NULL;
}

static void counters(void)
{
	uint8_t *code = code_pages(1);
	pthread_t thread;
	long before, system;

	make_site(code, GETPID)(0, 0, 0);
	if (!direct_calls())
		return;
	before = status("KernelModeCallsDirect");
	system = status_of("/proc/kernel_mode_linux", "KernelModeCallsDirect");
	CHECK(!pthread_create(&thread, NULL, ten_calls, code));
	CHECK(!pthread_join(thread, NULL));
	CHECK(status("KernelModeCallsDirect") >= before + 10);
	CHECK(status_of("/proc/kernel_mode_linux", "KernelModeCallsDirect") >= system + 10);
	CHECK(status("KernelModeTrapFirst") > 0);
}

int main(void)
{
	static const struct test_case cases[] = {
		{ "the forms that can be moved", forms },
		{ "longer instructions that end alike", impostors },
		{ "a site at the end of a page", page_end },
		{ "a site at the start of a mapping", mapping_start },
		{ "a shared page", shared_page },
		{ "a page of a file", file_page },
		{ "a page of a file that is written by another mapping", file_written_elsewhere },
		{ "a page that the process can write", writable_page },
		{ "a page protected, unmapped and mapped again", protected_and_unmapped },
		{ "more sites than a region has stubs for, and one far away", many_sites },
		{ "a jump to the SYSCALL of a patched site", jump_to_syscall },
		{ "the red zone", red_zone },
		{ "registers and flags survive", registers_survive },
		{ "an address relative to RIP stays the same", relative_address },
		{ "threads race for the same sites", racing_threads },
		{ "the stubs cannot be unmapped", stubs_stay },
		{ "the counters", counters },
	};

	return RUN(cases);
}
