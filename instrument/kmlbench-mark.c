// SPDX-License-Identifier: MIT
/* A mark from a shell: kmlbench-mark KIND NUMBER. Exit 2 on bad usage. */
#include <stdio.h>
#include <stdlib.h>

#include "mark.h"

/* A number in decimal, or a value that no mark has. */
static unsigned int argument(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	return *text == '\0' || *end != '\0' || value > 255 ? 256 : (unsigned int)value;
}

int main(int argc, char **argv)
{
	if (argc == 3 && kmlbench_mark(argument(argv[1]), argument(argv[2])) == 0)
		return 0;
	fprintf(stderr, "usage: %s KIND NUMBER (0 to 15, 0 to 255)\n", argv[0]);
	return 2;
}
