// SPDX-License-Identifier: MIT
/*
 * Runs a client several times, with one or two amounts of work, each run in a window of the instrument.
 *
 *   rounds --report FILE --directory DIR --work W,A[,B] --rounds N --words K [--server PID [--settle SECONDS]]
 *          [--keep-going] -- K words of the command for W, K words for A, K words for B
 *
 * The first command runs once and is not measured. Then A and B run N times in turn. A program that cannot be marked
 * is measured by B less A: its start-up is in both. A window begins in the client, right before its exec, and
 * ends when the client has ended: it has number 0 with the work A, and 1 with B.
 *
 * Clients start in DIR with an empty standard input. What they print goes to files in memory, so that nobody who
 * reads it is woken up in a window; in the end the first KEPT bytes of each run follow each other on our own output:
 *
 *   run ORDINAL WORK exit|signal STATUS BYTES KEPT DIGEST
 *   (KEPT bytes and a newline)
 *
 * on standard output for their standard output, on standard error for their standard error; run 0 is the first
 * command. BYTES were printed; DIGEST is of all of them. A byte that is not UTF-8 is a question mark.
 *
 * Addresses are not randomised for the client. So the mappings of the first run, which is traced up to its exit
 * for that, are those of the others, and runs differ less. The report is that of measure.c, summed over the measured
 * runs and with those of the client's children; a client with children has no ticks, since those of
 * children that have ended are not to be had. "observer" has our own mappings, "runs" the runs one by one.
 *
 * Exit status: 0; the client's own, or 128 + signal, if it was not 0 and nothing said --keep-going; 127 and 125 as
 * measure.c.
 */
#define _GNU_SOURCE 1
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/time.h>

#include "../measure/observe.h"

#include "../../instrument/mark.h"

enum { MAX_ROUNDS = 1000, COMMANDS = 3, MAX_RUNS = 2 * MAX_ROUNDS + 1, KEPT = 1 << 18, PAUSE_MS = 20 };

struct output {
	uint64_t bytes, digest;
	size_t kept;
	char *text;
};

struct run {
	const char *work;
	int status; /* as wait4 has it */
	uint64_t wall, cpu, server_cpu;
	struct output out, err;
};

struct options {
	const char *directory, *work[COMMANDS];
	int rounds, words, commands, settle_s;
	bool keep_going;
	pid_t server;
	char **command;
};

static struct run runs[MAX_RUNS];
static int run_count;
static char out_path[PATH_MAX], err_path[PATH_MAX];

static void name_files(void)
{
	if (snprintf(client_maps, sizeof(client_maps), "%s.maps", report_path) >= (int)sizeof(client_maps) ||
	    snprintf(out_path, sizeof(out_path), "%s.out", report_path) >= (int)sizeof(out_path) ||
	    snprintf(err_path, sizeof(err_path), "%s.err", report_path) >= (int)sizeof(err_path)) {
		errno = ENAMETOOLONG;
		fail(report_path);
	}
	unlink(client_maps);
}

static int open_as(const char *path, int flags, int descriptor)
{
	int opened = open(path, flags | O_CLOEXEC, 0600);

	return opened < 0 || dup2(opened, descriptor) < 0 ? -1 : 0;
}

static void mark_begin(int window)
{
	if (window)
		KMLBENCH_MARK(KMLBENCH_MEASURED, 1);
	else
		KMLBENCH_MARK(KMLBENCH_MEASURED, 0);
}

/* Does not return. Waits until `go` is closed, and writes to `told` why it could not execute the program. */
static void become_client(char **argv, const char *directory, int window, int go, int told)
{
	char byte;
	int cause = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (personality(ADDR_NO_RANDOMIZE) < 0 || open_as("/dev/null", O_RDONLY, STDIN_FILENO) ||
	    open_as(out_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, STDOUT_FILENO) ||
	    open_as(err_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, STDERR_FILENO) || chdir(directory))
		cause = errno;
	if (!cause && read(go, &byte, 1) == 0) {
		if (window >= 0)
			mark_begin(window);
		execv(argv[0], argv);
		cause = errno;
	}
	if (write(told, &cause, sizeof(cause)) != sizeof(cause))
		_exit(OBSERVER_FAILED);
	_exit(EXEC_FAILED);
}

