/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sleep: a plugin without a callback for translations costs nothing, so it has one only while somebody at
 * the other end of a socket wants to count. README.md has the words of that conversation.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include <stdbool.h>

#include "qemu_api.h"

/* Register what is called back, with translations or without. All translated code is gone, no CPU is running. */
typedef void changed(plugin_id id, bool counting);

/* Whether a plugin can be woken in this QEMU, in a guest of one CPU. */
bool control_possible(void);

/* Listen to a socket that QEMU inherited. False when `descriptor` is none. */
bool control_start(plugin_id id, int descriptor, changed *change);

/* The CPU is there. */
void control_add_cpu(void);

/* QEMU flushed its translation cache. */
void control_flushed(void);

#endif
