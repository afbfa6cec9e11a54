// SPDX-License-Identifier: GPL-2.0
/* Direct calls and everything that looks at a process, interrupts, copies or replaces it. */
#include "direct.h"
#include "traced.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>

enum { READ = 0, NANOSLEEP = 35, GETPID = 39, GETPPID = 110 };

static void ends_with(pid_t child, int expected)
{
	int status;

	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == expected);
}

/* Parent and child find the sites of the parent patched, and patch others at the same time. */
static void forks(void)
{
	enum { SITES = 600, CHILDREN = 4 };
	uint8_t *code = code_pages(SITES * 32 / PAGE + 1);
	pid_t children[CHILDREN];
	int i, child;

	for (i = 0; i < SITES; i++)
		make_site(code + 32 * i, GETPID);
	for (i = 0; i < SITES / 3; i++)
		CHECK(((site_fn)(uintptr_t)(code + 32 * i))(0, 0, 0) == getpid());
	for (child = 0; child < CHILDREN; child++) {
		children[child] = fork();
		if (children[child])
			continue;
		for (i = SITES - 1; i >= 0; i--)
			CHECK(((site_fn)(uintptr_t)(code + 32 * i))(0, 0, 0) == getpid());
		check_site((site_fn)(uintptr_t)code, getpid(), true);
		const pid_t grandchild = fork();

		if (grandchild)
			ends_with(grandchild, 0);
		else
			CHECK(((site_fn)(uintptr_t)(code + 32 * child))(0, 0, 0) == getpid());
		_exit(0);
	}
	for (i = 0; i < SITES; i++)
		CHECK(((site_fn)(uintptr_t)(code + 32 * i))(0, 0, 0) == getpid());
	for (child = 0; child < CHILDREN; child++)
		ends_with(children[child], 0);
}

/* What a child patches is patched in its parent at the next fork, if the parent has the same code there. */
static void children_show_sites(void)
{
	uint8_t *code = code_pages(2), *changed = code + PAGE, was[8];
	site_fn site = make_site(code, GETPPID), other = make_site(changed, GETPPID);
	pid_t child;

	memcpy(was, code, sizeof(was));
	/* Have stubs that the children share. */
	make_site(code + 64, GETPPID)(0, 0, 0);
	child = fork();
	if (!child)
		_exit(site(0, 0, 0) != getppid() || other(0, 0, 0) != getppid());
	ends_with(child, 0);
	CHECK(!memcmp(code, was, sizeof(was)));
	make_site(changed, GETPID);
	memcpy(was, changed, sizeof(was));

	child = fork();
	if (!child)
		_exit(0);
	ends_with(child, 0);
	CHECK((code[0] == 0xe9) == direct_calls());
	CHECK(!memcmp(changed, was, sizeof(was)));
	CHECK(COUNT_DIRECT(CHECK(site(0, 0, 0) == getppid())) >= direct_calls());
	CHECK(other(0, 0, 0) == getpid());
}

/* vfork, clone3 and exit by sites of their own: the child goes on behind the site, on its stack. */
static void clones(void)
{
	struct clone_args arguments = { .exit_signal = SIGCHLD };
	uint8_t *code = code_pages(1);
	site_fn clone3 = make_site(code, SYS_clone3), finish = make_site(code + 32, SYS_exit_group);
	pid_t child;
	int i;

	for (i = 0; i < 5; i++) {
		child = clone3((long)&arguments, sizeof(arguments), 0);
		CHECK(child >= 0);
		if (!child)
			finish(7, 0, 0);
		ends_with(child, 7);
	}
	for (i = 0; i < 5; i++) {
		child = vfork();
		CHECK(child >= 0);
		if (!child)
			_exit(8);
		ends_with(child, 8);
	}
}

