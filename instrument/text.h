/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text that grows. When memory runs out QEMU is ended: a truncated measurement must not look whole. */
#ifndef TEXT_H
#define TEXT_H

#include <stddef.h>
#include <stdint.h>

struct text {
	char *bytes;
	size_t length, capacity;
};

void *must(void *allocated);
void put_bytes(struct text *text, const char *bytes, size_t length);
void put(struct text *text, const char *string);
void put_decimal(struct text *text, uint64_t value);
void put_hex(struct text *text, uint64_t value);
void put_byte_hex(struct text *text, uint8_t value);

#endif
