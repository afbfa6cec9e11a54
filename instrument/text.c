// SPDX-License-Identifier: GPL-2.0-or-later
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char digits[] = "0123456789abcdef";

void *must(void *allocated)
{
	if (!allocated) {
		fputs("kmlbench-windows: out of memory\n", stderr);
		exit(1);
	}
	return allocated;
}

void put_bytes(struct text *text, const char *bytes, size_t length)
{
	if (text->length + length > text->capacity) {
		text->capacity = 2 * (text->length + length);
		text->bytes = must(realloc(text->bytes, text->capacity));
	}
	memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
}

void put(struct text *text, const char *string)
{
	put_bytes(text, string, strlen(string));
}

static void put_number(struct text *text, uint64_t value, unsigned int base)
{
	char buffer[20];
	size_t at = sizeof(buffer);

	do {
		buffer[--at] = digits[value % base];
		value /= base;
	} while (value);
	put_bytes(text, buffer + at, sizeof(buffer) - at);
}

void put_decimal(struct text *text, uint64_t value)
{
	put_number(text, value, 10);
}

void put_hex(struct text *text, uint64_t value)
{
	put_number(text, value, 16);
}

void put_byte_hex(struct text *text, uint8_t value)
{
	put_bytes(text, &digits[value >> 4], 1);
	put_bytes(text, &digits[value & 15], 1);
}
