// SPDX-License-Identifier: MIT
/*
 * libkmlbench-seed.so: with $KMLBENCH_SEED, what a program asks the kernel's random numbers for comes from that
 * seed. workloads/measure loads it into the client. LuaJIT seeds its string hashes with such a number: which keys
 * share a slot is chance, the same for as long as the program lives, and worth a twentieth of a percent of its
 * instructions. With one seed in all cells it is worth the same in each.
 *
 * What does not call these three functions of the C library, and a static program, has the kernel's numbers.
 */
#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>

#define PUBLIC __attribute__((visibility("default")))

typedef long call(long, ...);

static call *libc_syscall;
static uint64_t state;
static int seeded;

__attribute__((constructor)) static void begin(void)
{
	const char *seed = getenv("KMLBENCH_SEED");

	libc_syscall = (call *)dlsym(RTLD_NEXT, "syscall");
	seeded = seed != NULL;
	state = seed ? strtoull(seed, NULL, 10) : 0;
}

/* Splitmix64 (Steele, Lea and Flood 2014). Threads share the sequence. */
static uint64_t draw(void)
{
	uint64_t z = __atomic_add_fetch(&state, 0x9e3779b97f4a7c15, __ATOMIC_RELAXED);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static void fill(unsigned char *buffer, size_t length)
{
	while (length) {
		uint64_t number = draw();
		size_t part = length < sizeof(number) ? length : sizeof(number);

		memcpy(buffer, &number, part);
		buffer += part;
		length -= part;
	}
}

PUBLIC ssize_t getrandom(void *buffer, size_t length, unsigned int flags)
{
	if (!seeded)
		return libc_syscall(SYS_getrandom, buffer, length, flags);
	fill(buffer, length);
	return (ssize_t)length;
}

PUBLIC int getentropy(void *buffer, size_t length)
{
	return getrandom(buffer, length, 0) == (ssize_t)length ? 0 : -1;
}

PUBLIC long syscall(long number, ...)
{
	long a[6];
	va_list rest;

	va_start(rest, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(rest, long);
	va_end(rest);
	if (seeded && number == SYS_getrandom)
		return getrandom((void *)a[0], (size_t)a[1], (unsigned int)a[2]);
	return libc_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
