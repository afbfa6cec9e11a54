// SPDX-License-Identifier: GPL-2.0-or-later
/* Plugin interface 4: translated code adds to its own CPU's element of a scoreboard. */
#include "backend.h"

static struct qemu_plugin_scoreboard *slabs[MOST_SLABS];
static struct qemu_plugin_scoreboard *total;

static void start(void)
{
	total = qemu_plugin_scoreboard_new(sizeof(uint64_t));
}

static bool add_slab(unsigned int slab)
{
	slabs[slab] = qemu_plugin_scoreboard_new(COUNTERS * sizeof(uint64_t));
	return slabs[slab];
}

static uint64_t *counters(unsigned int slab, unsigned int cpu)
{
	return qemu_plugin_scoreboard_find(slabs[slab], cpu);
}

static uint64_t *total_of(unsigned int cpu)
{
	return qemu_plugin_scoreboard_find(total, cpu);
}

static void count(struct qemu_plugin_tb *tb, unsigned int slab, unsigned int index, uint64_t insns)
{
	struct qemu_u64 counter = { slabs[slab], index * sizeof(uint64_t) };

	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, ADD_U64, counter, 1);
	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, ADD_U64, (struct qemu_u64){ total, 0 }, insns);
}

static size_t code_of(const struct qemu_plugin_insn *insn, uint8_t code[LONGEST_INSN])
{
	return insn_data_copied(insn, code, LONGEST_INSN);
}

const struct backend backend_scoreboards = {
	.name = "scoreboards",
	.version = 4,
	.many_cpus = true,
	.start = start,
	.add_slab = add_slab,
	.counters = counters,
	.total = total_of,
	.count = count,
	.code = code_of,
};
