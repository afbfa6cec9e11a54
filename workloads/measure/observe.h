// SPDX-License-Identifier: MIT
/*
 * What a client and a server beside it use, and the report of it in JSON: shared by measure.c and rounds.c.
 *
 * CPU time: the total is exact (the scheduler's own sum, CPUCLOCK_SCHED). User and system time are not known
 * exactly to a kernel with TICK_CPU_ACCOUNTING: each timer tick goes to one of them, so the report carries the
 * ticks' sums (CPUCLOCK_VIRT for user, CPUCLOCK_PROF for both), and the reader splits the total by their
 * ratio. The client's rusage is split that way by Linux itself, and also holds its children.
 *
 * The server's context switches are summed over the threads alive at the end; threads that ended in between
 * take theirs with them and are counted in "threads_ended".
 */
#ifndef KMLBENCH_OBSERVE_H
#define KMLBENCH_OBSERVE_H

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Of the spans in which a server has to rest. Together they are longer than the second between its chores. */
enum { REST_SPANS = 3, SPANS_OF_A_SECOND = 2, REST_NS = 10000000 };
/* Idle threads of a server wake up a few hundred times a second, each with cold caches: far less than this. */
enum { WAKE_UPS = 2000, CALIBRATING = 50 };
enum { OBSERVER_FAILED = 125, EXEC_FAILED = 127, MAX_THREADS = 4096, TEXT = 4096 };

/* Linux's dynamic clock ids: the complement of the pid, shifted by three, or'ed with the kind. */
enum clock_kind { CLOCK_TICKS_BOTH = 0, CLOCK_TICKS_USER = 1, CLOCK_EXACT = 2 };

struct clocks {
	uint64_t exact, ticks_user, ticks_both;
};

struct thread {
	int id;
	uint64_t voluntary, involuntary;
};

struct process {
	struct clocks clocks;
	uint64_t minor_faults, major_faults;
	int thread_count;
	struct thread threads[MAX_THREADS];
	char status[TEXT]; /* the lines of /proc/<pid>/status that begin with KernelMode */
};

static const char *report_path;
static char client_maps[PATH_MAX];

static void fail(const char *what)
{
	fprintf(stderr, "measure: %s: %s\n", what, strerror(errno));
	exit(OBSERVER_FAILED);
}

static uint64_t nanoseconds(clockid_t clock)
{
	struct timespec now;

	if (clock_gettime(clock, &now))
		fail("CPU clock of a process");
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t process_clock(pid_t pid, enum clock_kind kind)
{
	return nanoseconds((clockid_t)(~(unsigned int)pid << 3 | kind));
}

/* What so many wake-ups cost a process here, and REST_NS at least. */
static uint64_t resting_ns(void)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	uint64_t before = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);

	for (int i = 0; i < CALIBRATING; i++)
		nanosleep(&moment, NULL);

	uint64_t cost = (nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - before) / CALIBRATING * WAKE_UPS;

	return cost > REST_NS ? cost : REST_NS;
}

static void await_rest(pid_t pid, int limit_s)
{
	const struct timespec span = { .tv_nsec = 1000000000 / SPANS_OF_A_SECOND };
	uint64_t enough = limit_s ? resting_ns() : 0;
	int resting = 0;

	for (int i = 0; i < limit_s * SPANS_OF_A_SECOND && resting < REST_SPANS; i++) {
		uint64_t before = process_clock(pid, CLOCK_EXACT);

		nanosleep(&span, NULL);
		resting = process_clock(pid, CLOCK_EXACT) - before < enough ? resting + 1 : 0;
	}
	if (limit_s && resting < REST_SPANS) {
		errno = ETIMEDOUT;
		fail("the server is still busy");
	}
}

static struct clocks read_clocks(pid_t pid)
{
	struct clocks taken = {
		.exact = process_clock(pid, CLOCK_EXACT),
		.ticks_user = process_clock(pid, CLOCK_TICKS_USER),
		.ticks_both = process_clock(pid, CLOCK_TICKS_BOTH),
	};

	return taken;
}

static struct clocks clocks_since(struct clocks after, struct clocks before)
{
	after.exact -= before.exact;
	after.ticks_user -= before.ticks_user;
	after.ticks_both -= before.ticks_both;
	return after;
}

static FILE *open_proc(pid_t pid, const char *rest)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, rest);
	return fopen(path, "r");
}

