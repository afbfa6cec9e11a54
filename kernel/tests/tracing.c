// SPDX-License-Identifier: GPL-2.0
/* ptrace of a process of the same kind: breakpoints, single steps, system calls, registers. */
#include "direct.h"
#include "traced.h"

#include <stddef.h>
#include <sys/mount.h>
#include <sys/stat.h>

static volatile long value;

static __attribute__((noinline)) void stop_here(void)
{
	value++;
	asm volatile("" : : : "memory");
}

static int resume(pid_t child, int request)
{
	int status;

	CHECK(!ptrace(request, child, 0, 0));
	CHECK(waitpid(child, &status, 0) == child);
	return status;
}

static void ended_well(int status)
{
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

static void software_breakpoint(void)
{
	pid_t child = traced(stop_here);
	const unsigned long address = (unsigned long)stop_here;
	const long code = ptrace(PTRACE_PEEKTEXT, child, address, 0);
	struct user_regs_struct registers;
	int status;

	CHECK(!ptrace(PTRACE_POKETEXT, child, address, (code & ~0xfful) | 0xcc));
	status = resume(child, PTRACE_CONT);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	registers = registers_of(child);
	CHECK(registers.rip == address + 1);
	CHECK((registers.cs & 3) == 3 && (registers.ss & 3) == 3);
	registers.rip = address;
	CHECK(!ptrace(PTRACE_POKETEXT, child, address, code));
	CHECK(!ptrace(PTRACE_SETREGS, child, 0, &registers));
	ended_well(resume(child, PTRACE_CONT));
}

static void hardware_breakpoint(void)
{
	pid_t child = traced(stop_here);
	int status;

	CHECK(!ptrace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg[0]), stop_here));
	CHECK(!ptrace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg[7]), 1));
	status = resume(child, PTRACE_CONT);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	CHECK(registers_of(child).rip == (unsigned long)stop_here);
	CHECK(!ptrace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg[7]), 0));
	ended_well(resume(child, PTRACE_CONT));
}

static void single_steps(void)
{
	pid_t child = traced(stop_here);
	int steps = 0, status;

	for (;;) {
		status = resume(child, PTRACE_SINGLESTEP);
		if (!WIFSTOPPED(status))
			break;
		CHECK(WSTOPSIG(status) == SIGTRAP);
		steps++;
	}
	CHECK(steps > 10);
	ended_well(status);
}

static void one_getpid(void)
{
	syscall(SYS_getpid);
}

static void system_call_stops(void)
{
	pid_t child = traced(one_getpid);
	int seen = 0, status;

	for (;;) {
		status = resume(child, PTRACE_SYSCALL);
		if (!WIFSTOPPED(status))
			break;
		seen += registers_of(child).orig_rax == SYS_getpid;
	}
	CHECK(seen == 2);
	ended_well(status);
}

static void forced_to_kernel_address(void)
{
	pid_t child = traced(stop_here);
	struct user_regs_struct registers = registers_of(child);
	int status;

	registers.rip = 0xffffffff81000000;
	if (!ptrace(PTRACE_SETREGS, child, 0, &registers)) {
		status = resume(child, PTRACE_CONT);
		CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSEGV);
	}
	kill(child, SIGKILL);
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
}

/* What a tracer writes while its tracee is stopped in the middle of a system call. */
static uint8_t *event_code;
unsigned long seen[6], flags_seen;		/* written by the assembler below */

/* The work that rseq has at the end of a call, whenever the task was switched, hides what is lost. */
static void run_without_rseq(char **arguments)
{
	if (getenv("GLIBC_TUNABLES"))
		return;
	CHECK(!setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1));
	execv("/proc/self/exe", arguments);
	CHECK(!"the program starts itself");
}