static void executes(void)
{
	static char * const arguments[] = { "calls", "exit", NULL };
	static char * const environment[] = { NULL };
	site_fn execve_site = make_site(code_pages(1), SYS_execve);
	int i;

	/* fails directly, twice, before it succeeds */
	for (i = 0; i < 2; i++)
		CHECK(execve_site((long)"/nowhere", (long)arguments, (long)environment) == -ENOENT);
	execve_site((long)"/proc/self/exe", (long)arguments, (long)environment);
	_exit(1);
}

static void nothing(int signal)
{
	(void)signal;
}

static void handle(int signal, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	CHECK(!sigaction(signal, &action, NULL));
}

/* A call that a signal interrupts starts again, or fails, as its handler asks. */
static void restarts(void)
{
	const pid_t parent = getpid();
	site_fn read_site = make_site(code_pages(1), READ);
	int ends[2], restart, i;
	char byte;

	CHECK(!pipe(ends));
	CHECK(write(ends[1], "a", 1) == 1 && read_site(ends[0], (long)&byte, 1) == 1);
	for (restart = 0; restart < 2; restart++) {
		handle(SIGUSR1, nothing, restart ? SA_RESTART : 0);
		pid_t child = fork();

		if (!child) {
			for (i = 0; i < (restart ? 5 : 1); i++) {
				await_sleep(parent);
				kill(parent, SIGUSR1);
			}
			/* It was interrupted, or would start again and sleep anew, before this. */
			await_sleep(parent);
			CHECK(write(ends[1], "b", 1) == 1);
			_exit(0);
		}
		CHECK(read_site(ends[0], (long)&byte, 1) == (restart ? 1 : -EINTR));
		if (!restart)
			CHECK(read_site(ends[0], (long)&byte, 1) == 1);
		CHECK(byte == 'b');
		ends_with(child, 0);
	}
}

/* restart_syscall: a sleep that is stopped and continued sleeps on for the rest only. */
static void stopped_sleep(void)
{
	pid_t child = fork();
	int status, i;

	if (!child) {
		site_fn sleep_site = make_site(code_pages(1), NANOSLEEP);
		const struct timespec none = { 0, 0 }, some = { 1, 0 };

		CHECK(!sleep_site((long)&none, 0, 0));
		CHECK(!sleep_site((long)&some, 0, 0));
		_exit(9);
	}
	for (i = 0; i < 3; i++) {
		await_sleep(child);
		CHECK(!kill(child, SIGSTOP));
		CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
		CHECK(!kill(child, SIGCONT));
	}
	ends_with(child, 9);
}

/* Thread cancellation looks at where in the C library the signal found the thread. */
static void *blocked_reader(void *fd)
{
	char byte;

	for (;;) {
		while (read((int)(intptr_t)fd, &byte, 1) != 1)
			;
	}
	return NULL;
}

static void cancellation(void)
{
	int ends[2], i;

	CHECK(!pipe(ends));
	for (i = 0; i < 200; i++) {
		pthread_t thread;
		void *result;

		CHECK(!pthread_create(&thread, NULL, blocked_reader, (void *)(intptr_t)ends[0]));
		if (i % 2)
			CHECK(write(ends[1], "xxxxxxxx", 8) == 8);
		if (i % 3)
			usleep(i * 10);
		CHECK(!pthread_cancel(thread));
		CHECK(!pthread_join(thread, &result));
		CHECK(result == PTHREAD_CANCELED);
	}
}

/* A handler never finds the process in a stub: that is no place it could know. */
static struct { unsigned long start, end; } stubs[8];
static size_t stub_regions;
static volatile sig_atomic_t ticks, inside;

static bool in_stub(unsigned long ip)
{
	size_t i;

	for (i = 0; i < stub_regions; i++) {
		if (ip >= stubs[i].start && ip < stubs[i].end)
			return true;
	}
	return false;
}

