// SPDX-License-Identifier: GPL-2.0
/* Threads, signals, fork and exec, system call restart. */
#include "test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/time.h>

#define THREADS 8
#define ROUNDS 20000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long counter;

static void *count(void *unused)
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&lock);
		counter++;
		pthread_mutex_unlock(&lock);
	}
	return unused;
}

static void threads(void)
{
	pthread_t thread[THREADS];

	for (int i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&thread[i], NULL, count, NULL));
	for (int i = 0; i < THREADS; i++)
		CHECK(!pthread_join(thread[i], NULL));
	CHECK(counter == (long)THREADS * ROUNDS);
}

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
	(void)number;
	signals++;
}

static void install(int number, int flags)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags };

	CHECK(!sigaction(number, &action, NULL));
}

static void signal_round_trips(void)
{
	install(SIGUSR1, 0);
	for (int i = 0; i < 1000; i++)
		CHECK(!raise(SIGUSR1));
	CHECK(signals == 1000);
}

static void alternate_stack(void)
{
	static char stack[65536];
	const stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };

	CHECK(!sigaltstack(&alternate, NULL));
	install(SIGUSR1, SA_ONSTACK);
	CHECK(!raise(SIGUSR1));
	CHECK(signals == 1);
}

static void timer_signals_in_a_loop(void)
{
	const struct itimerval every_ms = { { 0, 1000 }, { 0, 1000 } };
	volatile unsigned long work = 0;

	install(SIGALRM, SA_RESTART);
	CHECK(!setitimer(ITIMER_REAL, &every_ms, NULL));
	while (signals < 50)
		work++;
	CHECK(work);
}

static void restarted_read(void)
{
	int ends[2], status;
	char byte = 0;
	pid_t child;

	install(SIGUSR1, SA_RESTART);
	CHECK(!pipe(ends));
	child = fork();
	if (!child) {
		for (int i = 0; i < 20; i++) {
			kill(getppid(), SIGUSR1);
			usleep(2000);
		}
		_exit(write(ends[1], "x", 1) != 1);
	}
	CHECK(read(ends[0], &byte, 1) == 1 && byte == 'x');
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(signals > 0);
}

static void interrupted_read(void)
{
	const struct itimerval once = { { 0, 0 }, { 0, 20000 } };
	int ends[2];
	char byte;

	install(SIGALRM, 0);
	CHECK(!pipe(ends));
	CHECK(!setitimer(ITIMER_REAL, &once, NULL));
	CHECK(read(ends[0], &byte, 1) == -1 && errno == EINTR);
}

static void *reader(void *end)
{
	char byte;

	return read(*(int *)end, &byte, 1) == 1 ? NULL : (void *)1;
}

static void cancelled_read(void)
{
	pthread_t thread;
	void *result;
	int ends[2];

	CHECK(!pipe(ends));
	CHECK(!pthread_create(&thread, NULL, reader, &ends[0]));
	usleep(20000);
	CHECK(!pthread_cancel(thread));
	CHECK(!pthread_join(thread, &result) && result == PTHREAD_CANCELED);
}

static void copy_on_write(void)
{
	int status, *shared, private = 1;
	pid_t child;

	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	child = fork();
	if (!child) {
		private = 2;
		*shared = private;
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(private == 1 && *shared == 2);
}

static void run_true(pid_t (*fork_somehow)(void))
{
	int status;
	const pid_t child = fork_somehow();

	if (!child) {
		execl("/bin/true", "true", NULL);
		_exit(127);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void forks_and_execs(void)
{
	for (int i = 0; i < 20; i++) {
		run_true(fork);
		run_true(vfork);
	}
}

static void error_number(void)
{
	CHECK(close(-1) == -1 && errno == EBADF);
	CHECK(syscall(100000) == -1 && errno == ENOSYS);
	CHECK(open((char *)8, O_RDONLY) == -1 && errno == EFAULT);
	CHECK(write(1, (void *)0xffffffff80000000ul, 1) == -1 && errno == EFAULT);
}

int main(void)
{
	const struct test_case cases[] = {
		{ "threads with a mutex", threads },
		{ "signal round trips", signal_round_trips },
		{ "alternate signal stack", alternate_stack },
		{ "timer signals in a busy loop", timer_signals_in_a_loop },
		{ "read restarted after signals", restarted_read },
		{ "read interrupted by a signal", interrupted_read },
		{ "pthread_cancel of a blocked read", cancelled_read },
		{ "copy on write", copy_on_write },
		{ "fork, vfork and exec", forks_and_execs },
		{ "error numbers", error_number },
	};

	return RUN(cases);
}
