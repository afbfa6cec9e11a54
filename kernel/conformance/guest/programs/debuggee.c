// SPDX-License-Identifier: GPL-2.0
/* What the debuggers are tried on: a loop of system calls, a thread, a child, a signal, a fault on request. */

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

volatile int counter;
volatile int watched;

static void on_signal(int number)
{
	counter += number;
}

__attribute__((noinline)) int work(int value)
{
	counter++;
	return value * 2 + getppid() * 0;
}

static void *thread(void *unused)
{
	(void)unused;
	work(21);
	return NULL;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	pthread_t other;
	int i, status;
	pid_t child;

	signal(SIGUSR1, on_signal);
	for (i = 0; i < 3; i++)
		work(i);
	watched = 42;
	raise(SIGUSR1);
	pthread_create(&other, NULL, thread, NULL);
	pthread_join(other, NULL);
	child = fork();
	if (!child)
		_exit(work(3));
	waitpid(child, &status, 0);
	if (!strcmp(how, "fault"))
		*(volatile int *)16 = 1;
	while (!strcmp(how, "loop")) {
		work(0);
		usleep(1000);
	}
	printf("counter %d child %d\n", counter, WEXITSTATUS(status));
	return 0;
}