static void find_stubs(const char *path)
{
	char line[256];
	FILE *maps = fopen(path, "r");

	CHECK(maps);
	stub_regions = 0;
	while (stub_regions < 8 && fgets(line, sizeof(line), maps)) {
		if (strstr(line, "[kml]") &&
		    sscanf(line, "%lx-%lx", &stubs[stub_regions].start,
			   &stubs[stub_regions].end) == 2)
			stub_regions++;
	}
	fclose(maps);
}

static void look(int signal, siginfo_t *info, void *context)
{
	const ucontext_t *interrupted = context;

	(void)signal;
	(void)info;
	ticks++;
	inside += in_stub(interrupted->uc_mcontext.gregs[REG_RIP]);
}

/* With two more instructions before the SYSCALL, which the stub has, too. */
static site_fn make_long_site(uint8_t *code, uint32_t nr)
{
	end_code(code, EMIT(emit_mov_nr(code, nr), "\x48\x89\xf2\x31\xf6\x0f\x05\xc3") - code);
	return (site_fn)(uintptr_t)code;
}

static void signal_storm(void)
{
	struct sigaction action = { .sa_sigaction = look, .sa_flags = SA_SIGINFO | SA_RESTART };
	const struct itimerval often = { { 0, 200 }, { 0, 200 } };
	site_fn getpid_site = make_site(code_pages(1), GETPID);
	site_fn long_site = make_long_site(code_pages(1), GETPID);
	const long pid = getpid_site(0, 0, 0);

	find_stubs("/proc/self/maps");
	CHECK(stub_regions || !direct_calls());
	CHECK(!sigaction(SIGALRM, &action, NULL));
	CHECK(!setitimer(ITIMER_REAL, &often, NULL));
	while (ticks < 2000)
		CHECK(getpid_site(0, 0, 0) == pid && long_site(0, 0, 0) == pid);
	CHECK(!inside);
}

/* Steps by one's own TF flag: the jump counts for the instruction it replaced. */
static unsigned long step_ips[16];
static volatile int steps;

static void step(int signal, siginfo_t *info, void *context)
{
	ucontext_t *interrupted = context;

	(void)signal;
	(void)info;
	if (steps < 16)
		step_ips[steps++] = interrupted->uc_mcontext.gregs[REG_RIP];
}

static void own_single_steps(void)
{
	struct sigaction action = { .sa_sigaction = step, .sa_flags = SA_SIGINFO };
	uint8_t *code = code_pages(1);
	long result;
	int i;

	CHECK(!sigaction(SIGTRAP, &action, NULL));
	check_site(make_site(code, GETPID), getpid(), true);
	asm volatile("pushf\n\t"
		     "orl $0x100, (%%rsp)\n\t"
		     "popf\n\t"
		     "call *%1\n\t"
		     "pushf\n\t"
		     "andl $~0x100, (%%rsp)\n\t"
		     "popf\n\t"
		     : "=a"(result) : "r"(code) : "rcx", "r11", "memory", "cc");
	CHECK(result == getpid());
	/* call, mov, syscall; then CPUs differ, and trap behind it or one instruction later */
	for (i = 0; i < steps && step_ips[i] != (unsigned long)code; i++)
		;
	CHECK(i < steps && step_ips[i + 1] == (unsigned long)code + 5);
	find_stubs("/proc/self/maps");
	for (i = 0; i < steps; i++)
		CHECK(!in_stub(step_ips[i]));
}

static uint8_t *traced_code;

static void ten_getpids(void)
{
	int i;

	for (i = 0; i < 10; i++)
		CHECK(((site_fn)(uintptr_t)traced_code)(0, 0, 0) == getpid());
}

