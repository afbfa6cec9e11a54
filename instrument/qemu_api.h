/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this plugin needs of QEMU's plugin interface, versions 1 (QEMU 7.2) and 4 (QEMU 10), declared here
 * because Debian ships no header. Functions that only one of the versions has are weak: absent ones are null.
 */
#ifndef QEMU_API_H
#define QEMU_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPORTED __attribute__((visibility("default")))
#define IF_PRESENT __attribute__((weak))

enum { NO_REGISTERS = 0 };
/* QEMU 7.2 does not call back for loads when asked for reads (1) only. */
enum { READS_AND_WRITES = 3 };
enum { ADD_U64 = 0 };

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_scoreboard;

typedef uint64_t plugin_id;

struct qemu_info {
	const char *target_name;
	struct {
		int min, cur;
	} version;
	bool system_emulation;
	struct {
		int smp_vcpus, max_vcpus;
	} system;
};

/* A 64-bit number at `offset` in each CPU's element of a scoreboard. */
struct qemu_u64 {
	struct qemu_plugin_scoreboard *score;
	size_t offset;
};

typedef void translated(plugin_id id, struct qemu_plugin_tb *tb);
typedef void started(plugin_id id, unsigned int cpu);
typedef void flushed(plugin_id id);
typedef void at_exit(plugin_id id, void *data);
typedef void executed(unsigned int cpu, void *data);
typedef void accessed(unsigned int cpu, uint32_t info, uint64_t address, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, translated *callback);
void qemu_plugin_register_vcpu_init_cb(plugin_id id, started *callback);
void qemu_plugin_register_flush_cb(plugin_id id, flushed *callback);
void qemu_plugin_register_atexit_cb(plugin_id id, at_exit *callback, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, executed *callback, int flags,
					    void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, accessed *callback, int flags, int access,
				      void *data);
void qemu_plugin_reset(plugin_id id, flushed *callback);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

/*
 * QEMU's own functions, no part of the interface and the same in 7.2 and 10. Where QEMU can load modules, as in
 * Debian, it exports them.
 */
union run_on_cpu_data {
	void *pointer;
	uint64_t number;
};
void *qemu_get_cpu(int index) IF_PRESENT;
void async_run_on_cpu(void *cpu, void (*function)(void *cpu, union run_on_cpu_data data),
		      union run_on_cpu_data data) IF_PRESENT;

/* Version 1 only. */
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *cell, uint64_t number)
	IF_PRESENT;

/* Version 2 and later. */
void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(struct qemu_plugin_tb *tb, int op, struct qemu_u64 cell,
						       uint64_t number) IF_PRESENT;
struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t element_size) IF_PRESENT;
void *qemu_plugin_scoreboard_find(struct qemu_plugin_scoreboard *score, unsigned int cpu) IF_PRESENT;

/* Version 4 and later; used only to tell the versions apart. */
bool qemu_plugin_read_memory_vaddr(uint64_t address, void *array, size_t length) IF_PRESENT;

/* One name, two types: until version 2 it returned the bytes, since version 3 it copies them. */
const void *insn_data_returned(const struct qemu_plugin_insn *insn) __asm__("qemu_plugin_insn_data");
size_t insn_data_copied(const struct qemu_plugin_insn *insn, void *to, size_t length)
	__asm__("qemu_plugin_insn_data");

#endif
