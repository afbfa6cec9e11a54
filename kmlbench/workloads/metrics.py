# SPDX-License-Identifier: MIT
"""The metrics that more than one kind of workload has, and the sections of the report that show them."""

from __future__ import annotations

from kmlbench.model import Process
from kmlbench.workloads.base import Better, Metric, Section

EVERY_PROCESS = (Process.TOGETHER, *Process.TOGETHER.parts)

TICKS = (
    "CPU is the exact run time kept by the scheduler. User and System are split by timer ticks "
    "(CONFIG_VIRT_CPU_ACCOUNTING_GEN without nohz_full): an estimate, coarse for short runs, and "
    "missing if there was no tick."
)

THROUGHPUT = Section(
    identifier="throughput",
    title="Throughput",
    note="These figures include waiting; the kernels themselves can only change CPU.",
    rank=1,
)

CPU = Section(identifier="cpu", title="CPU by kind: user and system", note=TICKS, rank=3)

COUNTERS = Section(identifier="counters", title="Context switches and page faults", rank=4)


def _cpu(name: str, heading: str, *, figure: str = "", split: bool = False) -> Metric:
    """CPU as a whole, which is compared, or what the ticks split from it."""
    return Metric(
        name=name,
        unit="s",
        section=CPU,
        heading=heading,
        processes=EVERY_PROCESS,
        figure=figure,
        compared=not split,
        rounded=split,
    )


def _counter(name: str) -> Metric:
    parts = Process.TOGETHER.parts
    return Metric(name=name, unit="1", section=COUNTERS, heading=name.replace("_", " "), processes=parts)


INSTRUCTIONS = Section(
    identifier="instructions",
    title="Instructions of a round, counted",
    note="Every instruction between two marks, start-up and warm-up left out. A round is one unit of each "
    "kind of work: one event of a mix, one execution of each statement, one call of each kind. "
    "User and Kernel are the addresses that the instructions were at, which is exact for kernel-mode "
    "programs, too; what interrupts execute is the interrupted process's.",
    rank=2,
)

# The classes of costly instructions that the plugin counts, in its order.
COSTLY = (
    *("syscall", "sysret", "sysenter", "iret", "swapgs", "int", "far_branch", "wrmsr", "rdmsr"),
    *("mov_to_cr0", "mov_to_cr3", "mov_to_cr4", "mov_to_cr_other", "mov_from_cr", "mov_dr", "clts"),
    *("invlpg", "invpcid", "verw", "descriptor_table", "mov_to_segment", "rdfsgsbase", "wrfsgsbase"),
    *("stac", "clac", "rdpkru", "wrpkru", "xgetbv", "xsetbv", "lfence", "mfence", "sfence", "cpuid"),
    *("pause", "hlt", "monitor_mwait", "vmcall", "rdtsc", "rdtscp", "rdpmc", "rdrand", "rdseed", "lock"),
    *("cli", "sti", "pushf", "popf", "in", "out", "wbinvd", "clflush", "fxsave", "fxrstor", "xsave"),
    *("xrstor", "ldmxcsr", "rep_string", "div", "call_indirect", "jmp_indirect"),
)


def _counted(name: str, heading: str, *, figure: str = "") -> Metric:
    return Metric(
        name=name,
        unit="instructions",
        section=INSTRUCTIONS,
        heading=heading,
        processes=EVERY_PROCESS,
        figure=figure,
        compared=True,
    )


# What kmlbench.results.recording reads where the instrument recorded the guest.
RECORDED = (
    _counted("instructions", "all", figure="instructions of a round"),
    _counted("instructions_user", "User"),
    _counted("instructions_kernel", "Kernel"),
    Metric(
        name="instructions_other",
        unit="instructions",
        processes=(Process.TOGETHER,),
        better=Better.NEITHER,
    ),
    *(
        Metric(name=f"census_{name}", unit="1", processes=EVERY_PROCESS, better=Better.NEITHER)
        for name in COSTLY
    ),
)

# What kmlbench.workloads.probe adds to every measured step, and what clients of a server count.
COMMON = (
    _cpu("cpu_total", "CPU", figure="CPU"),
    _cpu("cpu_user", "User", split=True),
    _cpu("cpu_system", "System", split=True),
    Metric(
        name="throughput",
        unit="1/s",
        section=THROUGHPUT,
        heading="throughput",
        rows="seen by the client",
        better=Better.MORE,
        figure="throughput",
        compared=True,
    ),
    Metric(
        name="wall",
        unit="s",
        section=THROUGHPUT,
        heading="wall",
        rows="seen by the client",
        processes=(Process.TOGETHER,),
    ),
    *map(_counter, ("voluntary_switches", "involuntary_switches", "minor_faults", "major_faults")),
    *(
        Metric(name=name, unit="1", processes=Process.TOGETHER.parts, better=Better.NEITHER)
        for name in ("syscalls_direct", "syscalls_trap")
    ),
    *(Metric(name=name, unit="1", better=Better.NEITHER) for name in ("transactions", "queries")),
)