/* Make the call with the preserved registers 1 to 6, and see which they are afterwards. */
static long call_event(long first, long second)
{
	long result;

	asm volatile("push %%rbp\n\t"
		     "mov $1, %%ebx\n\tmov $2, %%ebp\n\tmov $3, %%r12d\n\tmov $4, %%r13d\n\t"
		     "mov $5, %%r14d\n\tmov $6, %%r15d\n\t"
		     "call *%[code]\n\t"
		     "pushf\n\tpop %%rdx\n\tcld\n\t"
		     "lea seen(%%rip), %%rsi\n\t"
		     "mov %%rbx, (%%rsi)\n\tmov %%rbp, 8(%%rsi)\n\tmov %%r12, 16(%%rsi)\n\t"
		     "mov %%r13, 24(%%rsi)\n\tmov %%r14, 32(%%rsi)\n\tmov %%r15, 40(%%rsi)\n\t"
		     "mov %%rdx, flags_seen(%%rip)\n\t"
		     "pop %%rbp"
		     : "=a" (result) : [code] "a" (event_code), "D" (first), "S" (second)
		     : "rbx", "rcx", "rdx", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
	return result;
}

static void make_event_site(uint32_t number)
{
	event_code = code_pages(1);
	/* the child of vfork shares the stack with the return address: pop it to RDX, and jump there */
	emit(event_code, "\x5a", 1);
	emit_mov_nr(event_code + 1, number);
	emit(event_code + 6, "\x0f\x05\xff\xe2", 4);
	end_code(event_code, 10);
}

static void check_seen(void)
{
	for (unsigned long i = 0; i < 6; i++)
		CHECK(seen[i] == 0x1111 * (i + 1));
	CHECK(flags_seen & 0x400);
}

static void fork_event(void)
{
	if (!call_event(0, 0))
		_exit(0);
	check_seen();
}

static void clone_event(void)
{
	if (!call_event(SIGCHLD, 0))
		_exit(0);
	check_seen();
}

static void entry_event(void)
{
	CHECK(call_event(0, 0) == getpid());
	check_seen();
}

static void write_registers(pid_t child)
{
	struct user_regs_struct registers = registers_of(child);

	registers.rbx = 0x1111;
	registers.rbp = 0x2222;
	registers.r12 = 0x3333;
	registers.r13 = 0x4444;
	registers.r14 = 0x5555;
	registers.r15 = 0x6666;
	registers.eflags |= 0x400;
	CHECK(!ptrace(PTRACE_SETREGS, child, 0, &registers));
}

static void event_stop(uint32_t number, void (*body)(void), long option, int event)
{
	unsigned long other;
	pid_t child;
	int status;

	make_event_site(number);
	/* a call that has the site patched, if it may be */
	child = fork();
	if (!child)
		_exit(0);
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	if (number != SYS_vfork && !call_event(number == SYS_clone ? SIGCHLD : 0, 0))
		_exit(0);
	child = traced(body);
	CHECK(!ptrace(PTRACE_SETOPTIONS, child, 0, option));
	status = resume(child, PTRACE_CONT);
	CHECK(WIFSTOPPED(status) && status >> 16 == event);
	CHECK(!ptrace(PTRACE_GETEVENTMSG, child, 0, &other));
	write_registers(child);
	CHECK(waitpid(other, &status, __WALL) == (pid_t)other);
	CHECK(!ptrace(PTRACE_DETACH, other, 0, 0));
	do
		status = resume(child, PTRACE_CONT);
	while (WIFSTOPPED(status));
	ended_well(status);
}

static void registers_at_fork(void)
{
	event_stop(SYS_fork, fork_event, PTRACE_O_TRACEFORK, PTRACE_EVENT_FORK);
}

static void registers_at_vfork(void)
{
	event_stop(SYS_vfork, fork_event, PTRACE_O_TRACEVFORK, PTRACE_EVENT_VFORK);
}

static void registers_at_clone(void)
{
	event_stop(SYS_clone, clone_event, PTRACE_O_TRACEFORK, PTRACE_EVENT_FORK);
}

/* At the entry of a call, whose exit does not stop. */
static void registers_at_entry(void)
{
	pid_t child;
	int status;

	make_event_site(SYS_getpid);
	CHECK(call_event(0, 0) == getpid() && call_event(0, 0) == getpid());
	child = traced(entry_event);
	do {
		status = resume(child, PTRACE_SYSCALL);
		CHECK(WIFSTOPPED(status));
	} while (registers_of(child).rip != (unsigned long)event_code + 8);
	write_registers(child);
	ended_well(resume(child, PTRACE_CONT));
}

static void write_text(const char *directory, const char *name, const char *text)
{
	char path[256];
	int file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = open(path, O_WRONLY);
	CHECK(file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text));
	close(file);
}

/* Whether the trace has the exit of a read() by this process. */
static bool has_exit_of_read(const char *directory, pid_t process)
{
	char path[256], wanted[64], line[512];
	bool found = false;
	FILE *trace;

	snprintf(path, sizeof(path), "%s/trace", directory);
	snprintf(wanted, sizeof(wanted), "-%d ", process);
	trace = fopen(path, "r");
	CHECK(trace);
	while (fgets(line, sizeof(line), trace))
		found |= strstr(line, wanted) && strstr(line, "sys_exit: NR 0 = 1");
	fclose(trace);
	return found;
}

static int trace_pipe[2];

static void read_by_direct_call(void)
{
	char byte;
	site_fn site = make_site(code_pages(1), SYS_read);

	for (int i = 0; i < 3; i++)
		CHECK(site(trace_pipe[0], (long)&byte, 1) == 1);
}

/* A call that sleeps when somebody wants to hear of the ends of calls: of its own, too. */
static void tracepoint_during_a_call(void)
{
	char mount_point[] = "/tmp/tracefs.XXXXXX", directory[64];
	pid_t child;
	int status;

	CHECK(mkdtemp(mount_point) && !mount("tracefs", mount_point, "tracefs", 0, NULL));
	snprintf(directory, sizeof(directory), "%s/instances/%d", mount_point, getpid());
	CHECK(!mkdir(directory, 0700) && !pipe(trace_pipe));
	child = fork();
	if (!child) {
		read_by_direct_call();
		_exit(0);
	}
	CHECK(write(trace_pipe[1], "ab", 2) == 2);
	usleep(200000);
	write_text(directory, "events/raw_syscalls/sys_exit/enable", "1");
	CHECK(write(trace_pipe[1], "c", 1) == 1);
	CHECK(waitpid(child, &status, 0) == child && !status);
	/* first, as who reads makes calls himself */
	write_text(directory, "events/raw_syscalls/sys_exit/enable", "0");
	status = has_exit_of_read(directory, child);
	CHECK(!rmdir(directory) && !umount(mount_point) && !rmdir(mount_point));
	CHECK(status);
}

int main(int count, char **arguments)
{
	const struct test_case cases[] = {
		{ "software breakpoint", software_breakpoint },
		{ "hardware breakpoint", hardware_breakpoint },
		{ "single steps", single_steps },
		{ "system call stops", system_call_stops },
		{ "tracer sets RIP to a kernel address", forced_to_kernel_address },
		{ "registers written at the event of fork", registers_at_fork },
		{ "registers written at the event of vfork", registers_at_vfork },
		{ "registers written at the event of clone", registers_at_clone },
		{ "registers written at the entry of a call", registers_at_entry },
		{ "tracepoint of the ends of calls, switched on during one", tracepoint_during_a_call },
	};

	(void)count;
	run_without_rseq(arguments);
	return RUN(cases);
}
