# SPDX-License-Identifier: MIT
"""The kernel's command line without the words that two machines cannot share and that change no result."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

# What a boot loader and an installer write for one machine: its kernel file, its disks and how they are
# opened, the network card that it booted from, its identity, the memory kept for a crash kernel (which
# MemTotal shows).
OWN = re.compile(
    r"""(?: BOOT_IMAGE | BOOTIF | initrd | root | rootflags | rootfstype | rootdelay | rootwait | resume\w*
    | rd\.[\w.-]+ | systemd\.machine_id | systemd\.hostname | crashkernel | cryptdevice | hostname
    )(?: = .*)?""",
    re.VERBOSE | re.DOTALL,
)

WORD = re.compile(r'(?:[^\s"]|"[^"]*"?)+')


def shared_words(line: str) -> str:
    """The words of /proc/cmdline that must be the same on all hosts of a campaign, in order."""
    return " ".join(word for word in WORD.findall(line) if not OWN.fullmatch(word))


def differing(lines: Mapping[str, str]) -> str:
    """How the command lines of two hosts, by name, differ in what they must share; empty if they do not."""
    (first, ours), (second, theirs) = ((name, shared_words(line)) for name, line in lines.items())
    here, there = (Counter(WORD.findall(line)) for line in (ours, theirs))
    parts = [
        f"{name} alone has {' '.join(words.elements())}"
        for name, words in ((first, here - there), (second, there - here))
        if words
    ]
    if not parts and ours != theirs:
        return f"{first} has {ours!r}, and {second} the same words in another order: {theirs!r}"
    return "; ".join(parts)
