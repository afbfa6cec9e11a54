# SPDX-License-Identifier: GPL-2.0
"""What a test said: its result, and those of its sub-tests, in the dialects that tests speak. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from xml.etree import ElementTree

SKIPPED = 4  # the kernel's KSFT_SKIP
STRESS_SKIPPED = (3, 4)  # stress-ng: no resources, not implemented
TIMED_OUT = (124, 137)
TAP = re.compile(r"^(?:# *)?(not )?ok +\d+ *(?:- *)?(.*?)(?: *# *(SKIP|XFAIL|TODO)\b.*)?$", re.IGNORECASE)
BRACKETS = re.compile(r"^\s*\[(OK|FAIL|SKIP|PASS)\]\s*(.*)$")
# Tests that only print what they see, and exit with 0 whatever it is: prctl/disable-tsc-*.
SIGNAL = re.compile(r"\[ (SIG_\w+) \]$")
FATAL = re.compile(r"^FATAL ERROR\b,? *(.*)$")
SHIFTING = re.compile(r"0x[0-9a-fA-F]+|\b[0-9a-f]{8,16}\b|(?<![A-Za-z_])\d+(?:\.\d+)?")


class Result(StrEnum):
    """How a test, or a part of one, ended. HANG: the machine did not answer any more."""

    PASS = "pass"
    SKIP = "skip"
    FAIL = "fail"
    TIMEOUT = "timeout"
    HANG = "hang"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A sub-test. The name has no numbers of its own, so that it is the same in every run."""

    name: str
    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a test ended in a cell. `kernel_log` holds the complaints of the kernel during the test."""

    result: Result
    status: int | None
    parts: tuple[Part, ...]
    elapsed_s: float
    output: str
    kernel_log: tuple[str, ...] = ()
    attempts: int = 1


def read(suite: str, status: int, output: str) -> tuple[Result, tuple[Part, ...]]:
    """The result of a test with this exit status and output, and the results of its parts."""
    parts = tuple(_distinct(_parts(suite, output)))
    return _result(suite, status, parts), parts


def _result(suite: str, status: int, parts: tuple[Part, ...]) -> Result:
    if status in TIMED_OUT:
        return Result.TIMEOUT
    if status == SKIPPED or (suite == "stress" and status in STRESS_SKIPPED):
        return Result.SKIP
    # A few of the kernel's tests exit with 0 after a failure.
    if status or any(part.result is Result.FAIL for part in parts):
        return Result.FAIL
    if parts and all(part.result is Result.SKIP for part in parts):
        return Result.SKIP
    return Result.PASS


def _parts(suite: str, output: str) -> Iterator[Part]:
    if suite == "python":
        yield from _from_junit(output)
        return
    for line in output.splitlines():
        if found := TAP.match(line):
            yield Part(name=steady(found[2]), result=_tap(found[1], found[3]))
        elif found := BRACKETS.match(line):
            result = {"OK": Result.PASS, "PASS": Result.PASS, "FAIL": Result.FAIL, "SKIP": Result.SKIP}[
                found[1]
            ]
            yield Part(name=steady(found[2]), result=result)
        elif found := SIGNAL.search(line):
            yield Part(name=found[1], result=Result.PASS)
        elif found := FATAL.match(line):
            yield Part(name=steady(found[1]), result=Result.FAIL)


def _tap(negation: str | None, directive: str | None) -> Result:
    if directive and directive.upper() == "SKIP":
        return Result.SKIP
    # What is expected to fail and does is no failure.
    return Result.FAIL if negation and not directive else Result.PASS


def _from_junit(output: str) -> Iterator[Part]:
    start, end = output.find("<testsuites"), output.rfind("</testsuites>")
    if start < 0 or end < 0:
        return
    text = re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd]", "?", output[start:end]) + "</testsuites>"
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return
    for case in root.iter("testcase"):
        name = case.get("name", "")
        if any(child.tag in {"failure", "error"} for child in case):
            yield Part(name=steady(name), result=Result.FAIL)
        elif case.find("skipped") is not None or case.get("status") == "notrun":
            yield Part(name=steady(name), result=Result.SKIP)
        else:
            yield Part(name=steady(name), result=Result.PASS)


def steady(name: str) -> str:
    """A name without what changes from run to run."""
    return " ".join(SHIFTING.sub("N", name).split())


def _distinct(parts: Iterator[Part]) -> Iterator[Part]:
    """Number the parts that share a name."""
    seen: dict[str, int] = {}
    for part in parts:
        seen[part.name] = seen.get(part.name, 0) + 1
        count = seen[part.name]
        yield part if count == 1 else Part(name=f"{part.name} ({count})", result=part.result)
