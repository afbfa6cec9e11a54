/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest of one kilobyte for test_plugin.py: 64-bit code at a "user" and a "kernel" address, windows whose
 * instructions can be counted by reading, and then the end (by isa-debug-exit), or a window without end.
 */
#define HIGH 0xffffffff80000000
#define PRESENT_WRITABLE 3
#define LARGE 0x80

/* The jump ends the block of the mark. */
.macro MARK kind, number
	prefetchnta 0x4d4b0000 + \kind * 4096 + \number
	jmp 99f
99:
.endm

/* 3 + 2 * (turns - 1) instructions. */
.macro LOOP turns
	mov $\turns, %ecx
98:	dec %ecx
	jnz 98b
.endm

/* As in __switch_to_asm: 2 instructions of the task that leaves, and a jump. */
.macro SWITCH task
	mov $\task + HIGH, %rsi
	mov 0x100(%rsi), %rsp
	jmp 97f
97:
.endm

	.text
	.balign 4
multiboot:
	.long 0x1badb002, 0, -0x1badb002

	.code32
	.globl _start
_start:
	mov %cr4, %eax
	or $0x20, %eax
	mov %eax, %cr4
	mov $pml4, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx
	rdmsr
	or $0x100, %eax
	wrmsr
	mov %cr0, %eax
	or $0x80000000, %eax
	mov %eax, %cr0
	lgdt gdt_pointer
	ljmp $8, $low

	.code64
low:
	mov $high + HIGH, %rax
	jmp *%rax

high:
	/* Window 0, of the unknown task: 2001 and the 2 of the ending mark. */
	MARK 1, 0
	LOOP 1000
	MARK 0, 0

	/* Before window 1 somebody else ran. */
	SWITCH task_b
	/*
	 * Window 1: b has 3 instructions to switch; a has 201 + 3; b then 21, 4 to be at a user address, 201
	 * there and 2 to return, 11 costly ones with a jump, and 2 to begin window 2.
	 */
	MARK 2, 7
	SWITCH task_a
	LOOP 100
	SWITCH task_b
	LOOP 10
	mov $2f, %rax
	jmp *%rax
2:	LOOP 100
	mov $3f + HIGH, %rax
	jmp *%rax
3:	lfence
	lfence
	pause
	rdtsc
	mov $0xc0000102, %ecx
	rdmsr
	mov %cr3, %rax
	lock incl counter
	swapgs
	swapgs
	jmp 4f
4:
	/* Window 2, begun by the end of window 1: 3 and the 2 of the section's mark. */
	MARK 3, 255
	LOOP 1
	MARK 15, 5

	/* Window 3, in another section: the 2 of its ending mark. */
	MARK 2, 4095
	MARK 0, 0

	/* How many instructions there were, where the clock counts them: four bytes for the port of messages. */
	rdtsc
	mov $4, %ecx
6:	out %al, $0xe9
	shr $8, %eax
	dec %ecx
	jnz 6b

	mov $0, %al
	out %al, $0xf4

	/* Without a device at that port the guest goes on, and begins again for each r at the serial port. */
	MARK 2, 1
5:	mov $0x3fd, %dx
	in %dx, %al
	test $1, %al
	jz 5b
	mov $0x3f8, %dx
	in %dx, %al
	cmp $'r', %al
	jne 5b
	jmp high

	.data
	.balign 4096
pml4:
	.quad pdpt_low + PRESENT_WRITABLE
	.fill 510, 8, 0
	.quad pdpt_high + PRESENT_WRITABLE
pdpt_low:
	.quad pd + PRESENT_WRITABLE
	.fill 511, 8, 0
pdpt_high:
	.fill 510, 8, 0
	.quad pd + PRESENT_WRITABLE, 0
pd:
	.quad LARGE + PRESENT_WRITABLE
	.fill 511, 8, 0
gdt:
	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
	.word . - gdt - 1
	.long gdt
	.balign 8
counter:
	.quad 0
	.balign 16
task_a:
	.fill 32, 8, 0
	.quad stack_a + HIGH
task_b:
	.fill 32, 8, 0
	.quad stack_b + HIGH
	.fill 64, 8, 0
stack_a:
	.fill 64, 8, 0
stack_b:
	.section .note.GNU-stack, "", @progbits
