// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A thread of its own waits for the words, as a sleeping plugin hears nothing from the CPU: QEMU calls back
 * for an idle one only where each CPU has a thread, so never under -icount. qemu_plugin_reset does what is
 * wanted, but only when called by the thread of the CPU; called by another it leaves translated code in place.
 *
 * One CPU only: plugin_reset_destroy of older QEMUs locks the plugins' lock a second time instead of unlocking it,
 * so that the thread of another CPU would wait for ever. Those of Debian, 7.2.22 and 10.0.13, do not.
 */
#include "control.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* After this long the CPU is asked again: it may have gone to wait for an event at the moment it was asked. */
#define ASK_AGAIN_MS 50

#define LONGEST_WORD 16

static changed *change;
static plugin_id plugin;
static int peer = -1;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t reached = PTHREAD_COND_INITIALIZER;
static bool wanted, counting;
/* Since the CPU was last asked. */
static bool was_flushed, unflushed;

bool control_possible(void)
{
	return qemu_get_cpu && async_run_on_cpu;
}

void control_flushed(void)
{
	pthread_mutex_lock(&lock);
	was_flushed = true;
	pthread_mutex_unlock(&lock);
}

static void on_reset(plugin_id id)
{
	pthread_mutex_lock(&lock);
	unflushed = !was_flushed;
	counting = wanted;
	change(id, counting);
	pthread_cond_signal(&reached);
	pthread_mutex_unlock(&lock);
}

static void follow(void *cpu, union run_on_cpu_data data)
{
	bool needed;

	(void)cpu;
	(void)data;
	pthread_mutex_lock(&lock);
	needed = wanted != counting;
	was_flushed = false;
	pthread_mutex_unlock(&lock);
	if (needed)
		qemu_plugin_reset(plugin, on_reset);
}

static struct timespec in_ms(long ms)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	time.tv_nsec += ms * 1000000;
	time.tv_sec += time.tv_nsec / 1000000000;
	time.tv_nsec %= 1000000000;
	return time;
}

/* Returns the answer. */
static const char *reach(bool count)
{
	const char *answer;

	pthread_mutex_lock(&lock);
	wanted = count;
	unflushed = false;
	while (counting != wanted) {
		struct timespec until = in_ms(ASK_AGAIN_MS);

		pthread_mutex_unlock(&lock);
		async_run_on_cpu(qemu_get_cpu(0), follow, (union run_on_cpu_data){ 0 });
		pthread_mutex_lock(&lock);
		if (counting != wanted)
			pthread_cond_timedwait(&reached, &lock, &until);
	}
	answer = unflushed ? "QEMU kept its translated code" : counting ? "counting" : "asleep";
	pthread_mutex_unlock(&lock);
	return answer;
}

static const char *answer_to(const char *word)
{
	if (strcmp(word, "count") == 0)
		return reach(true);
	if (strcmp(word, "sleep") == 0)
		return reach(false);
	return "the words are count and sleep";
}

static void *converse(void *unused)
{
	char word[LONGEST_WORD + 1];
	ssize_t length;

	while ((length = recv(peer, word, LONGEST_WORD, 0)) > 0) {
		const char *answer;

		word[length] = 0;
		answer = answer_to(word);
		send(peer, answer, strlen(answer), MSG_NOSIGNAL);
	}
	close(peer);
	return unused;
}

/* QEMU's signals are for its own threads. */
void control_add_cpu(void)
{
	sigset_t all, before;
	pthread_t thread;

	if (peer < 0)
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&thread, NULL, converse, NULL)) {
		fputs("kmlbench-windows: no thread can be started for control=\n", stderr);
		_exit(1);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

bool control_start(plugin_id id, int descriptor, changed *what)
{
	int type = 0;
	socklen_t length = sizeof(type);

	if (getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &length) || type != SOCK_SEQPACKET)
		return false;
	fcntl(descriptor, F_SETFD, FD_CLOEXEC);
	plugin = id;
	change = what;
	peer = descriptor;
	return true;
}
