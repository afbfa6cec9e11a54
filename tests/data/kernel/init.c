// SPDX-License-Identifier: GPL-2.0
/*
 * The only program of a kernel that has just been built. As init it runs itself from /bin, from /trusted and from /bin
 * again; each of these does some of what patches of the entry code can break, and says on the console how it went.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS	2000
#define ROUNDS	50
#define MEMORY	(4ul << 20)
#define PAGE	4096

#define REQUIRE(condition) do {						\
	if (!(condition)) {						\
		printf("%s: line %d: %s\n", name, __LINE__, #condition);	\
		exit(1);						\
	}								\
} while (0)

static const char *name;
static volatile int caught;

static void on_signal(int number)
{
	(void)number;
	caught++;
}

static void *call_often(void *done)
{
	for (int i = 0; i < CALLS; i++)
		syscall(SYS_getppid);
	*(int *)done = 1;
	return NULL;
}

/* What /proc/self/status says, or '-' where it says nothing. */
static char kernel_mode(void)
{
	static char status[PAGE];
	int fd = open("/proc/self/status", O_RDONLY);
	char *line;

	REQUIRE(fd >= 0 && read(fd, status, sizeof(status) - 1) > 0);
	close(fd);
	line = strstr(status, "KernelMode:\t");
	return line ? line[strlen("KernelMode:\t")] : '-';
}

static int status_of(void (*body)(int), int argument)
{
	int status;
	pid_t child = fork();

	if (!child) {
		body(argument);
		_exit(argument);
	}
	REQUIRE(waitpid(child, &status, 0) == child);
	return status;
}

static void nothing(int argument)
{
	(void)argument;
}

static void store_to_null(int argument)
{
	volatile int *volatile nowhere = NULL;

	*nowhere = argument;
}

static void work(void)
{
	pthread_t thread;
	int done = 0, status;
	char *memory;

	for (int i = 0; i < CALLS; i++)
		REQUIRE(syscall(SYS_getpid) == getpid());
	signal(SIGUSR1, on_signal);
	for (int i = 0; i < ROUNDS; i++)
		raise(SIGUSR1);
	REQUIRE(caught == ROUNDS);
	for (int i = 0; i < ROUNDS; i++)
		REQUIRE(status_of(nothing, i) == i << 8);
	memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(memory != MAP_FAILED);
	for (size_t i = 0; i < MEMORY; i += PAGE)
		memory[i] = 1;
	REQUIRE(!munmap(memory, MEMORY));
	REQUIRE(!pthread_create(&thread, NULL, call_often, &done) && !pthread_join(thread, NULL) && done);
	status = status_of(store_to_null, 0);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	printf("%s: done, KernelMode %c\n", name, kernel_mode());
}

static void run(const char *path)
{
	int status = 0;
	pid_t child = fork();

	if (!child) {
		execl(path, path, "work", NULL);
		_exit(127);
	}
	REQUIRE(waitpid(child, &status, 0) == child);
	if (status)
		printf("%s: wait status %#x\n", path, status);
}

int main(int count, char **arguments)
{
	name = arguments[0];
	if (count > 1) {
		work();
		return 0;
	}
	REQUIRE(!mount("proc", "/proc", "proc", 0, NULL));
	run("/bin/work");
	run("/trusted/work");
	run("/bin/work");
	printf("init: done\n");
	fflush(stdout);
	return reboot(RB_AUTOBOOT);
}