/* A window below 0 is none: then the client is traced. */
static pid_t start_client(char **argv, const char *directory, int window, int *told)
{
	int ends[2], go[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) || pipe2(go, O_CLOEXEC))
		fail("pipe");
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (!pid) {
		close(go[1]);
		become_client(argv, directory, window, go[0], ends[1]);
	}
	close(ends[1]);
	close(go[0]);
	/* Where tracing is forbidden, functions of the client have no names. */
	if (window < 0)
		ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACEEXIT);
	close(go[1]);
	*told = ends[0];
	return pid;
}

static void copy_file(FILE *from, const char *path)
{
	FILE *to = fopen(path, "w");
	char buffer[TEXT];
	size_t length;

	if (!from || !to)
		fail(path);
	while ((length = fread(buffer, 1, sizeof(buffer), from)))
		fwrite(buffer, 1, length, to);
	fclose(from);
	if (fclose(to))
		fail(path);
}

/* Lets a traced client run to its end, and keeps its mappings, which it still has when it exits. */
static int await_traced(pid_t pid)
{
	int status;

	for (;;) {
		int signal;

		if (waitpid(pid, &status, 0) != pid) {
			if (errno == EINTR)
				continue;
			fail("waiting for the client");
		}
		if (!WIFSTOPPED(status))
			return status;
		if (status >> 16 == PTRACE_EVENT_EXIT)
			copy_file(open_proc(pid, "maps"), client_maps);
		signal = status >> 16 ? 0 : WSTOPSIG(status);
		ptrace(PTRACE_CONT, pid, NULL, signal);
	}
}

/* The bytes of the character that a text begins with, by the table of well-formed UTF-8 in Unicode; 0: it is none. */
static size_t character(const unsigned char *text, size_t left)
{
	unsigned char first = text[0], low = 0x80, high = 0xbf;
	size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;

	if (first == 0xe0)
		low = 0xa0;
	else if (first == 0xed)
		high = 0x9f;
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f;
	if (length > left)
		return 0;
	for (size_t i = 1; i < length; i++, low = 0x80, high = 0xbf)
		if (text[i] < low || text[i] > high)
			return 0;
	return length;
}

/* Whoever decodes our output must find as many bytes as we say. */
static void replace_other_bytes(char *text, size_t length)
{
	for (size_t i = 0, step; i < length; i += step) {
		step = character((unsigned char *)text + i, length - i);
		if (!step) {
			text[i] = '?';
			step = 1;
		}
	}
}

/* FNV-1a. */
static void read_output(const char *path, struct output *output)
{
	FILE *file = fopen(path, "r");
	static unsigned char buffer[1 << 16];
	size_t length;

	*output = (struct output){ .digest = 0xcbf29ce484222325u, .text = malloc(KEPT) };
	if (!output->text || !file)
		fail(path);
	while ((length = fread(buffer, 1, sizeof(buffer), file))) {
		size_t room = KEPT - output->kept;

		memcpy(output->text + output->kept, buffer, length < room ? length : room);
		output->kept += length < room ? length : room;
		output->bytes += length;
		for (size_t i = 0; i < length; i++)
			output->digest = (output->digest ^ buffer[i]) * 0x100000001b3u;
	}
	fclose(file);
	unlink(path);
	replace_other_bytes(output->text, output->kept);
	output->text = realloc(output->text, output->kept ? output->kept : 1);
}

static void print_output(FILE *out, int ordinal, const struct run *run, const struct output *output)
{
	bool ended = WIFEXITED(run->status);

	fprintf(out, "run %d %s %s %d %llu %zu %016llx\n", ordinal, run->work, ended ? "exit" : "signal",
		ended ? WEXITSTATUS(run->status) : WTERMSIG(run->status), (unsigned long long)output->bytes,
		output->kept, (unsigned long long)output->digest);
	fwrite(output->text, 1, output->kept, out);
	fputc('\n', out);
}

static void print_outputs(void)
{
	for (int i = 0; i < run_count; i++) {
		print_output(stdout, i, &runs[i], &runs[i].out);
		print_output(stderr, i, &runs[i], &runs[i].err);
	}
	if (fflush(stdout))
		fail("standard output");
}

