#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# gcc, as and ld of a prefix compile a program of two files, which then runs from that prefix: compile.sh PREFIX
prefix=$1
export PATH="$prefix/bin:/usr/bin"
work=$prefix/lib/compiled.$$
mkdir "$work" && cd "$work" || exit 1
trap 'cd /; rm -rf "$work"' EXIT

cat > part.c << 'END'
#include <math.h>
#include <stdio.h>
double part(int n) { double s = 0; for (int i = 1; i <= n; i++) s += 1.0 / ((double)i * i); return sqrt(6 * s); }
END
cat > main.c << 'END'
#include <stdio.h>
double part(int n);
int main(void) { printf("%.3f\n", part(100000)); return 0; }
END

number=0 status=0
check() {
    number=$((number + 1))
    name=$1
    shift
    if "$@"; then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        status=1
    fi
}
pi() { [ "$("$work/$1")" = 3.142 ]; }

# Debian's gcc starts the as and ld of /usr by their full names; those of the prefix have lines of their own.
echo "1..10"
check "cc1 is the prefix's" sh -c "case \$($prefix/bin/gcc -print-prog-name=cc1) in $prefix/*) ;; *) exit 1 ;; esac"
check "compile -O2" gcc -O2 -Wall -S part.c -o part.s
check "assemble" "$prefix/bin/as" part.s -o part.o
check "compile -O0 -g" gcc -O0 -g -c main.c -o main.o
check "link to one object" "$prefix/bin/ld" -r part.o main.o -o both.o
check "link" gcc both.o -lm -o linked
check "run" pi linked
check "pipe, all at once" gcc -pipe -O3 -march=x86-64-v2 part.c main.c -lm -o piped
check "run what was piped" pi piped
check "static" sh -c 'gcc -static part.c main.c -lm -o still && ./still | grep -q 3.142'
exit $status
