// SPDX-License-Identifier: GPL-2.0
/*
 * Starts a program in an unusual way, or reaches for a running one:
 *
 *	enter HOW FILE [ARGUMENT]...
 *
 * Each HOW tries to bring a program into kernel mode that has no right to be
 * there, or to get at one that is. The exit status is 126 where the kernel
 * refused the try itself, with the reason on standard error.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif

static char **environment;

static void refused(const char *what)
{
	fprintf(stderr, "enter: %s: %s\n", what, strerror(errno));
	exit(126);
}

static int need(long result, const char *what)
{
	if (result < 0)
		refused(what);
	return result;
}

static void execute(int file, char **arguments)
{
	syscall(SYS_execveat, file, "", arguments, environment, AT_EMPTY_PATH);
	refused("execveat");
}

static void by_descriptor(char **arguments)
{
	execute(need(open(arguments[0], O_RDONLY), "open"), arguments);
}

static void by_path_descriptor(char **arguments)
{
	execute(need(open(arguments[0], O_PATH), "open"), arguments);
}

static void from_memory(char **arguments)
{
	const int file = need(open(arguments[0], O_RDONLY), "open");
	const int copy = need(memfd_create("copy", 0), "memfd_create");
	struct stat size;

	need(fstat(file, &size), "fstat");
	while (lseek(copy, 0, SEEK_CUR) < size.st_size)
		need(sendfile(copy, file, NULL, size.st_size), "sendfile");
	execute(copy, arguments);
}

static void after_deletion(char **arguments)
{
	const int file = need(open(arguments[0], O_RDONLY), "open");

	need(unlink(arguments[0]), "unlink");
	execute(file, arguments);
}

static void from_detached_mount(char **arguments)
{
	const int tree = need(syscall(SYS_open_tree, AT_FDCWD, "/trusted",
				      OPEN_TREE_CLONE | O_CLOEXEC | AT_RECURSIVE), "open_tree");
	const char *below = arguments[0] + strlen("/trusted/");

	syscall(SYS_execveat, tree, below, arguments, environment, 0);
	refused("execveat");
}

/* What was opened outside is executed inside. The first argument is the new root. */
static void into_chroot(char **arguments)
{
	const int file = need(open(arguments[1], O_PATH), "open");

	need(chroot(arguments[0]), "chroot");
	execute(file, arguments + 1);
}

static void into_mount_namespace(char **arguments)
{
	const int file = need(open(arguments[0], O_PATH), "open");

	need(unshare(CLONE_NEWNS), "unshare");
	execute(file, arguments);
}

static void into_user_namespace(char **arguments)
{
	const int file = need(open(arguments[0], O_PATH), "open");

	need(unshare(CLONE_NEWUSER), "unshare");
	execute(file, arguments);
}

/* Somebody has the file open for writing while it is to be executed. */
static void while_open_for_writing(char **arguments)
{
	need(open(arguments[0], O_RDWR), "open");
	execv(arguments[0], arguments);
	refused("execve");
}

static void while_mapped_for_writing(char **arguments)
{
	const int file = need(open(arguments[0], O_RDWR), "open");

	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) == MAP_FAILED)
		refused("mmap");
	close(file);
	execv(arguments[0], arguments);
	refused("execve");
}

/* arguments[0] is a process from here on. */
static void attach(char **arguments)
{
	const pid_t process = atoi(arguments[0]);

	need(ptrace(PTRACE_ATTACH, process, NULL, NULL), "PTRACE_ATTACH");
	need(waitpid(process, NULL, __WALL), "waitpid");
	need(ptrace(PTRACE_DETACH, process, NULL, NULL), "PTRACE_DETACH");
}

static void write_memory(char **arguments)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/mem", arguments[0]);
	need(open(path, O_RDWR), "open");
}

static const struct {
	const char *name;
	void (*run)(char **arguments);
} ways[] = {
	{ "by-descriptor", by_descriptor },
	{ "by-path-descriptor", by_path_descriptor },
	{ "from-memory", from_memory },
	{ "after-deletion", after_deletion },
	{ "from-detached-mount", from_detached_mount },
	{ "into-chroot", into_chroot },
	{ "into-mount-namespace", into_mount_namespace },
	{ "into-user-namespace", into_user_namespace },
	{ "while-open-for-writing", while_open_for_writing },
	{ "while-mapped-for-writing", while_mapped_for_writing },
	{ "attach", attach },
	{ "write-memory", write_memory },
};

int main(int argc, char **argv, char **envp)
{
	environment = envp;
	for (size_t i = 0; argc > 2 && i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (!strcmp(argv[1], ways[i].name)) {
			ways[i].run(argv + 2);
			return 0;
		}
	}
	fprintf(stderr, "usage: enter HOW FILE [ARGUMENT]...\n");
	return 2;
}
