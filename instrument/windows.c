// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The counters only ever grow. To settle a CPU is to see what they have grown by since it was last settled,
 * and to book that to a task. At each switch of tasks only the lines of counters that are known to be active
 * are looked at; the CPU's total tells whether that was all. If not, every line is looked at, and those that
 * had grown are active from then on.
 */
#include "windows.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blocks.h"
#include "mark.h"
#include "text.h"

/* More tasks than this in a window, and what is known so far is written. */
#define MOST_TASKS 64

#define NO_CPU UINT_MAX

struct task {
	uint64_t address;
	/* For each active line, executions of its LINE blocks. */
	uint64_t *counts;
	size_t lines;
};

struct cpu {
	bool added;
	/* The task that is running, 0 as long as that is unknown. */
	uint64_t task;
	/* The instructions that were settled. */
	uint64_t settled;
};

static const struct backend *backend;
static struct cpu *cpus;
static unsigned int cpu_count;

static struct active_line {
	uint32_t number;
	/* Something of it was written for the window. */
	bool used;
} *active;
static size_t active_count, active_capacity;

static struct task tasks[MOST_TASKS];
static size_t task_count;

static int output = -1;
static uint32_t section = 1;

static struct {
	bool open;
	uint64_t ordinal, total, switches;
} window;

static void write_out(const struct text *text)
{
	size_t done = 0;

	while (output >= 0 && done < text->length) {
		ssize_t written = write(output, text->bytes + done, text->length - done);

		if (written >= 0) {
			done += (size_t)written;
		} else if (errno != EINTR) {
			perror("kmlbench-windows: the output ends here, as it could not be written");
			close(output);
			output = -1;
		}
	}
}

/* Where a line is among the active ones, plus one. */
static uint32_t *place_of(uint32_t line)
{
	return &blocks_slab(line / LINES_OF_SLAB)->active[line % LINES_OF_SLAB];
}

static uint32_t activate(uint32_t line)
{
	if (active_count == active_capacity) {
		active_capacity = active_capacity ? 2 * active_capacity : 1024;
		active = must(realloc(active, active_capacity * sizeof(*active)));
	}
	active[active_count++] = (struct active_line){ .number = line };
	*place_of(line) = (uint32_t)active_count;
	return (uint32_t)active_count - 1;
}

/* The next window is likely to run what this one did. No task may have counts. */
static void keep_used(void)
{
	size_t count = active_count;

	active_count = 0;
	for (size_t i = 0; i < count; i++) {
		struct active_line line = active[i];

		*place_of(line.number) = 0;
		if (line.used)
			activate(line.number);
	}
}

static uint64_t *counts_of(struct task *task, size_t position)
{
	if (position >= task->lines) {
		size_t lines = active_capacity;

		task->counts = must(realloc(task->counts, lines * LINE * sizeof(uint64_t)));
		memset(task->counts + task->lines * LINE, 0, (lines - task->lines) * LINE * sizeof(uint64_t));
		task->lines = lines;
	}
	return task->counts + position * LINE;
}

/* A CPU's counters, and of these the slab that was looked at last. */
struct view {
	unsigned int cpu;
	uint32_t slab;
	const uint64_t *now;
	uint64_t *seen;
	const uint16_t *insns;
};

static struct view view_of(unsigned int cpu)
{
	return (struct view){ .cpu = cpu, .slab = UINT32_MAX };
}

/* One line of a CPU's counters. */
struct line {
	const uint64_t *now;
	uint64_t *seen;
	const uint16_t *insns;
};

static struct line line_at(struct view *view, uint32_t number)
{
	uint32_t first = number % LINES_OF_SLAB * LINE;

	if (view->slab != number / LINES_OF_SLAB) {
		struct slab *slab = blocks_slab(number / LINES_OF_SLAB);

		view->slab = number / LINES_OF_SLAB;
		view->now = backend->counters(view->slab, view->cpu);
		view->seen = slab->seen[view->cpu];
		view->insns = slab->insns;
	}
	return (struct line){ view->now + first, view->seen + first, view->insns + first };
}

static bool has_grown(const struct line *line)
{
	uint64_t changes = 0;

	for (unsigned int i = 0; i < LINE; i++)
		changes |= __atomic_load_n(&line->now[i], __ATOMIC_RELAXED) ^ line->seen[i];
	return changes;
}

