/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of blocks: what has been translated since QEMU last flushed its translation cache. A block is
 * known by its definition, the text that the output has for it, and has a slot: the number of its counter.
 */
#ifndef BLOCKS_H
#define BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#include "backend.h"

/* Slots are looked at eight at a time. */
#define LINE 8
#define LINES_OF_SLAB (COUNTERS / LINE)

struct block {
	/* Unique in the output. */
	uint64_t id;
	uint64_t hash;
	/* The section of the output that has the definition. */
	uint32_t section;
	/* The next slot of the same bucket, plus one. */
	uint32_t next;
	uint32_t length;
	uint32_t insns;
	char definition[];
};

struct slab {
	struct block *blocks[COUNTERS];
	uint16_t insns[COUNTERS];
	/* Where the line is among the active ones, plus one. */
	uint32_t active[LINES_OF_SLAB];
	/* For each CPU, what its counters were when last looked at. */
	uint64_t *seen[];
};

void blocks_start(const struct backend *backend, unsigned int cpus);

/* The slot of the block with that definition, which is new to the table or not. */
uint32_t blocks_slot(const char *definition, size_t length, unsigned int insns);

/* How many lines have slots in use. */
uint32_t blocks_lines(void);

struct slab *blocks_slab(uint32_t slab);
struct block *blocks_at(uint32_t slot);

/* Forget all blocks. Their counters must have been looked at. */
void blocks_forget(void);

#endif
