# SPDX-License-Identifier: MIT
"""`kmlbench windows`: what the instrument recorded in one file, window by window."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from kmlbench.errors import InputError
from kmlbench.instrument.maps import parse_maps
from kmlbench.instrument.naming import Guest, Naming
from kmlbench.instrument.profile import Row, census, profile
from kmlbench.instrument.reader import read_file
from kmlbench.instrument.recording import FormatError, Recording, Window
from kmlbench.instrument.symbols import kernel_symbols, symbols_below
from kmlbench.progress import Progress

KINDS = {1: "warm-up", 2: "measured", 3: "statement"}


def _title(window: Window) -> str:
    kind = KINDS.get(window.kind, f"kind {window.kind}")
    note = "" if window.complete else " (INCOMPLETE)"
    return f"section {window.section}, window {window.ordinal}: {kind} {window.number}{note}"


def _print_window(window: Window, rows: Sequence[Row], options: argparse.Namespace) -> None:
    units = options.units
    print(f"{_title(window)}: {window.total / units:,.3f} instructions, {window.switches} switches")
    sums: Counter[tuple[str, str]] = Counter()
    for row in rows:
        sums[row.process, row.side] += row.instructions
    for (process, side), instructions in sorted(sums.items()):
        print(f"  {process:12} {side:6} {instructions / units:16,.3f}")
    for row in sorted(rows, key=lambda row: -row.instructions)[: options.functions]:
        print(f"    {row.instructions / units:14,.3f}  {row.process}/{row.side} {row.object}:{row.function}")


def _print_census(counts: Mapping[tuple[str, str, str], int], units: float) -> None:
    for (process, side, name), count in sorted(counts.items()):
        print(f"    {count / units:14,.3f}  {process}/{side} {name}")


def _guest(options: argparse.Namespace) -> Guest:
    maps = {}
    for item in options.maps:
        name, equals, path = item.partition("=")
        if not equals:
            raise InputError(f"--maps wants NAME=FILE, not {item!r}")
        maps[name] = parse_maps(Path(path).read_text(), name=path)
    kernel = None
    if options.system_map is not None and options.text is not None:
        system_map = Path(options.system_map).read_text()
        kernel = kernel_symbols(system_map, text=options.text, name=options.system_map)
    files = None if options.root is None else partial(symbols_below, options.root)
    return Guest(kernel=kernel, maps=maps, files=files)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="what the instrument wrote, also compressed as FILE.gz")
    add("--system-map", metavar="FILE", help="the kernel's System.map")
    add("--text", type=_hexadecimal, metavar="ADDRESS", help="_text in the guest's /proc/kallsyms")
    add("--maps", action="append", default=[], metavar="NAME=FILE", help="a copy of /proc/PID/maps")
    add("--root", type=Path, metavar="DIR", help="the guest's files, to name the functions of programs")
    add("--units", type=float, default=1.0, metavar="N", help="units of work in a window, to divide by")
    add("--functions", type=int, default=0, metavar="N", help="the N largest functions")
    add("--census", action="store_true", help="the costly instructions")
    add("--kind", type=int, metavar="N", help="windows of that kind only")
    parser.epilog = "example: kmlbench windows windows.gz --kind 2 --functions 20"
    parser.set_defaults(run=_windows)


def _hexadecimal(text: str) -> int:
    return int(text, 16)


def _windows(arguments: argparse.Namespace, progress: Progress) -> int:
    del progress
    try:
        _print_recording(read_file(arguments.file), arguments)
    except FormatError as error:
        raise InputError(str(error)) from error
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}") from error
    return 0


def _print_recording(recording: Recording, options: argparse.Namespace) -> None:
    naming = Naming(_guest(options))
    processes = {
        section: naming.processes(window for window in recording.windows if window.section == section)
        for section in {window.section for window in recording.windows}
    }
    for window in recording.windows:
        if options.kind in {None, window.kind}:
            of_section = processes[window.section]
            _print_window(window, profile(window, naming, of_section), options)
            if options.census:
                _print_census(census(window, of_section), options.units)
    if not recording.ended:
        print("QEMU did not end in order" + (", the file ends within a line" if recording.torn else ""))
