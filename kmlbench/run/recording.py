# SPDX-License-Identifier: MIT
"""What the instrument recorded about a boot, kept where the trials can be read on another machine."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kmlbench import process
from kmlbench.errors import HostError, TrialError
from kmlbench.hosts.base import Recording, require_success
from kmlbench.hosts.counting import counted
from kmlbench.instrument.recording import FormatError
from kmlbench.instrument.symbols import elf_symbols, functions_text
from kmlbench.model import Host, Kernel
from kmlbench.results import writer
from kmlbench.results.reader import GUEST, RAW, WINDOWS
from kmlbench.results.recording import GuestRecord, function_file, mapped_files
from kmlbench.results.writer import CampaignDirectory

TIMEOUT_S = 60.0

DUMP_TIMEOUT_S = 300.0

HUGE_PAGES = "/sys/kernel/mm/transparent_hugepage"

_ASK = f"""
grep -m1 ' _text$' /proc/kallsyms
cat {HUGE_PAGES}/enabled {HUGE_PAGES}/khugepaged/scan_sleep_millisecs
"""

# Its first three lines say how to read the rest, which begins anew with each section.
_HEAD_LINES = 3

_SECTION = b"\nsection "


@dataclass(frozen=True, slots=True, kw_only=True)
class BootRecording:
    """The recording of a running guest. `text` is the address of the kernel's first byte, in hexadecimal."""

    recording: Recording
    text: str
    functions: str

    def length(self) -> int:
        """How many bytes there are so far."""
        return self.recording.windows.stat().st_size

    def counted(self) -> AbstractContextManager[None]:
        """The guest's instructions are counted within the block, or always. Raises HostError."""
        control = self.recording.control
        return nullcontext() if control is None else counted(control)

    def keep(self, raw: Path, *, since: int) -> None:
        """Store the section that began after `since`, with what names its addresses, in a trial's directory.

        Raises TrialError where there is none.
        """
        with self.recording.windows.open("rb") as stream:
            head = b"".join(stream.readline() for _ in range(_HEAD_LINES))
            stream.seek(since - 1)
            recorded = stream.read()
        start = recorded.rfind(_SECTION)
        if start < 0:
            raise TrialError("the instrument saw no mark of the measured step", stage="measure")
        writer.write_bytes(raw / WINDOWS, gzip.compress(head + recorded[start + 1 :], 6, mtime=0))
        record = GuestRecord(text=self.text, functions=self.functions)
        writer.write_bytes(raw / GUEST, msgspec.json.encode(record) + b"\n")
        for path in mapped_files(raw):
            _keep_functions(self.recording.root, path, raw.parent / function_file(path))


def begin(
    host: Host, kernel: Kernel, recording: Recording, directory: CampaignDirectory
) -> tuple[BootRecording, Mapping[str, str]]:
    """Keep the kernel's symbols, and ask a guest for what only it knows; that, and its facts.

    Raises HostError.
    """
    functions = f"kernel-{kernel}.gz"
    _keep_symbols(recording.system_map, directory.path / RAW / functions)
    answer = require_success(
        host, host.run(("sh", "-c", _ASK), timeout_s=TIMEOUT_S), "reading the kernel's address"
    )
    lines = answer.stdout.splitlines()
    if len(lines) != 3:
        raise HostError(f"{host.name}: the kernel's address is not in {answer.stdout[:200]!r}")
    text, pages, sleep_ms = lines
    facts = {"huge_pages": f"{pages}; khugepaged sleeps {sleep_ms} ms"}
    return BootRecording(recording=recording, text=text.split()[0], functions=functions), facts


def _keep_symbols(system_map: Path, kept: Path) -> None:
    """The functions of a kernel, which all its boots share."""
    if kept.exists():
        return
    lines = system_map.read_text().splitlines(keepends=True)
    functions = "".join(line for line in lines if _names_code(line))
    writer.write_bytes(kept, gzip.compress(functions.encode(), mtime=0))


def _keep_functions(image: Path, path: str, kept: Path) -> None:
    """The functions of a guest's file, out of the image that it was booted from; nothing of another file."""
    if kept.exists() or '"' in path:
        return
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / "file"
        process.run(("debugfs", "-R", f'dump "{path}" "{copy}"', str(image)), timeout_s=DUMP_TIMEOUT_S)
        # debugfs does not say by its status whether there was such a file.
        if not copy.exists() or not copy.stat().st_size:
            return
        with suppress(FormatError):
            text = functions_text(elf_symbols(copy.read_bytes(), name=path))
            writer.write_bytes(kept, gzip.compress(text.encode(errors="surrogateescape"), mtime=0))


def _names_code(line: str) -> bool:
    _, kind, name = line.split()
    return kind in "TtWw" or name == "_end"