static void read_status(pid_t pid, char *text, size_t size)
{
	FILE *file = open_proc(pid, "status");
	char line[512];

	if (!file)
		fail("/proc/<pid>/status");
	*text = 0;
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, "KernelMode", 10) && strlen(text) + strlen(line) < size)
			strcat(text, line);
	fclose(file);
}

/* Fields 10 (minflt) and 12 (majflt) of /proc/<pid>/stat, counted after the name, which may hold anything. */
static void read_faults(pid_t pid, struct process *process)
{
	unsigned long long minor, major;
	char text[TEXT];
	const char *after_name;
	FILE *file = open_proc(pid, "stat");

	if (!file)
		fail("/proc/<pid>/stat");
	text[fread(text, 1, sizeof(text) - 1, file)] = 0;
	fclose(file);
	after_name = strrchr(text, ')');
	if (!after_name || sscanf(after_name + 1, " %*c %*d %*d %*d %*d %*d %*u %llu %*u %llu", &minor, &major) != 2) {
		errno = EPROTO;
		fail("/proc/<pid>/stat");
	}
	process->minor_faults = minor;
	process->major_faults = major;
}

/* False if the thread has ended. */
static bool read_thread(pid_t pid, int id, struct thread *thread)
{
	char rest[64], line[512];
	unsigned long long count;
	FILE *file;

	snprintf(rest, sizeof(rest), "task/%d/status", id);
	file = open_proc(pid, rest);
	if (!file)
		return false;
	*thread = (struct thread){ .id = id };
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "voluntary_ctxt_switches: %llu", &count) == 1)
			thread->voluntary = count;
		if (sscanf(line, "nonvoluntary_ctxt_switches: %llu", &count) == 1)
			thread->involuntary = count;
	}
	fclose(file);
	return true;
}

static void read_threads(pid_t pid, struct process *process)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	directory = opendir(path);
	if (!directory)
		fail(path);
	process->thread_count = 0;
	while ((entry = readdir(directory)) && process->thread_count < MAX_THREADS)
		if (isdigit((unsigned char)entry->d_name[0]) &&
		    read_thread(pid, atoi(entry->d_name), &process->threads[process->thread_count]))
			process->thread_count++;
	closedir(directory);
}

/* The clocks last before and first after the client, so that reading /proc stays out of them. */
static void observe_before(pid_t pid, struct process *process)
{
	read_status(pid, process->status, sizeof(process->status));
	read_faults(pid, process);
	read_threads(pid, process);
	process->clocks = read_clocks(pid);
}

static void observe_after(pid_t pid, struct process *process)
{
	process->clocks = read_clocks(pid);
	read_threads(pid, process);
	read_faults(pid, process);
	read_status(pid, process->status, sizeof(process->status));
}

static const struct thread *find_thread(const struct process *process, int id)
{
	for (int i = 0; i < process->thread_count; i++)
		if (process->threads[i].id == id)
			return &process->threads[i];
	return NULL;
}

struct switches {
	uint64_t voluntary, involuntary;
	int threads_ended;
};

static struct switches switches_since(const struct process *after, const struct process *before)
{
	struct switches sum = { 0 };

	for (int i = 0; i < after->thread_count; i++) {
		const struct thread *thread = &after->threads[i];
		const struct thread *earlier = find_thread(before, thread->id);

		sum.voluntary += thread->voluntary - (earlier ? earlier->voluntary : 0);
		sum.involuntary += thread->involuntary - (earlier ? earlier->involuntary : 0);
	}
	for (int i = 0; i < before->thread_count; i++)
		sum.threads_ended += !find_thread(after, before->threads[i].id);
	return sum;
}

static void print_escaped(FILE *out, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20)
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
}

static void print_string(FILE *out, const char *text, size_t length)
{
	fputc('"', out);
	print_escaped(out, text, length);
	fputc('"', out);
}

/* "Name:\tvalue\n" lines as an object of strings. */
static void print_status(FILE *out, const char *name, const char *text)
{
	const char *separator = "";

	fprintf(out, ", \"%s\": {", name);
	while (*text) {
		size_t length = strcspn(text, "\n");
		size_t key = strcspn(text, ":\n");
		size_t value = key < length ? key + 1 : length;

		while (value < length && isspace((unsigned char)text[value]))
			value++;
		fputs(separator, out);
		print_string(out, text, key);
		fputs(": ", out);
		print_string(out, text + value, length - value);
		text += length + (text[length] == '\n');
		separator = ", ";
	}
	fputc('}', out);
}

