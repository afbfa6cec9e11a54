# SPDX-License-Identifier: GPL-2.0
"""Job control of an interactive bash on a terminal: jobs.py BASH SLEEP CAT. Prints TAP."""

from __future__ import annotations

import os
import pty
import re
import select
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PROMPT = b"@ready@ "
DEADLINE_S = 60.0
INTERRUPT, SUSPEND, END = b"\x03", b"\x1a", b"\x04"


class Shell:
    """An interactive bash, and what it has said since the last order."""

    def __init__(self, bash: str) -> None:
        self.child, self.terminal = pty.fork()
        if self.child == 0:
            os.execve(bash, [bash, "--norc", "--noprofile", "-i"], {"PS1": PROMPT.decode(), "TERM": "dumb"})
        self.wait_for(PROMPT)
        self.order("stty -echo; bind 'set enable-bracketed-paste off'")

    def wait_for(self, marker: bytes) -> bytes:
        said = b""
        deadline = time.monotonic() + DEADLINE_S
        while marker not in said:
            if not select.select([self.terminal], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError(f"no {marker!r} in {said!r}")
            said += os.read(self.terminal, 65536)
        return said

    def send(self, data: bytes) -> None:
        os.write(self.terminal, data)

    def order(self, line: str) -> str:
        """What bash says until it is ready again."""
        self.send(line.encode() + b"\n")
        return self.wait_for(PROMPT).decode()

    def interrupt(self, line: str, key: bytes, process: str) -> str:
        """Start `line` in the foreground, wait for its process, and press a key."""
        self.send(line.encode() + b"\n")
        self.wait_for_child(process)
        self.send(key)
        return self.wait_for(PROMPT).decode()

    def wait_for_child(self, name: str) -> None:
        """Until the terminal's foreground group is not the shell's and sleeps."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            group = os.tcgetpgrp(self.terminal)
            try:
                fields = Path(f"/proc/{group}/stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                fields = ""
            if group != self.child and f"({name}) S" in fields:
                return
            time.sleep(0.02)
        raise TimeoutError(f"{name} did not reach the foreground")


def expect(pattern: str, answer: str) -> None:
    if not re.search(pattern, answer):
        raise AssertionError(f"no {pattern!r} in {answer!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """What is asked of a shell, in order: each case finds the jobs that those before it left."""

    sleep: str
    cat: str

    def in_order(self) -> list[tuple[str, Callable[[Shell], None]]]:
        """The cases and their names."""
        cases = (
            *(
                self.background,
                self.stop_and_continue,
                self.suspend_foreground,
                self.foreground_and_interrupt,
            ),
            *(self.kill_and_wait, self.pipeline, self.reads_in_the_background, self.traps, self.ends),
        )
        return [(case.__name__.replace("_", " "), case) for case in cases]

    def background(self, shell: Shell) -> None:
        expect(r"\[1\] \d+", shell.order(f"{self.sleep} 300 & first=$!"))
        expect(r"\[1\]\+ +Running +.*sleep 300 &", shell.order("jobs"))

    def stop_and_continue(self, shell: Shell) -> None:
        expect("", shell.order("kill -STOP %1; sleep 0.2"))
        expect(r"\[1\]\+ +Stopped", shell.order("jobs"))
        expect(r"\[1\]\+ .*sleep 300", shell.order("bg %1"))
        expect(r"Running", shell.order("jobs"))

    def suspend_foreground(self, shell: Shell) -> None:
        expect(r"\[2\]\+ +Stopped", shell.interrupt(f"{self.sleep} 301", SUSPEND, "sleep"))
        expect(r"148", shell.order("echo $?"))
        expect(r"(?s)\[1\]- +Running.*\[2\]\+ +Stopped", shell.order("jobs"))

    def foreground_and_interrupt(self, shell: Shell) -> None:
        shell.interrupt("fg %2", INTERRUPT, "sleep")
        expect(r"130", shell.order("echo $?"))

    def kill_and_wait(self, shell: Shell) -> None:
        expect(r"status=143", shell.order("kill %1; wait $first; echo status=$?"))
        expect(r"^\s*none", shell.order("jobs; echo none"))

    def pipeline(self, shell: Shell) -> None:
        expect(r"Stopped", shell.interrupt(f"{self.sleep} 302 | {self.cat}", SUSPEND, "sleep"))
        expect(r"302 \| ", shell.order("jobs"))
        shell.interrupt("fg", INTERRUPT, "sleep")
        expect(r"130", shell.order("echo $?"))

    def reads_in_the_background(self, shell: Shell) -> None:
        answer = shell.order(f"{self.cat} & sleep 0.5; jobs")
        if "Stopped" not in answer:
            answer += shell.order("sleep 1; jobs")
        expect(r"Stopped", answer)
        shell.order("kill %%; kill -CONT %%; wait; jobs")

    def traps(self, shell: Shell) -> None:
        shell.order("trap 'echo trapped' USR1")
        expect("trapped", shell.order("kill -USR1 $$"))
        expect("trapped", shell.order(f"(sleep 0.5; kill -USR1 $$) & {self.sleep} 1.5; wait"))

    def ends(self, shell: Shell) -> None:
        shell.send(END)
        _, status = os.waitpid(shell.child, 0)
        if status:
            raise AssertionError(f"wait status {status:#x}")


def main() -> int:
    bash, sleep, cat = sys.argv[1:]
    shell = Shell(bash)
    todo = Cases(sleep=sleep, cat=cat).in_order()
    print(f"1..{len(todo)}")
    failed = False
    for number, (name, case) in enumerate(todo, 1):
        try:
            case(shell)
            print(f"ok {number} - {name}", flush=True)
        except (AssertionError, TimeoutError, OSError) as problem:
            failed = True
            print(f"not ok {number} - {name}\n# {problem}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