/* Returns the instructions. `counts` may be null. */
static uint64_t settle_line(const struct line *line, uint64_t *counts)
{
	uint64_t insns = 0;

	for (unsigned int i = 0; i < LINE; i++) {
		uint64_t now = __atomic_load_n(&line->now[i], __ATOMIC_RELAXED);
		uint64_t executions = now - line->seen[i];

		line->seen[i] = now;
		insns += executions * line->insns[i];
		if (counts)
			counts[i] += executions;
	}
	return insns;
}

static uint64_t settle_active(unsigned int cpu, struct task *task)
{
	struct view view = view_of(cpu);
	uint64_t insns = 0;

	for (size_t position = 0; position < active_count; position++) {
		struct line line = line_at(&view, active[position].number);

		if (has_grown(&line))
			insns += settle_line(&line, counts_of(task, position));
	}
	return insns;
}

/* A null task: nobody wants to know. */
static uint64_t settle_all(unsigned int cpu, struct task *task)
{
	struct view view = view_of(cpu);
	uint32_t lines = blocks_lines();
	uint64_t insns = 0;

	for (uint32_t number = 0; number < lines; number++) {
		struct line line = line_at(&view, number);
		uint32_t position;

		if (!has_grown(&line))
			continue;
		if (!task) {
			insns += settle_line(&line, NULL);
			continue;
		}
		position = *place_of(number);
		position = position ? position - 1 : activate(number);
		insns += settle_line(&line, counts_of(task, position));
	}
	return insns;
}

static uint64_t unsettled(unsigned int cpu)
{
	return __atomic_load_n(backend->total(cpu), __ATOMIC_RELAXED) - cpus[cpu].settled;
}

static void define(struct text *text, struct block *block)
{
	if (block->section == section)
		return;
	block->section = section;
	put(text, "b ");
	put_decimal(text, block->id);
	put(text, " ");
	put_bytes(text, block->definition, block->length);
	put(text, "\n");
}

static void put_count(struct text *definitions, struct text *counts, struct block *block, uint64_t executions)
{
	define(definitions, block);
	put(counts, " ");
	put_decimal(counts, block->id);
	put(counts, " ");
	put_decimal(counts, executions);
}

static void put_task(struct text *definitions, struct text *counts, const struct task *task)
{
	put(counts, "c ");
	put_hex(counts, task->address);
	for (size_t position = 0; position < active_count && position < task->lines; position++) {
		const uint64_t *line = task->counts + position * LINE;

		for (uint32_t i = 0; i < LINE; i++) {
			if (!line[i])
				continue;
			active[position].used = true;
			put_count(definitions, counts, blocks_at(active[position].number * LINE + i), line[i]);
		}
	}
	put(counts, "\n");
}

/* Write what the tasks did, and forget it. */
static void write_tasks(void)
{
	struct text definitions = { 0 }, counts = { 0 };

	for (size_t i = 0; i < task_count; i++) {
		put_task(&definitions, &counts, &tasks[i]);
		free(tasks[i].counts);
		tasks[i] = (struct task){ 0 };
	}
	task_count = 0;
	write_out(&definitions);
	write_out(&counts);
	free(definitions.bytes);
	free(counts.bytes);
}

static struct task *task_of(unsigned int cpu)
{
	for (size_t i = 0; i < task_count; i++)
		if (tasks[i].address == cpus[cpu].task)
			return &tasks[i];
	if (task_count == MOST_TASKS)
		write_tasks();
	tasks[task_count].address = cpus[cpu].task;
	return &tasks[task_count++];
}

/* Settle the CPU that the caller runs on. Afterwards nothing may be left. */
static void settle_own(unsigned int cpu)
{
	struct task *task = window.open ? task_of(cpu) : NULL;

	if (task)
		cpus[cpu].settled += settle_active(cpu, task);
	if (unsettled(cpu))
		cpus[cpu].settled += settle_all(cpu, task);
	if (unsettled(cpu)) {
		static const char lost[] = "lost\n";

		write_out(&(struct text){ .bytes = (char *)lost, .length = strlen(lost) });
		cpus[cpu].settled += unsettled(cpu);
	}
}

