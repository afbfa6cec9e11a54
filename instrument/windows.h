/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Windows: what ran between two marks, by block and by task. README.md has the format of the output. */
#ifndef WINDOWS_H
#define WINDOWS_H

#include <stdbool.h>
#include <stdint.h>

#include "backend.h"

/* Begin the output. False when that cannot be, with a message. */
bool windows_start(const struct backend *backend, unsigned int cpus, const char *path);

/* A CPU is about to run. Counters of others must not be looked at. */
void windows_add_cpu(unsigned int cpu);

/* A mark was executed. */
void windows_mark(unsigned int cpu, unsigned int tag);

/* From now on the CPU runs another task. */
void windows_switch(unsigned int cpu, uint64_t task);

/* QEMU flushed its translation cache. No CPU is running. */
void windows_flush(void);

/* From now on no block is counted, or none was until now. QEMU has flushed its translation cache. */
void windows_gap(void);

/* QEMU ends. */
void windows_stop(void);

#endif