/* A debugger that steps sees the process at the instructions it knows, and each of them once. */
static void step_through(site_fn site, int syscall)
{
	int status, at_site = 0, at_syscall = 0, behind = 0;
	char path[64];
	pid_t child;

	check_site(site, getpid(), true);
	child = traced(ten_getpids);
	snprintf(path, sizeof(path), "/proc/%d/maps", child);
	find_stubs(path);
	for (;;) {
		unsigned long ip;

		CHECK(!ptrace(PTRACE_SINGLESTEP, child, 0, 0));
		CHECK(waitpid(child, &status, 0) == child);
		if (!WIFSTOPPED(status))
			break;
		ip = registers_of(child).rip;
		CHECK(!in_stub(ip));
		at_site += ip == (unsigned long)traced_code;
		at_syscall += ip == (unsigned long)traced_code + syscall;
		behind += ip == (unsigned long)traced_code + syscall + 2;
	}
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	CHECK(at_site == 10 && at_syscall == 10 && behind == 10);
}

static void traced_single_steps(void)
{
	traced_code = code_pages(1);
	step_through(make_site(traced_code, GETPID), 5);
	traced_code = code_pages(1);
	step_through(make_long_site(traced_code, GETPID), 10);
}

/* strace: each call stops at its entry and at its exit, and the tracer may change it. */
static void traced_calls(void)
{
	int status, entries = 0, stops = 0;
	pid_t child;

	traced_code = code_pages(1);
	check_site(make_site(traced_code, GETPID), getpid(), true);
	child = traced(ten_getpids);
	CHECK(!ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD));
	for (;;) {
		struct user_regs_struct registers;

		CHECK(!ptrace(PTRACE_SYSCALL, child, 0, 0));
		CHECK(waitpid(child, &status, 0) == child);
		if (!WIFSTOPPED(status))
			break;
		CHECK(WSTOPSIG(status) == (SIGTRAP | 0x80));
		registers = registers_of(child);
		if (registers.rip != (unsigned long)traced_code + 7)
			continue;
		CHECK(registers.orig_rax == GETPID || registers.orig_rax == GETPPID);
		stops++;
		if ((long)registers.rax == -ENOSYS && ++entries % 2) {
			/* another call, and a register that the call preserves */
			registers.orig_rax = GETPPID;
			CHECK(!ptrace(PTRACE_SETREGS, child, 0, &registers));
		} else if (registers.orig_rax == GETPPID) {
			registers.rax = child;
			CHECK(!ptrace(PTRACE_SETREGS, child, 0, &registers));
		}
	}
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	CHECK(entries == 10 && stops == 20);
}

/* A tracer changes a preserved register in a stop that is no work of a system call. */
static volatile uint64_t changed;

