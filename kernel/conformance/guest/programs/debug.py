# SPDX-License-Identifier: GPL-2.0
"""gdb and strace on a program, all three from one prefix: debug.py PREFIX. Prints TAP."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PREFIX = sys.argv[1]
PROGRAM = f"{PREFIX}/lib/kmlbench/programs/debuggee"
TIMEOUT_S = 240


def run(*argv: str) -> str:
    result = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    return result.stdout + result.stderr


def gdb(*orders: str, arguments: tuple[str, ...] = ()) -> str:
    argv = [f"{PREFIX}/bin/gdb", "-batch", "-nx", "-iex", "set debuginfod enabled off"]
    argv += ["-ex", "handle SIGUSR1 nostop noprint pass"]
    for order in orders:
        argv += ["-ex", order]
    return run(*argv, "--args", PROGRAM, *arguments)


def expect(said: str, *patterns: str) -> None:
    position = 0
    for pattern in patterns:
        found = re.compile(pattern).search(said, position)
        if found is None:
            raise AssertionError(f"no {pattern!r} after {position} in {said!r}")
        position = found.end()


def runs_alone() -> None:
    expect(run(PROGRAM), r"counter 14 child 6")


def breakpoints() -> None:
    said = gdb("break work", "run", "print value", "continue", "print value", "delete", "continue")
    expect(
        said,
        "Breakpoint 1, work",
        r"\$1 = 0",
        "Breakpoint 1, work",
        r"\$2 = 1",
        "counter 14 child 6",
        "exited normally",
    )


def single_steps() -> None:
    said = gdb("break work", "run", "delete", *["stepi"] * 60, "print $_siginfo.si_signo", "continue")
    expect(said, r"\$1 = 5", "counter 14 child 6", "exited normally")


def steps_and_frames() -> None:
    said = gdb(
        "break work",
        "run",
        "backtrace",
        "finish",
        "next",
        "info registers rip",
        "info registers eflags",
        "info registers cs",
        "info registers ss",
        "kill",
    )
    expect(
        said,
        r"#1 .* main",
        "Value returned is .* = 0",
        r"rip .* <main",
        r"eflags .* IF",
        r"cs +0x33",
        r"ss +0x2b",
    )


def writes_registers_and_memory() -> None:
    said = gdb(
        "break work", "run", "set var value = 500", "finish", "set var counter = 100", "delete", "continue"
    )
    expect(said, r"= 1000", "counter 113 child 6", "exited normally")


def calls_functions() -> None:
    said = gdb("break work", "run", "delete", "print (int)getpid() > 0", "print work(11)", "continue")
    expect(said, r"\$1 = 1", r"\$2 = 22", "counter 15 child 6", "exited normally")


def watchpoints() -> None:
    said = gdb("break main", "run", "watch watched", "continue", "continue")
    expect(said, "Hardware watchpoint 2: watched", "Old value = 0", "New value = 42", "exited normally")


def hardware_breakpoints() -> None:
    said = gdb("break main", "run", "hbreak work", "continue", "continue", "delete", "continue")
    expect(said, "Breakpoint 2, work", "Breakpoint 2, work", "exited normally")


def catches_system_calls() -> None:
    said = gdb("catch syscall getppid", "run", "continue", "continue", "delete", "continue")
    expect(
        said,
        r"call to syscall getppid",
        r"returned from syscall getppid",
        "call to syscall",
        "exited normally",
    )


def catches_signals() -> None:
    said = gdb("handle SIGUSR1 stop print pass", "run", "print $_siginfo.si_signo", "continue")
    expect(said, "received signal SIGUSR1", r"\$1 = 10", "counter 14 child 6")


def follows_forks_and_threads() -> None:
    said = gdb("set follow-fork-mode child", "set detach-on-fork on", "run")
    expect(said, r"New Thread|New LWP", r"exited with code 06")


def explains_faults() -> None:
    said = gdb("run", "print $_siginfo._sifields._sigfault.si_addr", "backtrace", arguments=("fault",))
    expect(said, "received signal SIGSEGV", r"0x10", "main")


def attaches() -> None:
    with subprocess.Popen([PROGRAM, "loop"]) as process:
        try:
            time.sleep(0.5)
            orders = ("info threads", "break work", "continue", "finish", "detach")
            argv = [f"{PREFIX}/bin/gdb", "-batch", "-nx", "-p", str(process.pid)]
            for order in orders:
                argv += ["-ex", order]
            expect(run(*argv), r"\* 1", "Breakpoint 1, work", "Value returned is", "Detaching|detached")
            time.sleep(0.3)
            if process.poll() is not None:
                raise AssertionError(f"ended with {process.returncode} after the detach")
        finally:
            process.send_signal(signal.SIGTERM)


def dumps_core() -> None:
    with tempfile.TemporaryDirectory() as directory:
        pattern = Path("/proc/sys/kernel/core_pattern")
        before = pattern.read_text()
        try:
            pattern.write_text(f"{directory}/core")
            subprocess.run(
                ["sh", "-c", f"ulimit -c unlimited; {PROGRAM} fault"], capture_output=True, check=False
            )
        finally:
            pattern.write_text(before)
        cores = sorted(Path(directory).glob("core*"))
        if not cores:
            raise AssertionError("no core")
        argv = (f"{PREFIX}/bin/gdb", "-batch", "-nx", "-ex", "backtrace", "-ex", "info registers cs", PROGRAM)
        expect(run(*argv, str(cores[0])), "SIGSEGV", "main", r"cs +0x33")


def strace_lists_calls() -> None:
    said = run(f"{PREFIX}/bin/strace", "-f", "-e", "trace=getppid,wait4,exit_group,clone3,clone", PROGRAM)
    expect(
        said,
        r"getppid\(\) += \d+",
        r"clone3?\(",
        r"exit_group\(6\)",
        r"\+\+\+ exited with 6",
        r"exited with 0",
    )
    if said.count("getppid(") != 5:
        raise AssertionError(f"{said.count('getppid(')} calls of getppid in {said!r}")


def strace_counts() -> None:
    said = run(f"{PREFIX}/bin/strace", "-f", "-c", PROGRAM)
    expect(said, "counter 14 child 6")
    expect(said, r"(?m)^ *[\d.]+ +[\d.]+ +\d+ +5 +getppid")


def strace_injects() -> None:
    said = run(f"{PREFIX}/bin/strace", "-e", "trace=wait4", "-e", "inject=wait4:error=ECHILD", PROGRAM)
    expect(said, r"wait4\(.*ECHILD.*INJECTED")


def strace_of_a_forking_shell() -> None:
    script = f"for i in 1 2 3; do {PREFIX}/bin/true; {PREFIX}/bin/cat /dev/null; done; echo over"
    said = run(f"{PREFIX}/bin/strace", "-f", "-e", "trace=execve", f"{PREFIX}/bin/bash", "-c", script)
    expect(said, "over")
    if said.count("execve(") != 7:
        raise AssertionError(said)


def strace_attaches() -> None:
    with subprocess.Popen([PROGRAM, "loop"]) as process:
        try:
            time.sleep(0.5)
            said = run("timeout", "-s", "INT", "3", f"{PREFIX}/bin/strace", "-p", str(process.pid))
            expect(said, "attached", r"getppid\(\)", r"clock_nanosleep\(", r"getppid\(\)", "detached")
            time.sleep(0.3)
            if process.poll() is not None:
                raise AssertionError(f"ended with {process.returncode} after the detach")
        finally:
            process.send_signal(signal.SIGTERM)


CASES: tuple[Callable[[], None], ...] = (
    runs_alone,
    breakpoints,
    single_steps,
    steps_and_frames,
    writes_registers_and_memory,
    calls_functions,
    watchpoints,
    hardware_breakpoints,
    catches_system_calls,
    catches_signals,
    follows_forks_and_threads,
    explains_faults,
    attaches,
    dumps_core,
    strace_lists_calls,
    strace_counts,
    strace_injects,
    strace_of_a_forking_shell,
    strace_attaches,
)


def main() -> int:
    print(f"1..{len(CASES)}")
    failed = False
    for number, case in enumerate(CASES, 1):
        name = case.__name__.replace("_", " ")
        try:
            case()
            print(f"ok {number} - {name}", flush=True)
        except (AssertionError, subprocess.TimeoutExpired, OSError) as problem:
            failed = True
            print(f"not ok {number} - {name}\n# {problem}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
