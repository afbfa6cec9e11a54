/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counters that translated code increases: slabs of COUNTERS each, for each CPU, and one total for each CPU.
 * Slabs never move and are never freed, as translated code has their addresses.
 */
#ifndef BACKEND_H
#define BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decode.h"
#include "qemu_api.h"

#define COUNTERS 16384
#define MOST_SLABS 8192

struct backend {
	const char *name;
	/* The version of QEMU's interface that this one was written for. */
	int version;
	/* Whether each CPU has counters of its own. */
	bool many_cpus;
	void (*start)(void);
	/* Make the slab of that number, all zero. */
	bool (*add_slab)(unsigned int slab);
	uint64_t *(*counters)(unsigned int slab, unsigned int cpu);
	uint64_t *(*total)(unsigned int cpu);
	/* Each execution of the block adds 1 to a counter and `insns` to the total. */
	void (*count)(struct qemu_plugin_tb *tb, unsigned int slab, unsigned int index, uint64_t insns);
	/* The first bytes of an instruction. Returns how many. */
	size_t (*code)(const struct qemu_plugin_insn *insn, uint8_t code[LONGEST_INSN]);
};

extern const struct backend backend_cells, backend_scoreboards;

#endif
