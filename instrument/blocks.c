// SPDX-License-Identifier: GPL-2.0-or-later
#include "blocks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define ARENA_BYTES (1 << 20)
#define FEWEST_BUCKETS (1 << 16)

/* Definitions are kept in arenas, as they are all forgotten at once. */
struct arena {
	struct arena *previous;
	size_t used;
	char bytes[ARENA_BYTES];
};

static const struct backend *backend;
static unsigned int cpus;
static struct slab *slabs[MOST_SLABS];
static uint32_t made_slabs, used;
static uint64_t next_id;
static uint32_t *buckets, bucket_count;
static struct arena *arena;

static void make_buckets(uint32_t count)
{
	free(buckets);
	bucket_count = count;
	buckets = must(calloc(count, sizeof(*buckets)));
}

void blocks_start(const struct backend *chosen, unsigned int cpu_count)
{
	backend = chosen;
	cpus = cpu_count;
	make_buckets(FEWEST_BUCKETS);
}

struct slab *blocks_slab(uint32_t slab)
{
	return slabs[slab];
}

struct block *blocks_at(uint32_t slot)
{
	return slabs[slot / COUNTERS]->blocks[slot % COUNTERS];
}

uint32_t blocks_lines(void)
{
	return (used + LINE - 1) / LINE;
}

/* FNV-1a, 64 bits. */
static uint64_t hash_of(const char *bytes, size_t length)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (uint8_t)bytes[i]) * 0x100000001b3;
	return hash;
}

static void enter(uint32_t slot)
{
	struct block *block = blocks_at(slot);
	uint32_t *bucket = &buckets[block->hash & (bucket_count - 1)];

	block->next = *bucket;
	*bucket = slot + 1;
}

static void double_buckets(void)
{
	make_buckets(2 * bucket_count);
	for (uint32_t slot = 0; slot < used; slot++)
		enter(slot);
}

static void *from_arena(size_t size)
{
	size = (size + 7) & ~(size_t)7;
	if (!arena || arena->used + size > ARENA_BYTES) {
		struct arena *fresh = must(malloc(sizeof(*fresh)));

		fresh->previous = arena;
		fresh->used = 0;
		arena = fresh;
	}
	arena->used += size;
	return arena->bytes + arena->used - size;
}

static struct block *make_block(const char *definition, size_t length, uint64_t hash, unsigned int insns)
{
	struct block *block = from_arena(sizeof(*block) + length);

	*block = (struct block){ .id = next_id++, .hash = hash, .length = (uint32_t)length, .insns = insns };
	memcpy(block->definition, definition, length);
	return block;
}

static void make_slab(void)
{
	struct slab *slab = calloc(1, sizeof(*slab) + cpus * sizeof(slab->seen[0]));

	if (made_slabs == MOST_SLABS || !backend->add_slab(made_slabs))
		slab = NULL;
	slabs[made_slabs++] = must(slab);
	for (unsigned int cpu = 0; cpu < cpus; cpu++)
		slab->seen[cpu] = must(calloc(COUNTERS, sizeof(uint64_t)));
}

static uint32_t add(struct block *block)
{
	uint32_t slot = used;

	if (slot == made_slabs * COUNTERS)
		make_slab();
	slabs[slot / COUNTERS]->blocks[slot % COUNTERS] = block;
	slabs[slot / COUNTERS]->insns[slot % COUNTERS] = (uint16_t)block->insns;
	used++;
	if (used > bucket_count)
		double_buckets();
	else
		enter(slot);
	return slot;
}

uint32_t blocks_slot(const char *definition, size_t length, unsigned int insns)
{
	uint64_t hash = hash_of(definition, length);
	uint32_t link = buckets[hash & (bucket_count - 1)];

	while (link) {
		const struct block *block = blocks_at(link - 1);

		if (block->hash == hash && block->length == length &&
		    memcmp(block->definition, definition, length) == 0)
			return link - 1;
		link = block->next;
	}
	return add(make_block(definition, length, hash, insns));
}

void blocks_forget(void)
{
	while (arena) {
		struct arena *previous = arena->previous;

		free(arena);
		arena = previous;
	}
	for (uint32_t slab = 0; slab < made_slabs; slab++)
		memset(slabs[slab]->active, 0, sizeof(slabs[slab]->active));
	used = 0;
	make_buckets(FEWEST_BUCKETS);
}
