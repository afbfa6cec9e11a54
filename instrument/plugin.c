// SPDX-License-Identifier: GPL-2.0-or-later
/* What QEMU calls: the choice of a back end, the arguments, and what to do at each translation. */
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend.h"
#include "blocks.h"
#include "control.h"
#include "decode.h"
#include "text.h"
#include "windows.h"

#define HIGHER_HALF (UINT64_C(1) << 63)

static const struct backend *backend;
static bool with_code;
/* CPUs of a multi-threaded QEMU translate and execute at the same time. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* QEMU reads this after loading the file, so a constructor can still choose. */
EXPORTED int qemu_plugin_version = 1;

__attribute__((constructor)) static void choose(void)
{
	if (qemu_plugin_register_vcpu_tb_exec_inline)
		backend = &backend_cells;
	else if (qemu_plugin_scoreboard_new && qemu_plugin_read_memory_vaddr)
		backend = &backend_scoreboards;
	/* Versions 2 and 3 get as far as the message in qemu_plugin_install. */
	qemu_plugin_version = backend ? backend->version : 2;
}

/*
 * QEMU 10 takes a round-robin of CPUs for a single one: it puts the index of the CPU that translates into
 * translated code, and multiplies that constant in place, so that every other use of the number is wrong
 * too, and the guest crashes. Its CPUs are told by their common thread.
 */
static void refuse_round_robin(unsigned int cpu)
{
	static pthread_t first_thread;
	static unsigned int first_cpu;
	static bool started;

	if (started && cpu != first_cpu && pthread_equal(first_thread, pthread_self())) {
		fputs("kmlbench-windows: QEMU cannot run plugins with several CPUs in one thread; give the guest one "
		      "CPU, or use -accel tcg,thread=multi without -icount\n", stderr);
		_exit(1);
	}
	if (!started) {
		first_thread = pthread_self();
		first_cpu = cpu;
		started = true;
	}
}

static void on_start_of_cpu(plugin_id id, unsigned int cpu)
{
	(void)id;
	pthread_mutex_lock(&lock);
	if (backend->many_cpus)
		refuse_round_robin(cpu);
	windows_add_cpu(cpu);
	pthread_mutex_unlock(&lock);
	control_add_cpu();
}

static void on_mark(unsigned int cpu, void *tag)
{
	pthread_mutex_lock(&lock);
	windows_mark(cpu, (unsigned int)(uintptr_t)tag);
	pthread_mutex_unlock(&lock);
}

static void on_stack_switch(unsigned int cpu, uint32_t info, uint64_t address, void *offset)
{
	(void)info;
	pthread_mutex_lock(&lock);
	windows_switch(cpu, address - (uint64_t)(uintptr_t)offset);
	pthread_mutex_unlock(&lock);
}

static void on_flush(plugin_id id)
{
	(void)id;
	pthread_mutex_lock(&lock);
	windows_flush();
	pthread_mutex_unlock(&lock);
	control_flushed();
}

static void on_exit_of_qemu(plugin_id id, void *data)
{
	(void)id;
	(void)data;
	pthread_mutex_lock(&lock);
	windows_stop();
	pthread_mutex_unlock(&lock);
}

/* Costly instructions of a block, by class. */
struct census {
	unsigned int counts[COSTLY_CLASSES];
};

static void look_at(struct qemu_plugin_insn *insn, const uint8_t *code, size_t size, bool kernel)
{
	unsigned int tag;
	uint32_t offset;

	if (is_mark(code, size, &tag))
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, NO_REGISTERS, (void *)(uintptr_t)tag);
	else if (kernel && is_stack_switch(code, size, &offset))
		qemu_plugin_register_vcpu_mem_cb(insn, on_stack_switch, NO_REGISTERS, READS_AND_WRITES,
						 (void *)(uintptr_t)offset);
}

static void put_census(struct text *text, const struct census *census)
{
	const char *before = " ";

	for (unsigned int class = 1; class < COSTLY_CLASSES; class++) {
		if (!census->counts[class])
			continue;
		put(text, before);
		put_decimal(text, class);
		put(text, ":");
		put_decimal(text, census->counts[class]);
		before = ",";
	}
	if (*before == ' ')
		put(text, " -");
}

/* Make the definition of a block, ADDRESS LENGTHS CENSUS [CODE], and ask to hear of its marks and switches. */
static void describe(struct text *text, struct qemu_plugin_tb *tb, size_t insns)
{
	uint64_t address = qemu_plugin_tb_vaddr(tb);
	struct census census = { 0 };
	struct text bytes = { 0 };

	put_hex(text, address);
	put(text, " ");
	for (size_t i = 0; i < insns; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint8_t code[LONGEST_INSN];
		size_t size = backend->code(insn, code);

		put_hex(text, size);
		census.counts[classify(code, size)]++;
		look_at(insn, code, size, address & HIGHER_HALF);
		for (size_t at = 0; with_code && at < size; at++)
			put_byte_hex(&bytes, code[at]);
	}
	put_census(text, &census);
	if (with_code)
		put(text, " ");
	put_bytes(text, bytes.bytes ? bytes.bytes : "", bytes.length);
	free(bytes.bytes);
}

