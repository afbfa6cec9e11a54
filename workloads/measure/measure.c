// SPDX-License-Identifier: MIT
/*
 * Runs a client and writes a JSON report of what it, and a server beside it, used meanwhile.
 *
 *   measure --report FILE [--server PID [--settle SECONDS]] [--seed NUMBER] -- PROGRAM [ARGUMENT...]
 *
 * With --settle the client starts once the server is idle: once it has used less than REST_NS of CPU time, or
 * less than WAKE_UPS wake-ups cost on this machine if that is more, in each of REST_SPANS successive spans.
 * A server whose tables have just been loaded goes on working in the background, and by chance that work would
 * or would not be counted with the client's. measure fails if the server is still busy after that many seconds.
 *
 * With --seed the client has its random numbers from that seed (instrument/seed.c), where its C library is asked.
 *
 * The client finds the server's PID in $KMLBENCH_SERVER_PID: it may wait until the server is at rest again.
 *
 * Always start it from /usr: the observer is not part of the experiment. The client inherits standard input,
 * output and error. Exit status: the client's own, 128 + signal if a signal ended it, 127 if it could not
 * be executed, 125 if the observation failed (then no report is written).
 *
 * Where the instrument records the guest, the client begins a section of it. "maps" are the executable mappings
 * of both, to name what it counts: the server's as they are at the end, the client's as it wrote them itself to
 * the file that $KMLBENCH_MAPS names, since they are gone when it has ended; null where it did not.
 */
#define _GNU_SOURCE 1
#include "observe.h"

#include "../../instrument/mark.h"

#define SEED_LIBRARY "libkmlbench-seed.so"

/* Does not return. Writes to a pipe why exec failed; success closes the pipe empty. */
static void become_client(char **argv, int told)
{
	int cause;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execv(argv[0], argv);
	cause = errno;
	if (write(told, &cause, sizeof(cause)) != sizeof(cause))
		_exit(OBSERVER_FAILED);
	_exit(EXEC_FAILED);
}

static pid_t start_client(char **argv, int *told)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		fail("pipe");
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (!pid)
		become_client(argv, ends[1]);
	close(ends[1]);
	*told = ends[0];
	return pid;
}

static void reap_client(struct client *client)
{
	client->clocks = read_clocks(client->pid);
	read_status(client->pid, client->kernel_status, sizeof(client->kernel_status));
	if (wait4(client->pid, &client->status, 0, &client->usage) != client->pid)
		fail("wait4");
}

/* Where the client is to write its mappings: beside the report. */
static void expect_maps(void)
{
	if (snprintf(client_maps, sizeof(client_maps), "%s.maps", report_path) >= (int)sizeof(client_maps)) {
		errno = ENAMETOOLONG;
		fail(report_path);
	}
	unlink(client_maps);
	if (setenv("KMLBENCH_MAPS", client_maps, 1))
		fail("setenv");
}

static void write_report(const struct client *client, const char *program, pid_t server,
			 const struct process *before, const struct process *after)
{
	char temporary[PATH_MAX];
	FILE *out;

	snprintf(temporary, sizeof(temporary), "%s.part", report_path);
	out = fopen(temporary, "w");
	if (!out)
		fail(temporary);
	fprintf(out, "{\"wall_ns\": %llu, \"client\": ", (unsigned long long)client->wall);
	print_client(out, client, program);
	fputs(", \"server\": ", out);
	if (server)
		print_server(out, server, before, after);
	else
		fputs("null", out);
	fputs("}\n", out);
	if (ferror(out) | fclose(out) || rename(temporary, report_path))
		fail(report_path);
}

static void announce(pid_t server)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)server);
	if (setenv("KMLBENCH_SERVER_PID", pid, 1))
		fail("setenv");
}

/* The library is beside this program; where it is not, the loader would complain in the client's output. */
static void seed(const char *number)
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - sizeof(SEED_LIBRARY));
	char *name;

	if (length < 0)
		fail("/proc/self/exe");
	path[length] = '\0';
	name = strrchr(path, '/') + 1;
	memcpy(name, SEED_LIBRARY, sizeof(SEED_LIBRARY));
	if (access(path, R_OK))
		return;
	if (setenv("KMLBENCH_SEED", number, 1) || setenv("LD_PRELOAD", path, 1))
		fail("setenv");
}

static int usage(void)
{
	fputs("usage: measure --report FILE [--server PID [--settle SECONDS]] [--seed NUMBER] "
	      "-- PROGRAM [ARGUMENT...]\n", stderr);
	return OBSERVER_FAILED;
}

/* The index of the program in argv, or 0 when the command line is wrong. */
static int parse(int argc, char **argv, pid_t *server, int *settle_s)
{
	int i;

	for (i = 1; i + 1 < argc && strcmp(argv[i], "--"); i += 2) {
		if (!strcmp(argv[i], "--report"))
			report_path = argv[i + 1];
		else if (!strcmp(argv[i], "--server") && atoi(argv[i + 1]) > 0)
			*server = atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "--settle") && atoi(argv[i + 1]) > 0)
			*settle_s = atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "--seed"))
			seed(argv[i + 1]);
		else
			return 0;
	}
	return report_path && (*server || !*settle_s) && i + 1 < argc ? i + 1 : 0;
}

int main(int argc, char **argv)
{
	static struct process before, after;
	struct client client = { 0 };
	pid_t server = 0;
	int settle_s = 0;
	int program = parse(argc, argv, &server, &settle_s);
	int told;

	if (!program)
		return usage();
	if (server) {
		announce(server);
		await_rest(server, settle_s);
		observe_before(server, &before);
	}
	expect_maps();
	KMLBENCH_MARK(KMLBENCH_SECTION, 0);
	client.wall = nanoseconds(CLOCK_MONOTONIC);
	client.pid = start_client(argv + program, &told);
	await_client(client.pid);
	client.wall = nanoseconds(CLOCK_MONOTONIC) - client.wall;
	KMLBENCH_MARK(KMLBENCH_END, 0);
	if (server)
		observe_after(server, &after);
	reap_client(&client);
	check_exec(told, argv[program]);
	write_report(&client, argv[program], server, &before, &after);
	return WIFSIGNALED(client.status) ? 128 + WTERMSIG(client.status) : WEXITSTATUS(client.status);
}