/* The executable mappings in a file like /proc/<pid>/maps, line by line; null without one. */
static void print_maps(FILE *out, FILE *maps)
{
	char line[PATH_MAX + 128], permissions[5];

	fputs(", \"maps\": ", out);
	if (!maps) {
		fputs("null", out);
		return;
	}
	fputc('"', out);
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%*s %4s", permissions) == 1 && permissions[2] == 'x')
			print_escaped(out, line, strlen(line));
	fputc('"', out);
	fclose(maps);
}

static void print_kernel_mode(FILE *out, const char *status)
{
	const char *line = strstr(status, "KernelMode:");

	fprintf(out, ", \"kernel_mode\": %s", !line ? "null" : atoi(line + 11) ? "true" : "false");
}

static void print_counts(FILE *out, const struct clocks *clocks, const struct switches *switches,
			 uint64_t minor_faults, uint64_t major_faults)
{
	fprintf(out,
		", \"cpu_ns\": %llu, \"ticks_user_ns\": %llu, \"ticks_both_ns\": %llu, \"voluntary_switches\": %llu, "
		"\"involuntary_switches\": %llu, \"minor_faults\": %llu, \"major_faults\": %llu",
		(unsigned long long)clocks->exact, (unsigned long long)clocks->ticks_user,
		(unsigned long long)clocks->ticks_both, (unsigned long long)switches->voluntary,
		(unsigned long long)switches->involuntary, (unsigned long long)minor_faults,
		(unsigned long long)major_faults);
}

static void print_server(FILE *out, pid_t pid, const struct process *before, const struct process *after)
{
	struct clocks clocks = clocks_since(after->clocks, before->clocks);
	struct switches switches = switches_since(after, before);

	fprintf(out, "{\"pid\": %d", (int)pid);
	print_counts(out, &clocks, &switches, after->minor_faults - before->minor_faults,
		     after->major_faults - before->major_faults);
	fprintf(out, ", \"threads\": %d, \"threads_ended\": %d", after->thread_count, switches.threads_ended);
	print_kernel_mode(out, after->status);
	print_status(out, "status_before", before->status);
	print_status(out, "status", after->status);
	print_maps(out, open_proc(pid, "maps"));
	fputc('}', out);
}

struct client {
	pid_t pid;
	int status; /* as wait4 has it */
	uint64_t wall;
	struct clocks clocks;
	struct rusage usage;
	char kernel_status[TEXT];
};

static uint64_t microseconds(struct timeval time)
{
	return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_usec;
}

static void print_client(FILE *out, const struct client *client, const char *program)
{
	struct switches switches = { .voluntary = (uint64_t)client->usage.ru_nvcsw,
				     .involuntary = (uint64_t)client->usage.ru_nivcsw };
	char path[PATH_MAX];

	fprintf(out, "{\"pid\": %d, \"executable\": ", (int)client->pid);
	if (realpath(program, path))
		print_string(out, path, strlen(path));
	else
		fputs("null", out);
	if (WIFSIGNALED(client->status))
		fprintf(out, ", \"exit\": null, \"signal\": %d", WTERMSIG(client->status));
	else
		fprintf(out, ", \"exit\": %d, \"signal\": null", WEXITSTATUS(client->status));
	fprintf(out, ", \"rusage_user_us\": %llu, \"rusage_system_us\": %llu",
		(unsigned long long)microseconds(client->usage.ru_utime),
		(unsigned long long)microseconds(client->usage.ru_stime));
	print_counts(out, &client->clocks, &switches, (uint64_t)client->usage.ru_minflt,
		     (uint64_t)client->usage.ru_majflt);
	print_kernel_mode(out, client->kernel_status);
	print_status(out, "status", client->kernel_status);
	print_maps(out, fopen(client_maps, "r"));
	unlink(client_maps);
	fputc('}', out);
}

/* The client is read while it is a zombie: all of it is counted, and /proc still knows it. */
static void await_client(pid_t pid)
{
	siginfo_t ended;

	while (waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT))
		if (errno != EINTR)
			fail("waiting for the client");
}

static void check_exec(int told, const char *program)
{
	int cause;

	if (read(told, &cause, sizeof(cause)) == sizeof(cause)) {
		fprintf(stderr, "measure: cannot execute %s: %s\n", program, strerror(cause));
		exit(EXEC_FAILED);
	}
}

#endif
