// SPDX-License-Identifier: GPL-2.0
/*
 * What was promised to a program, or about it, holds in kernel mode or is refused: traps that only CPL 3
 * knows, who may reach its memory, and what it takes to get there.
 */
#include "direct.h"

#include <elf.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <pthread.h>
#include <dirent.h>
#include <x86intrin.h>

enum { NOBODY = 65534 };

static bool kernel_mode(void)
{
	return status("KernelMode") == 1;
}

static void wants_no_tsc(void)
{
	int now;

	CHECK(!prctl(PR_SET_TSC, PR_TSC_SIGSEGV));
	CHECK(!prctl(PR_GET_TSC, &now) && now == PR_TSC_SIGSEGV);
}

static void rdtsc_faults(void)
{
	wants_no_tsc();
	__rdtsc();
}

static sigjmp_buf out;

static void on_fault(int signal)
{
	siglongjmp(out, signal);
}

/* RDTSC faults, or not, as asked; nothing else changes: calls, children, signals, unaligned accesses. */
static void life_without_tsc(void)
{
	site_fn site = make_site(code_pages(1), SYS_getppid);
	volatile char bytes[64] = { 0 };
	int status, i;
	pid_t child;

	CHECK(site(0, 0, 0) == getppid() && site(0, 0, 0) == getppid());
	wants_no_tsc();
	CHECK(current_privilege_level() == 3);
	for (i = 0; i < 100; i++) {
		CHECK(site(0, 0, 0) == getppid());
		*(volatile long *)(bytes + i % 50) = i;
		CHECK(*(volatile long *)(bytes + i % 50) == i);
	}
	signal(SIGSEGV, on_fault);
	for (i = 0; i < 3; i++) {
		if (!sigsetjmp(out, 1)) {
			__rdtsc();
			CHECK(!"RDTSC faults");
		}
	}
	child = fork();
	if (!child) {
		signal(SIGSEGV, SIG_DFL);
		CHECK(site(0, 0, 0) == getppid());
		__rdtsc();
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	CHECK(!prctl(PR_SET_TSC, PR_TSC_ENABLE));
	__rdtsc();
	CHECK(site(0, 0, 0) == getppid());
}

/* A handler leaves; what it returns to has the RFLAGS of kernel mode. */
static void leave(int signal)
{
	(void)signal;
	wants_no_tsc();
}

static void left_in_a_handler(void)
{
	volatile char bytes[64] = { 0 };
	int i;

	signal(SIGUSR1, leave);
	raise(SIGUSR1);
	for (i = 0; i < 50; i++)
		*(volatile long *)(bytes + i) = i;
	CHECK(bytes[49] == 49);
}

/* Other threads are not asked, and neither disturbs the other's calls. */
static volatile int left, over;
static site_fn shared_site;

static void *leaver(void *unused)
{
	int i;

	wants_no_tsc();
	left = 1;
	for (i = 0; i < 3000; i++)
		CHECK(shared_site(0, 0, 0) == getppid());
	over = 1;
	return unused;
}

static void left_by_one_thread(void)
{
	pthread_t thread;

	shared_site = make_site(code_pages(1), SYS_getppid);
	CHECK(!pthread_create(&thread, NULL, leaver, NULL));
	while (!over) {
		CHECK(shared_site(0, 0, 0) == getppid());
		if (left)
			__rdtsc();
		sched_yield();
	}
	CHECK(!pthread_join(thread, NULL));
}

/* Strict seccomp takes RDTSC away, too. */
static void strict_seccomp(void)
{
	CHECK(!prctl(PR_SET_SECCOMP, 1));
	__rdtsc();
	syscall(SYS_exit, 0);
}

/* An exec does not bring kernel mode back: RDTSC still faults. */
static void kept_by_exec(void)
{
	char *arguments[] = { "promises", "rdtsc", NULL };

	wants_no_tsc();
	execv("/proc/self/exe", arguments);
	_exit(1);
}

/* The threads that io_uring starts run no program. */
static void io_uring_workers(void)
{
	struct io_uring_params parameters = { .flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 1000 };
	struct dirent *entry;
	int workers = 0, tries;
	DIR *tasks;

	if (syscall(SYS_io_uring_setup, 4, &parameters) < 0) {
		CHECK(errno == ENOSYS || errno == EPERM);
		return;
	}
	tasks = opendir("/proc/self/task");
	CHECK(tasks);
	/* It takes a moment until the thread has its name. */
	for (tries = 0; tries < 1000 && !workers;) {
		char path[300], name[16] = "";
		int fd;

		entry = readdir(tasks);
		if (!entry) {
			rewinddir(tasks);
			usleep(1000);
			tries++;
			continue;
		}
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		fd = open(path, O_RDONLY);
		CHECK(fd >= 0 && read(fd, name, sizeof(name) - 1) > 0);
		close(fd);
		if (strncmp(name, "iou-", 4))
			continue;
		workers++;
		snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
		CHECK(status_of(path, "KernelMode") <= 0);
	}
	CHECK(workers == 1);
}

static int attach(pid_t process)
{
	if (ptrace(PTRACE_ATTACH, process, 0, 0))
		return errno;
	CHECK(waitpid(process, NULL, 0) == process);
	CHECK(!ptrace(PTRACE_DETACH, process, 0, 0));
	return 0;
}

/* Who did not start a kernel-mode process does not reach it, though it gave itself to that user. */
static void given_up_by_root(void)
{
	const bool kernel = kernel_mode();
	static char word[8];
	char path[64], byte;
	pid_t server, user;
	int status, ready[2];

	if (getuid())
		return;
	CHECK(!pipe(ready));
	server = fork();
	if (!server) {
		CHECK(!setgid(NOBODY) && !setuid(NOBODY));
		CHECK(!prctl(PR_SET_DUMPABLE, 1) && prctl(PR_GET_DUMPABLE) == 1);
		CHECK(write(ready[1], "x", 1) == 1);
		for (;;)
			pause();
	}
	CHECK(read(ready[0], &byte, 1) == 1);
	/* Root reaches it. */
	CHECK(process_vm_readv(server, &(struct iovec){ word, 8 }, 1, &(struct iovec){ word, 8 }, 1, 0) == 8);
	user = fork();
	if (!user) {
		CHECK(!setgid(NOBODY) && !setuid(NOBODY));
		CHECK(attach(server) == (kernel ? EPERM : 0));
		CHECK((process_vm_writev(server, &(struct iovec){ word, 8 }, 1,
					 &(struct iovec){ word, 8 }, 1, 0) == 8) == !kernel);
		snprintf(path, sizeof(path), "/proc/%d/mem", server);
		CHECK((open(path, O_RDWR) >= 0) == !kernel);
		_exit(0);
	}
	CHECK(waitpid(user, &status, 0) == user);
	kill(server, SIGKILL);
	CHECK(waitpid(server, NULL, 0) == server);
	CHECK(!status);
}

/* A program of one page that exits with its privilege level, and one that has another as its interpreter. */
static void write_program(const char *path, unsigned long address, const char *interpreter)
{
	static const uint8_t code[] = {
		0x8c, 0xcf, 0x83, 0xe7, 0x03, 0xb8, 0x3c, 0, 0, 0, 0x0f, 0x05,	/* exit(%cs & 3) */
	};
	struct {
		Elf64_Ehdr header;
		Elf64_Phdr program[2];
		uint8_t code[sizeof(code)];
		char interpreter[128];
	} file = {
		.header = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_phoff = sizeof(Elf64_Ehdr),
			.e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = interpreter ? 2 : 1,
		},
		.program = {
			{ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = address, .p_filesz = sizeof(file),
			  .p_memsz = sizeof(file), .p_align = PAGE },
			{ .p_type = PT_INTERP, .p_flags = PF_R },
		},
	};
	int fd;

	file.header.e_entry = address + ((char *)file.code - (char *)&file);
	memcpy(file.code, code, sizeof(code));
	if (interpreter) {
		strcpy(file.interpreter, interpreter);
		file.program[1].p_offset = file.interpreter - (char *)&file;
		file.program[1].p_filesz = strlen(interpreter) + 1;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	CHECK(fd >= 0 && write(fd, &file, sizeof(file)) == sizeof(file));
	close(fd);
}

static int level_of(const char *path)
{
	char *arguments[] = { (char *)path, NULL };
	pid_t child = fork();
	int status;

	if (!child) {
		execv(path, arguments);
		_exit(9);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* The ELF interpreter's mount counts as the program's does. */
static void interpreter_on_a_nosuid_mount(void)
{
	int fd = open("/proc/sys/kernel/kernel_mode_linux", O_RDONLY);
	char directory[64], good[96], bad[96], program[64];
	char armed = '0';

	if (getuid() || access("/trusted/bin", W_OK))
		return;
	if (fd >= 0)
		CHECK(read(fd, &armed, 1) == 1);
	snprintf(directory, sizeof(directory), "/promises.%d", getpid());
	snprintf(good, sizeof(good), "%s.good", directory);
	snprintf(bad, sizeof(bad), "%s/interpreter", directory);
	snprintf(program, sizeof(program), "/trusted/bin/promises.%d", getpid());
	CHECK(!mkdir(directory, 0755));
	CHECK(!mount("tmpfs", directory, "tmpfs", MS_NOSUID, "mode=755"));
	write_program(good, 0x20000000, NULL);
	write_program(bad, 0x20000000, NULL);
	write_program(program, 0x10000000, good);
	CHECK(level_of(program) == (armed == '1' ? 0 : 3));
	write_program(program, 0x10000000, bad);
	CHECK(level_of(program) == 3);
	unlink(program);
	unlink(good);
	CHECK(!umount(directory));
	CHECK(!rmdir(directory));
}

int main(int count, char **arguments)
{
	static const struct test_case cases[] = {
		{ "RDTSC faults if that is asked for", rdtsc_faults, SIGSEGV },
		{ "a program goes on without RDTSC", life_without_tsc },
		{ "a signal handler asks for it", left_in_a_handler },
		{ "one thread asks for it", left_by_one_thread },
		{ "RDTSC faults in strict seccomp", strict_seccomp, SIGSEGV, SIGKILL },
		{ "RDTSC faults after an exec", kept_by_exec, SIGSEGV },
		{ "io_uring's threads are not in kernel mode", io_uring_workers },
		{ "a server that root gave away is out of reach", given_up_by_root },
		{ "an ELF interpreter on a nosuid mount", interpreter_on_a_nosuid_mount },
	};

	if (count > 1 && !strcmp(arguments[1], "rdtsc"))
		return __rdtsc() == 0;

	return RUN(cases);
}