static void wait_for_change(void)
{
	uint64_t value;

	do {
		asm volatile("mov $1, %%ebx\n\tcall *%1\n\tmov %%rbx, %0"
			     : "=r"(value) : "r"(traced_code)
			     : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r11", "memory");
	} while (value == 1);
	changed = value;
	CHECK(value == 0x1234567890);
}

static void changed_registers(void)
{
	pid_t child;
	int status;

	traced_code = code_pages(1);
	check_site(make_site(traced_code, GETPID), getpid(), true);
	child = traced(wait_for_change);
	CHECK(!ptrace(PTRACE_CONT, child, 0, 0));
	for (;;) {
		struct user_regs_struct registers;

		usleep(1000);
		CHECK(!kill(child, SIGSTOP));
		CHECK(waitpid(child, &status, 0) == child);
		CHECK(WIFSTOPPED(status));
		registers = registers_of(child);
		if (registers.rip >= (unsigned long)traced_code &&
		    registers.rip <= (unsigned long)traced_code + 7) {
			registers.rbx = 0x1234567890;
			CHECK(!ptrace(PTRACE_SETREGS, child, 0, &registers));
			break;
		}
		CHECK(!ptrace(PTRACE_CONT, child, 0, 0));
	}
	CHECK(!ptrace(PTRACE_CONT, child, 0, 0));
	ends_with(child, 42);
}

static volatile unsigned long refused_at;

static void refused(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	refused_at = (unsigned long)info->si_call_addr;
}

/* A filter that comes later than the patch decides about direct calls, too. */
static void seccomp_filter(void)
{
	struct sigaction action = { .sa_sigaction = refused, .sa_flags = SA_SIGINFO };
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, GETPPID, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_gettid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { sizeof(filter) / sizeof(*filter), filter };
	uint8_t *code = code_pages(1);
	site_fn ppid = make_site(code, GETPPID), tid = make_site(code + 32, SYS_gettid);

	check_site(ppid, getppid(), true);
	check_site(tid, getpid(), true);
	CHECK(!sigaction(SIGSYS, &action, NULL));
	CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
	CHECK(ppid(0, 0, 0) == -EPERM);
	tid(0, 0, 0);
	CHECK(refused_at == (unsigned long)code + 32 + 7);
}

/* New processes make no direct calls while they are switched off; the count says so. */
static void switched_off(void)
{
	static char * const arguments[] = { "calls", "off", NULL };
	static char * const environment[] = { NULL };
	const bool on = direct_calls();
	int fd = open("/proc/sys/kernel/kernel_mode_linux_direct_calls", O_WRONLY), status = 0;
	pid_t child;

	if (on)
		CHECK(write(fd, "0", 1) == 1);
	child = fork();
	if (!child) {
		execve("/proc/self/exe", arguments, environment);
		_exit(1);
	}
	waitpid(child, &status, 0);
	if (on)
		CHECK(pwrite(fd, "1", 1, 0) == 1);
	CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
}

static int without_direct_calls(void)
{
	site_fn site = make_site(code_pages(1), GETPID);
	int i;

	for (i = 0; i < CALLS; i++)
		CHECK(site(0, 0, 0) == getpid());
	if (status("KernelMode") != 1)
		return 0;
	CHECK(status("KernelModeCallsDirect") == 0);
	CHECK(status("KernelModeTrapOff") >= CALLS);

	return 0;
}

static void execve_ends(void)
{
	pid_t child = fork();

	if (!child)
		executes();
	ends_with(child, 7);
}

/*
 * A jump into the middle of a stub, behind the number that it loads: a copy of a jump may lead there. Whatever is
 * in RAX, this is some system call, and no more.
 */
static void middle_of_a_stub(void)
{
	static const long numbers[] = { GETPID, 512 + GETPID, 0x7ffffe00l + GETPID, -512l + GETPID };
	uint8_t *code = code_pages(1);
	size_t i;

	check_site(make_site(code, GETPID), getpid(), true);
	if (!direct_calls())
		return;
	CHECK(*code == 0xe9);
	for (i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		int32_t displacement;
		long result;
		void *middle;

		memcpy(&displacement, code + 1, sizeof(displacement));
		middle = code + 5 + displacement + 5;
		asm volatile("call *%[middle]" : "=a" (result) : "a" (numbers[i]), [middle] "r" (middle)
			     : "rcx", "r11", "memory", "cc");
		CHECK(result == getpid());
	}
}

int main(int count, char **arguments)
{
	static const struct test_case cases[] = {
		{ "fork: inherited and new sites", forks },
		{ "fork: what children show of sites", children_show_sites },
		{ "vfork, clone3 and exit", clones },
		{ "execve", execve_ends },
		{ "interrupted calls start again", restarts },
		{ "a stopped sleep goes on", stopped_sleep },
		{ "pthread_cancel of a blocked read", cancellation },
		{ "a storm of signals", signal_storm },
		{ "single steps by the TF flag", own_single_steps },
		{ "single steps of a tracer", traced_single_steps },
		{ "system call stops of a tracer", traced_calls },
		{ "a tracer changes a register", changed_registers },
		{ "a seccomp filter", seccomp_filter },
		{ "a jump into the middle of a stub", middle_of_a_stub },
		{ "direct calls switched off", switched_off },
	};

	if (count > 1)
		return strcmp(arguments[1], "off") ? 7 : without_direct_calls();

	return RUN(cases);
}