static void on_translation(plugin_id id, struct qemu_plugin_tb *tb)
{
	size_t insns = qemu_plugin_tb_n_insns(tb);
	static struct text definition;
	uint32_t slot;

	(void)id;
	pthread_mutex_lock(&lock);
	definition.length = 0;
	describe(&definition, tb, insns);
	slot = blocks_slot(definition.bytes, definition.length, (unsigned int)insns);
	backend->count(tb, slot / COUNTERS, slot % COUNTERS, insns);
	pthread_mutex_unlock(&lock);
}

static void register_callbacks(plugin_id id, bool counting)
{
	qemu_plugin_register_vcpu_init_cb(id, on_start_of_cpu);
	if (counting)
		qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	qemu_plugin_register_flush_cb(id, on_flush);
	qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
}

static void on_change(plugin_id id, bool counting)
{
	pthread_mutex_lock(&lock);
	windows_gap();
	pthread_mutex_unlock(&lock);
	register_callbacks(id, counting);
}

struct arguments {
	const char *output;
	int control;
	bool code, probe;
};

static bool parse_switch(const char *value, bool *to)
{
	*to = strcmp(value, "on") == 0;
	return *to || strcmp(value, "off") == 0;
}

static bool parse_number(const char *value, int *to)
{
	char *end;
	long number = strtol(value, &end, 10);

	*to = (int)number;
	return *value && !*end && number >= 0 && number <= INT_MAX;
}

static bool parse(struct arguments *arguments, const char *argument)
{
	if (strncmp(argument, "output=", 7) == 0) {
		arguments->output = argument + 7;
		return *arguments->output;
	}
	if (strncmp(argument, "control=", 8) == 0)
		return parse_number(argument + 8, &arguments->control);
	if (strncmp(argument, "code=", 5) == 0)
		return parse_switch(argument + 5, &arguments->code);
	if (strncmp(argument, "probe=", 6) == 0)
		return parse_switch(argument + 6, &arguments->probe);
	return false;
}

/* Why this QEMU or guest will not do, or null. */
static const char *objection(const struct qemu_info *info)
{
	if (!backend)
		return "this QEMU's plugin interface is version 2 or 3; the versions that will do are 1 (QEMU 7.2 to "
		       "8.2) and 4 (QEMU 9.2 and later)";
	if (strcmp(info->target_name, "x86_64") != 0 || !info->system_emulation)
		return "only qemu-system-x86_64 will do";
	if (info->system.max_vcpus > 1 && !backend->many_cpus)
		return "this QEMU's plugin interface cannot tell CPUs apart; give the guest one CPU, or use QEMU 9.2 "
		       "or later";
	return NULL;
}

static bool can_sleep(const struct qemu_info *info)
{
	return info->system.max_vcpus == 1 && control_possible();
}

static void answer_probe(const struct qemu_info *info)
{
	printf("{\"plugin\": \"kmlbench-windows\", \"format\": 1, \"api\": %d, \"backend\": \"%s\", \"cpus\": %d, "
	       "\"control\": %s}\n",
	       qemu_plugin_version, backend->name, info->system.max_vcpus, can_sleep(info) ? "true" : "false");
	fflush(stdout);
	_exit(0);
}

static int refuse(const char *message)
{
	fprintf(stderr, "kmlbench-windows: %s\n", message);
	return -1;
}

EXPORTED int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc, char **argv)
{
	struct arguments arguments = { .control = -1 };
	const char *objected = objection(info);

	if (objected)
		return refuse(objected);
	for (int i = 0; i < argc; i++)
		if (!parse(&arguments, argv[i]))
			return refuse("the arguments are output=FILE, control=NUMBER, code=on|off and probe=on|off");
	if (arguments.probe)
		answer_probe(info);
	if (!arguments.output)
		return refuse("output=FILE is missing");
	if (arguments.control >= 0 && !can_sleep(info))
		return refuse("control= needs a guest of one CPU, and a QEMU that exports its own functions, as those "
			      "do that can load modules");
	with_code = arguments.code;
	if (!windows_start(backend, (unsigned int)info->system.max_vcpus, arguments.output))
		return -1;
	if (arguments.control >= 0 && !control_start(id, arguments.control, on_change))
		return refuse("control= is no descriptor of a socket that keeps messages apart (SOCK_SEQPACKET)");
	register_callbacks(id, arguments.control < 0);
	return 0;
}