static int exit_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Reads what the run printed, and ends here if it failed and that is an error. */
static void keep(struct run *run, const struct options *options)
{
	read_output(out_path, &run->out);
	read_output(err_path, &run->err);
	run_count++;
	if (run->status && !options->keep_going) {
		print_outputs();
		exit(exit_status(run->status));
	}
}

static void warm_up(const struct options *options)
{
	struct run *run = &runs[0];
	int told;

	run->work = options->work[0];
	run->status = await_traced(start_client(options->command, options->directory, -1, &told));
	check_exec(told, options->command[0]);
	close(told);
	keep(run, options);
}

/* "Name:\tnumber" lines: those of one run are added to the sum; all else must be the same in each. */
static void add_counters(char *sum, size_t size, const char *counters)
{
	char added[TEXT] = "";
	const char *before = sum;

	if (!*sum) {
		snprintf(sum, size, "%s", counters);
		return;
	}
	for (const char *line = counters; *line; line = strchr(line, '\n') + 1, before = strchr(before, '\n') + 1) {
		int name = (int)strcspn(line, ":");
		bool mode = !strncmp(line, "KernelMode:", 11);
		unsigned long long old = strtoull(before + name + 1, NULL, 10), new = strtoull(line + name + 1, NULL, 10);

		if (strncmp(line, before, (size_t)name + 1) || (mode && old != new)) {
			errno = EPROTO;
			fail("the runs were not alike in kernel mode");
		}
		snprintf(added + strlen(added), sizeof(added) - strlen(added), "%.*s:\t%llu\n", name, line,
			 mode ? new : old + new);
	}
	snprintf(sum, size, "%s", added);
}

static void add_time(struct timeval *sum, struct timeval more)
{
	timeradd(sum, &more, sum);
}

static void add_run(struct client *sum, const struct client *client)
{
	sum->pid = client->pid;
	sum->status = client->status;
	sum->wall += client->wall;
	sum->clocks.exact += client->clocks.exact;
	sum->clocks.ticks_user += client->clocks.ticks_user;
	sum->clocks.ticks_both += client->clocks.ticks_both;
	add_time(&sum->usage.ru_utime, client->usage.ru_utime);
	add_time(&sum->usage.ru_stime, client->usage.ru_stime);
	sum->usage.ru_nvcsw += client->usage.ru_nvcsw;
	sum->usage.ru_nivcsw += client->usage.ru_nivcsw;
	sum->usage.ru_minflt += client->usage.ru_minflt;
	sum->usage.ru_majflt += client->usage.ru_majflt;
	add_counters(sum->kernel_status, sizeof(sum->kernel_status), client->kernel_status);
}

/* With its children, of which rusage has the CPU time in microseconds. */
static void reap_client(struct client *client)
{
	uint64_t whole;

	client->clocks = read_clocks(client->pid);
	read_status(client->pid, client->kernel_status, sizeof(client->kernel_status));
	if (wait4(client->pid, &client->status, 0, &client->usage) != client->pid)
		fail("wait4");
	whole = 1000 * (microseconds(client->usage.ru_utime) + microseconds(client->usage.ru_stime));
	if (whole > client->clocks.exact + 2000)
		client->clocks = (struct clocks){ .exact = whole };
}

static void measured_run(const struct options *options, int which, struct client *sum)
{
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000 };
	struct run *run = &runs[run_count];
	struct client client = { 0 };
	uint64_t server_cpu = options->server ? process_clock(options->server, CLOCK_EXACT) : 0;
	int told;

	nanosleep(&pause, NULL);
	run->work = options->work[which];
	client.wall = nanoseconds(CLOCK_MONOTONIC);
	client.pid = start_client(options->command + which * (options->words + 1), options->directory, which - 1, &told);
	await_client(client.pid);
	KMLBENCH_MARK(KMLBENCH_END, 0);
	client.wall = nanoseconds(CLOCK_MONOTONIC) - client.wall;
	reap_client(&client);
	check_exec(told, options->command[0]);
	close(told);
	run->status = client.status;
	run->wall = client.wall;
	run->cpu = client.clocks.exact;
	run->server_cpu = options->server ? process_clock(options->server, CLOCK_EXACT) - server_cpu : 0;
	add_run(sum, &client);
	keep(run, options);
}

