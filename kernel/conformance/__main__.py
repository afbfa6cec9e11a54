# SPDX-License-Identifier: GPL-2.0
"""Runs the kernel's tests and known programs on stock:/usr, kml:/usr and kml:/trusted, and compares.

    PYTHONPATH=kernel .venv/bin/python -m conformance [--lists A,B] [--only PATTERN] [--cpus N]

Ends with 0 when all that passes on stock:/usr passes everywhere, but for exceptions.txt; with 1 if not.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from conformance import cells, image, lists, page, verdict
from conformance.cells import CELLS, Cell, Guest
from conformance.lists import Test
from conformance.outcomes import Outcome
from kmlbench.build import kernel
from kmlbench.build.artifacts import ImageArtifact, KernelArtifact
from kmlbench.build.bases import DEFAULT, Base
from kmlbench.build.cache import default_cache
from kmlbench.cli.progress.display import shown
from kmlbench.errors import InputError, KmlbenchError
from kmlbench.hosts.qemu import GuestSpec
from kmlbench.model import Acceleration, Clock, Kernel
from kmlbench.progress import Progress

HERE = Path(__file__).parent
EXCEPTIONS = HERE / "exceptions.txt"
ATTEMPTS = 3


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="conformance", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--lists", default=",".join(lists.suites()), help="which lists, separated by commas")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="only tests whose name matches")
    parser.add_argument("--cells", default=",".join(map(str, CELLS)), help="which cells, separated by commas")
    parser.add_argument(
        "--kernel", type=Base, choices=list(Base), default=DEFAULT, help="the version of Linux"
    )
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--memory-mb", type=int, default=2048)
    parser.add_argument("--cpu-model", default="max")
    parser.add_argument("--kml", type=Path, metavar="BZIMAGE", help="this image as the kml kernel")
    parser.add_argument("--stock", type=Path, metavar="BZIMAGE", help="this image as the stock kernel")
    parser.add_argument("--append", default="", help="more for the kernels' command line")
    parser.add_argument(
        "--attempts", type=int, default=ATTEMPTS, help="how often a difference is tried again"
    )
    parser.add_argument(
        "--reference",
        type=Path,
        help="results.json of an earlier run, whose cells are not run again unless asked for",
    )
    parser.add_argument("--out", type=Path, default=Path("build/conformance"))
    return parser.parse_args()


def main() -> int:
    options = arguments()
    try:
        with shown() as progress:
            return run(options, progress)
    except KmlbenchError as error:
        print(f"conformance: {error}", file=sys.stderr)
        return error.exit_code


def run(options: argparse.Namespace, progress: Progress) -> int:
    tests = [test for suite in options.lists.split(",") for test in lists.load(suite)]
    tests = [test for test in tests if fnmatchcase(test.name, options.only)]
    excuses = verdict.parse_exceptions(EXCEPTIONS.read_text().splitlines())
    cache = default_cache()
    root = image.ensure(options.kernel, cache=cache, progress=progress)
    results = earlier(options.reference)
    options.out.mkdir(parents=True, exist_ok=True)
    facts: dict[str, object] = {"cpus": options.cpus, "cpu model": options.cpu_model, "emulation": "QEMU TCG"}
    for cell in (cell for cell in CELLS if str(cell) in options.cells.split(",")):
        built = chosen_kernel(cell.kernel, options, progress)
        facts[f"kernel of {cell}"] = f"{built.release} ({built.key})"
        spec = specification(cell, built, root, options)
        progress.stage(str(cell), total=len(tests))
        with cells.opened(spec, options.out / "guests" / name_of(cell)) as guest:
            cells.prove(guest, cell)
            results[str(cell)] = {}
            for _ in run_cell(guest, cell, tests, results, options=options, progress=progress):
                # After each test: a run that is broken off has shown what it has shown.
                finish(facts, results, excuses, options.out)
    unexcused = finish(facts, results, excuses, options.out)
    tell(unexcused, options.out)
    return 1 if unexcused else 0


def earlier(reference: Path | None) -> dict[str, dict[str, Outcome]]:
    """The cells of an earlier run, if one was given."""
    if reference is None:
        return {}
    try:
        cells_then = json.loads(reference.read_text())["results"]
        return {cell: page.outcomes_of(plain) for cell, plain in cells_then.items()}
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{reference} does not hold the results of an earlier run: {error}") from error


def chosen_kernel(which: Kernel, options: argparse.Namespace, progress: Progress) -> KernelArtifact:
    given = {Kernel.STOCK: options.stock, Kernel.KML: options.kml}[which]
    if given is None:
        return kernel.ensure(which, options.kernel, cache=default_cache(), progress=progress)
    return KernelArtifact(kernel=which, release="given", image=given, config=given, key=str(given))


def specification(
    cell: Cell, built: KernelArtifact, root: ImageArtifact, options: argparse.Namespace
) -> GuestSpec:
    return GuestSpec(
        name=name_of(cell),
        kernel=built,
        image=root,
        memory_mb=options.memory_mb,
        cpus=options.cpus,
        cpu_model=options.cpu_model,
        clock=Clock.TIME,
        acceleration=Acceleration.TCG,
        seed=1,
        command_line=options.append,
    )


def run_cell(  # noqa: PLR0913 - the run's own state
    guest: Guest,
    cell: Cell,
    tests: list[Test],
    results: dict[str, dict[str, Outcome]],
    *,
    options: argparse.Namespace,
    progress: Progress,
) -> Iterator[Outcome]:
    """Adds to `results` of this cell after each test."""
    reference = results.get(verdict.REFERENCE, {}) if str(cell) != verdict.REFERENCE else {}
    for test in tests:
        full = f"{test.suite}: {test.name}"

        def fine(outcome: Outcome, full: str = full) -> bool:
            known = reference.get(full)
            if known is None:
                return True
            found = verdict.differences(str(cell), full, known, outcome)
            return not found or outcome.result == "hang"

        outcome = cells.persistent(guest, test, cell.prefix, wanted=fine, attempts=options.attempts)
        results[str(cell)][full] = outcome
        keep_output(options.out / "output" / name_of(cell), test, outcome)
        progress.advance()
        if not fine(outcome) or outcome.result == "hang" or outcome.kernel_log:
            progress.note(f"{cell} {full}: {outcome.result} {' '.join(outcome.kernel_log[:1])}")
        yield outcome


def name_of(cell: Cell) -> str:
    return f"{cell.kernel}-{cell.prefix.strip('/')}"


def keep_output(directory: Path, test: Test, outcome: Outcome) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^A-Za-z0-9_.=-]+", "_", f"{test.suite}-{test.name}")
    header = (
        f"# {outcome.result} status {outcome.status} {outcome.elapsed_s:.1f} s attempt {outcome.attempts}\n"
    )
    log = "".join(f"# kernel: {line}\n" for line in outcome.kernel_log)
    (directory / f"{name}.txt").write_text(header + log + outcome.output, errors="replace")


def finish(
    facts: dict[str, object],
    results: dict[str, dict[str, Outcome]],
    excuses: tuple[verdict.Excuse, ...],
    out: Path,
) -> tuple[verdict.Difference, ...]:
    """Write results.json and results.md. Returns the differences without an excuse."""
    found = verdict.all_differences(results) if verdict.REFERENCE in results else ()
    unexcused, excused = verdict.judge(found, excuses)
    facts["date"] = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    (out / "results.json").write_text(json.dumps(page.record(facts, results, found), indent=1) + "\n")
    (out / "results.md").write_text(page.markdown(facts, results, unexcused, excused))
    return unexcused


def tell(unexcused: tuple[verdict.Difference, ...], out: Path) -> None:
    for one in unexcused:
        print(f"{one.cell} {one.test}: {one.part or '(the test)'}: {one.result}")
    print(out / "results.md")


if __name__ == "__main__":
    sys.exit(main())
