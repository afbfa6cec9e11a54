// SPDX-License-Identifier: GPL-2.0
/* At which privilege a program, its threads and its children run. Argument: the CPL to expect. */
#include "test.h"

#include <pthread.h>

static unsigned int expected;

static int status_field(const char *name)
{
	char line[256];
	int value = -1;
	FILE *status = fopen("/proc/thread-self/status", "r");

	CHECK(status);
	while (fgets(line, sizeof(line), status)) {
		if (!strncmp(line, name, strlen(name)))
			value = atoi(line + strlen(name));
	}
	fclose(status);

	return value;
}

static void here(void)
{
	CHECK(current_privilege_level() == expected);
}

static void said_by_proc(void)
{
	int mode = status_field("KernelMode:");

	/* A stock kernel has no such line. */
	CHECK(mode == (expected == 0) || (mode == -1 && expected == 3));
}

static void *in_thread(void *unused)
{
	here();
	said_by_proc();
	return unused;
}

static void thread(void)
{
	pthread_t thread;

	CHECK(!pthread_create(&thread, NULL, in_thread, NULL));
	CHECK(!pthread_join(thread, NULL));
}

static void child(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		here();
		said_by_proc();
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void exec_of_an_ordinary_program(void)
{
	execl("/bin/sh", "sh", "-c", "! grep -q '^KernelMode:.*1' /proc/self/status", NULL);
	_exit(1);
}

static void privileged_instruction(void)
{
	unsigned long cr0;

	/* #GP at CPL 3; at CPL 0 it works, which is what kernel mode means. */
	asm volatile("mov %%cr0, %0" : "=r" (cr0));
	CHECK(cr0 & 1);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: privilege CPL\n");
		return 2;
	}
	expected = atoi(argv[1]);

	const struct test_case cases[] = {
		{ "CPL", here },
		{ "KernelMode in /proc", said_by_proc },
		{ "CPL of a thread", thread },
		{ "CPL of a child", child },
		{ "exec of an ordinary program leaves kernel mode", exec_of_an_ordinary_program },
		{ "privileged instruction", privileged_instruction, expected ? SIGSEGV : 0 },
	};

	return RUN(cases);
}
