// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Plugin interface 1: translated code adds to plain memory, the same cell for all CPUs and not atomically.
 * So this one is for one CPU.
 */
#include <stdlib.h>
#include <string.h>

#include "backend.h"

static uint64_t *slabs[MOST_SLABS];
static uint64_t total;

static void start(void)
{
}

static bool add_slab(unsigned int slab)
{
	slabs[slab] = calloc(COUNTERS, sizeof(uint64_t));
	return slabs[slab];
}

static uint64_t *counters(unsigned int slab, unsigned int cpu)
{
	(void)cpu;
	return slabs[slab];
}

static uint64_t *total_of(unsigned int cpu)
{
	(void)cpu;
	return &total;
}

static void count(struct qemu_plugin_tb *tb, unsigned int slab, unsigned int index, uint64_t insns)
{
	qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD_U64, &slabs[slab][index], 1);
	qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD_U64, &total, insns);
}

static size_t code_of(const struct qemu_plugin_insn *insn, uint8_t code[LONGEST_INSN])
{
	size_t size = qemu_plugin_insn_size(insn);

	if (size > LONGEST_INSN)
		size = LONGEST_INSN;
	memcpy(code, insn_data_returned(insn), size);
	return size;
}

const struct backend backend_cells = {
	.name = "cells",
	.version = 1,
	.many_cpus = false,
	.start = start,
	.add_slab = add_slab,
	.counters = counters,
	.total = total_of,
	.count = count,
	.code = code_of,
};