/*
 * Settle another CPU, which may be running: between its two additions for a block its total is not the sum
 * of its counters, which count here.
 */
static void settle_other(unsigned int cpu)
{
	cpus[cpu].settled += settle_all(cpu, window.open ? task_of(cpu) : NULL);
}

/* `own` is where the caller runs, or NO_CPU. */
static void settle_every(unsigned int own)
{
	for (unsigned int cpu = 0; cpu < cpu_count; cpu++) {
		if (!cpus[cpu].added)
			continue;
		if (cpu == own)
			settle_own(cpu);
		else
			settle_other(cpu);
	}
}

static uint64_t all_settled(void)
{
	uint64_t sum = 0;

	for (unsigned int cpu = 0; cpu < cpu_count; cpu++)
		sum += cpus[cpu].settled;
	return sum;
}

static void write_line(const char *word, const uint64_t *numbers, size_t count, const char *last)
{
	struct text text = { 0 };

	put(&text, word);
	for (size_t i = 0; i < count; i++) {
		put(&text, " ");
		put_decimal(&text, numbers[i]);
	}
	put(&text, last);
	put(&text, "\n");
	write_out(&text);
	free(text.bytes);
}

static void begin(unsigned int cpu, unsigned int kind, unsigned int number)
{
	struct text task = { 0 };

	window.open = true;
	window.total = all_settled();
	window.switches = 0;
	put(&task, " ");
	put_hex(&task, cpus[cpu].task);
	put_bytes(&task, "", 1);
	write_line("begin", (uint64_t[]){ window.ordinal, kind, number, cpu }, 4, task.bytes);
	free(task.bytes);
}

/* All CPUs are settled. */
static void finish(const char *cause)
{
	write_tasks();
	write_line("end", (uint64_t[]){ window.ordinal, all_settled() - window.total, window.switches }, 3, cause);
	window.open = false;
	window.ordinal++;
	keep_used();
}

static void begin_section(unsigned int number)
{
	section++;
	write_line("section", (uint64_t[]){ number }, 1, "");
}

void windows_add_cpu(unsigned int cpu)
{
	cpus[cpu].added = true;
}

void windows_mark(unsigned int cpu, unsigned int tag)
{
	unsigned int kind = tag >> 12, number = tag & 0xfff;

	settle_every(cpu);
	if (window.open)
		finish(kind == KMLBENCH_END ? " mark" : " next");
	if (kind == KMLBENCH_SECTION)
		begin_section(number);
	else if (kind != KMLBENCH_END)
		begin(cpu, kind, number);
}

void windows_switch(unsigned int cpu, uint64_t task)
{
	if (window.open) {
		settle_own(cpu);
		window.switches++;
	}
	cpus[cpu].task = task;
}

void windows_flush(void)
{
	settle_every(NO_CPU);
	if (window.open)
		write_tasks();
	active_count = 0;
	blocks_forget();
}

void windows_gap(void)
{
	if (window.open)
		finish(" sleep");
	for (unsigned int cpu = 0; cpu < cpu_count; cpu++)
		cpus[cpu].task = 0;
}

void windows_stop(void)
{
	if (window.open) {
		settle_every(NO_CPU);
		finish(" exit");
	}
	write_line("exit", NULL, 0, "");
}

static void write_head(void)
{
	struct text text = { 0 };

	put(&text, "kmlbench-windows 1\nqemu ");
	put_decimal(&text, (uint64_t)backend->version);
	put(&text, " ");
	put_decimal(&text, cpu_count);
	put(&text, "\ncostly");
	for (unsigned int class = 1; class < COSTLY_CLASSES; class++) {
		put(&text, " ");
		put(&text, costly_names[class]);
	}
	put(&text, "\nsection 0\n");
	write_out(&text);
	free(text.bytes);
}

bool windows_start(const struct backend *chosen, unsigned int count, const char *path)
{
	output = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_APPEND, 0666);
	if (output < 0) {
		fprintf(stderr, "kmlbench-windows: cannot write %s: %s\n", path, strerror(errno));
		return false;
	}
	backend = chosen;
	cpu_count = count;
	cpus = must(calloc(count, sizeof(*cpus)));
	backend->start();
	blocks_start(backend, count);
	write_head();
	return true;
}
