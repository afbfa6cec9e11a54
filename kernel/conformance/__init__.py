# SPDX-License-Identifier: GPL-2.0
"""Conformance: the kernel's own tests and programs people know, in user mode and in kernel mode."""