static void print_runs(FILE *out, bool served)
{
	fputs(", \"runs\": [", out);
	for (int i = 1; i < run_count; i++) {
		fprintf(out, "%s{\"work\": %s, \"wall_ns\": %llu, \"client_cpu_ns\": %llu", i > 1 ? ", " : "",
			runs[i].work, (unsigned long long)runs[i].wall, (unsigned long long)runs[i].cpu);
		if (served)
			fprintf(out, ", \"server_cpu_ns\": %llu", (unsigned long long)runs[i].server_cpu);
		fputc('}', out);
	}
	fputc(']', out);
}

static void write_report(const struct options *options, const struct client *client, const struct process *before,
			 const struct process *after)
{
	char temporary[PATH_MAX];
	FILE *out;

	snprintf(temporary, sizeof(temporary), "%s.part", report_path);
	out = fopen(temporary, "w");
	if (!out)
		fail(temporary);
	fprintf(out, "{\"wall_ns\": %llu, \"client\": ", (unsigned long long)client->wall);
	print_client(out, client, options->command[0]);
	fputs(", \"server\": ", out);
	if (options->server)
		print_server(out, options->server, before, after);
	else
		fputs("null", out);
	fputs(", \"observer\": {\"executable\": \"rounds\"", out);
	print_maps(out, open_proc(getpid(), "maps"));
	fputc('}', out);
	print_runs(out, options->server);
	fputs("}\n", out);
	if (ferror(out) | fclose(out) || rename(temporary, report_path))
		fail(report_path);
}

static int usage(void)
{
	fputs("usage: rounds --report FILE --directory DIR --work W,A[,B] --rounds N --words K\n"
	      "              [--server PID [--settle SECONDS]] [--keep-going] -- COMMAND COMMAND [COMMAND]\n",
	      stderr);
	return OBSERVER_FAILED;
}

static void split_work(char *text, struct options *options)
{
	for (char *word = strtok(text, ","); word && options->commands < COMMANDS; word = strtok(NULL, ","))
		options->work[options->commands++] = word;
}

/* Each command ends with NULL, as exec wants it. */
static bool take_commands(int left, char **argv, struct options *options)
{
	int words = options->words;

	if (words <= 0 || left != words * options->commands)
		return false;
	options->command = calloc((size_t)(options->commands * (words + 1)), sizeof(char *));
	if (!options->command)
		fail("calloc");
	for (int i = 0; i < options->commands; i++)
		memcpy(options->command + i * (words + 1), argv + i * words, (size_t)words * sizeof(char *));
	return true;
}

static bool parse(int argc, char **argv, struct options *options)
{
	int i;

	for (i = 1; i + 1 < argc && strcmp(argv[i], "--"); i += 2) {
		char *value = argv[i + 1];

		if (!strcmp(argv[i], "--keep-going")) {
			options->keep_going = true;
			i--;
		} else if (!strcmp(argv[i], "--report"))
			report_path = value;
		else if (!strcmp(argv[i], "--directory"))
			options->directory = value;
		else if (!strcmp(argv[i], "--work"))
			split_work(value, options);
		else if (!strcmp(argv[i], "--rounds"))
			options->rounds = atoi(value);
		else if (!strcmp(argv[i], "--words"))
			options->words = atoi(value);
		else if (!strcmp(argv[i], "--server") && atoi(value) > 0)
			options->server = atoi(value);
		else if (!strcmp(argv[i], "--settle") && atoi(value) > 0)
			options->settle_s = atoi(value);
		else
			return false;
	}
	return report_path && options->directory && options->commands >= 2 && options->rounds > 0 &&
	       options->rounds <= MAX_ROUNDS && (options->server || !options->settle_s) && i + 1 < argc &&
	       take_commands(argc - i - 1, argv + i + 1, options);
}

int main(int argc, char **argv)
{
	static struct process before, after;
	struct options options = { 0 };
	struct client sum = { 0 };

	if (!parse(argc, argv, &options))
		return usage();
	name_files();
	warm_up(&options);
	if (options.server) {
		await_rest(options.server, options.settle_s);
		observe_before(options.server, &before);
	}
	KMLBENCH_MARK(KMLBENCH_SECTION, 0);
	for (int round = 0; round < options.rounds; round++)
		for (int which = 1; which < options.commands; which++)
			measured_run(&options, which, &sum);
	if (options.server)
		observe_after(options.server, &after);
	write_report(&options, &sum, &before, &after);
	print_outputs();
	return 0;
}
