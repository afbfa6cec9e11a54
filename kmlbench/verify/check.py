# SPDX-License-Identifier: MIT
"""Derives every number and figure of a stored campaign again and names the first difference.

In this order: the numbers and proofs of outcomes.jsonl from raw/, the facts from the boots' raw output,
then samples.parquet, figures/ and report.html from outcomes.jsonl.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import pyarrow as pa

from kmlbench import provenance
from kmlbench.analysis import control, cost_model
from kmlbench.analysis.cost_model import CostModel
from kmlbench.analysis.frames import SAMPLES
from kmlbench.analysis.measurements import Noise
from kmlbench.errors import DifferenceError, InputError, ProofError, TrialError
from kmlbench.model import BootFacts, Completed, Sample, Trial
from kmlbench.prices.pricelist import PriceList
from kmlbench.progress import Progress
from kmlbench.report import render, write
from kmlbench.report.page import COSTS, FIGURES, Page
from kmlbench.report.write import DATA, REPORT
from kmlbench.results import facts, profiles, reader
from kmlbench.results.reader import (
    COPY_AGAIN,
    OUTCOMES,
    RAW,
    StoredCampaign,
    boot_path,
    file_digests,
    lost_path,
    raw_path,
)
from kmlbench.results.recording import TrialRecording
from kmlbench.verify import page_diff, rederive

DRAWN_BY = re.compile(r"Matplotlib v([0-9][^,<\s]*)")

FACTS_OF = {"config": facts.configuration_facts, "cpuinfo": facts.processor_facts}

AGAIN = "`kmlbench report DIR` derives it again; if it still differs, another version of kmlbench wrote it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """How much was derived again without a difference."""

    trials: int
    samples: int
    figures: int


def verify(directory: Path, *, progress: Progress) -> Verified:
    """Derive everything again. Notes of what cannot be compared go to `progress`.

    Raises DifferenceError that names the first difference, InputError when something to compare is not
    there or not readable.
    """
    stored = reader.read_campaign(directory)
    for note in stored.notes:
        progress.note(note)
    progress.stage("raw output", total=len(stored.completed))
    gaps = Counter(gap for outcome in stored.completed for gap in _trial(stored, outcome, progress))
    for gap, count in gaps.items():
        progress.note(f"{count} of {len(stored.completed)} trials {gap}")
    _digests(stored, progress)
    for boot in stored.facts:
        _facts(stored, boot)
    progress.stage("figures and report")
    with tempfile.TemporaryDirectory() as draft:
        made_with = _made_with(stored)
        page = write.derive(
            stored, Path(draft), noise=made_with.noise, costs=made_with.costs, prices=made_with.prices
        )
        drawings = _derived(stored.directory, Path(draft), page, progress)
    samples = sum(len(outcome.samples) for outcome in stored.completed)
    return Verified(trials=len(stored.completed), samples=samples, figures=drawings)


class _Gap(StrEnum):
    """What is not verified of a trial, in words for people."""

    PRIVILEGE = "did not keep the output of the privilege probe: their CPL is not verified"
    SUBSYSTEMS = (
        "had their functions sorted into other subsystems than this version's (instrument/subsystems.toml): "
        "these are not verified; where there is no file in profile/, it sorts them anew"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _MadeWith:
    """What the report was made with beside the campaign itself."""

    noise: Noise | None
    costs: CostModel | None
    prices: tuple[PriceList, ...]


def _made_with(stored: StoredCampaign) -> _MadeWith:
    """The control and the costs that the report says it used, and the prices that were kept beside it."""
    report = _data(stored.directory / DATA)
    used = report.get("noise")
    place, name = (used.get("place"), used.get("name")) if isinstance(used, dict) else (None, None)
    costs = stored.directory / COSTS
    return _MadeWith(
        noise=control.control_at(str(place), stored, name=str(name)) if place else None,
        costs=cost_model.read_cost_model(costs) if report.get("costs") else None,
        prices=write.kept_prices(stored.directory),
    )


def _trial(stored: StoredCampaign, outcome: Completed, progress: Progress) -> Iterator[_Gap]:
    """Compare one trial."""
    trial = outcome.trial
    name = f"trial {trial.id}"
    try:
        derived = rederive.rederive(stored.directory, trial, stored.own)
    except (TrialError, ProofError) as error:
        path = raw_path(stored.directory, trial)
        raise _differs(stored, f"{name}: {path} is not the output of a completed trial: {error}") from error
    _samples(stored, outcome.samples, derived.samples, f"{OUTCOMES}: {name}")
    if derived.recording is not None:
        yield from _tables(stored, trial, derived.recording)
    if derived.proof is None:
        yield _Gap.PRIVILEGE
    elif derived.proof != outcome.proof:
        raise _differs(stored, f"{OUTCOMES}: {name}: its proof is {outcome.proof}, raw/ says {derived.proof}")
    progress.advance()


def _digests(stored: StoredCampaign, progress: Progress) -> None:
    """Compare every file of every trial that ended with its digest in the record."""
    ended = [(raw_path(stored.directory, outcome.trial), outcome) for outcome in stored.outcomes]
    ended += [
        (lost_path(stored.directory, outcome.resumption + 1) / outcome.trial.id, outcome)
        for outcome in stored.superseded
    ]
    for path, outcome in ended:
        if outcome.raw is not None and (difference := _file_difference(path, outcome.raw)):
            raise _differs(stored, f"raw/{path.relative_to(stored.directory / RAW)}/{difference}")
    if without := sum(outcome.raw is None for _, outcome in ended):
        progress.note(
            f"{without} trials have no SHA-256 of their raw output, which an older version did not record: "
            "only what their numbers are read from is verified"
        )


def _file_difference(path: Path, recorded: Mapping[str, str]) -> str:
    """The first file that is not the recorded one, and how; empty if all are."""
    try:
        digests = file_digests(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", remedy=COPY_AGAIN) from error
    for name in sorted(recorded.keys() | digests.keys()):
        match recorded.get(name), digests.get(name):
            case None, _:
                return f"{name}: was not there when the trial ended"
            case _, None:
                return f"{name}: is not there"
            case before, now if before != now:
                return f"{name}: was modified after the trial ended: its SHA-256 is {now}, not {before}"
    return ""


def _tables(stored: StoredCampaign, trial: Trial, recording: TrialRecording) -> Iterator[_Gap]:
    """Compare the stored tables of a trial with its recording; a table that is not stored is derived anew."""
    for table in profiles.TABLES:
        path = table.path(stored.directory, trial)
        if not path.exists():
            continue
        kept, derived = table.load(path), table.of(trial, recording)
        if profiles.unsorted(kept) != profiles.unsorted(derived):
            raise DifferenceError(f"{path}: is not what raw/ says", remedy="remove it, and verify again")
        if kept != derived:
            yield _Gap.SUBSYSTEMS


def _samples(
    stored: StoredCampaign, recorded: Sequence[Sample], derived: Sequence[Sample], place: str
) -> None:
    for ours, theirs in zip_longest(recorded, derived):
        if ours is None:
            raise _differs(stored, f"{place}: lacks {_describe(theirs)}, which raw/ says")
        if theirs is None:
            raise _differs(stored, f"{place}: has {_describe(ours)}, which raw/ does not say")
        if ours != theirs:
            raise _differs(stored, f"{place}: has {_describe(ours)}, raw/ says {_describe(theirs)}")


def _describe(sample: Sample) -> str:
    return f"{sample.process} {sample.metric} {sample.value!r} {sample.unit} ({sample.driver})"


def _facts(stored: StoredCampaign, boot: BootFacts) -> None:
    """The facts that come out of raw output, where that was kept."""
    path = boot_path(stored.directory, boot.boot, boot.resumption)
    for source, derive in FACTS_OF.items():
        derived = derive(_text(path / source)) if (path / source).exists() else {}
        for name, value in derived.items():
            if (recorded := boot.facts.get(name)) != value:
                difference = f"{name} is {recorded!r}, its {source} says {value!r}"
                raise _differs(stored, f"raw/{path.name}/facts.json: {difference}")


def _differs(stored: StoredCampaign, message: str) -> DifferenceError:
    checkout = provenance.checkout(stored.campaign.git_commit)
    return DifferenceError(
        message,
        remedy="restore the record from a copy; or, if nothing was changed, verify it with the version that "
        f"wrote it{f': {checkout}' if checkout else ', which is not known'}",
    )


def _derived(stored: Path, derived: Path, page: Page, progress: Progress) -> int:
    """Compare everything that was derived; the number of figures."""
    _frames(stored / SAMPLES, derived / SAMPLES)
    names = _names(stored / FIGURES, derived / FIGURES)
    drawn_here = _drawn_here(stored / FIGURES, progress)
    for name in names:
        if drawn_here or not name.endswith(".svg"):
            _lines(stored / FIGURES / name, derived / FIGURES / name)
    if differs := page_diff.data_difference(_data(stored / DATA), _data(derived / DATA)):
        raise DifferenceError(f"{DATA}: {differs}", remedy=AGAIN)
    text, pieces = _text(stored / REPORT), render.pieces(page)
    if differs := page_diff.page_difference(text, pieces, pictures=drawn_here):
        raise DifferenceError(f"{REPORT}: {differs}", remedy=AGAIN)
    return sum(name.endswith(".csv") for name in names)


def _frames(stored: Path, derived: Path) -> None:
    ours, theirs = _frame(stored), _frame(derived)
    if list(ours.columns) != list(theirs.columns) or len(ours) != len(theirs):
        shapes = " and ".join(f"{len(frame)} rows of {', '.join(frame.columns)}" for frame in (ours, theirs))
        raise DifferenceError(f"{SAMPLES}: the stored and the derived file have {shapes}", remedy=AGAIN)
    unequal = (ours != theirs).to_numpy()
    if unequal.any():
        row = int(unequal.any(axis=1).argmax())
        column = theirs.columns[int(unequal[row].argmax())]
        values = f"{ours[column].iloc[row]!r} is there, {theirs[column].iloc[row]!r} is derived"
        raise DifferenceError(f"{SAMPLES}: row {row}, column {column}: {values}", remedy=AGAIN)


def _frame(path: Path) -> pd.DataFrame:
    _require(path)
    try:
        return pd.read_parquet(path)
    # What a damaged file makes pyarrow raise is not documented; none of it is about anything else.
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, MemoryError) as error:
        raise DifferenceError(f"{SAMPLES}: is not a Parquet file: {error}", remedy=AGAIN) from error


def _drawn_here(path: Path, progress: Progress) -> bool:
    """Whether this Matplotlib drew the figures: another one draws the same data a little differently.

    Raises DifferenceError when more than one drew them: a report draws all of its figures at once.
    """
    drawn: dict[str | None, str] = {}
    for drawing in sorted(path.glob("*.svg")):
        match = DRAWN_BY.search(_text(drawing))
        drawn.setdefault(match[1] if match else None, drawing.name)
    if len(drawn) > 1:
        descriptions = (f"{FIGURES}/{name} is by Matplotlib {by or 'unnamed'}" for by, name in drawn.items())
        raise DifferenceError(" and ".join(descriptions), remedy=AGAIN)
    version = next(iter(drawn), None)
    if version in {None, mpl.__version__}:
        return True
    progress.note(
        f"the figures were drawn by Matplotlib {version}, here is {mpl.__version__}: "
        "their data is compared, their drawings are not"
    )
    return False


def _names(stored: Path, derived: Path) -> list[str]:
    ours, theirs = ({path.name for path in directory.glob("*")} for directory in (stored, derived))
    for name in sorted(ours ^ theirs):
        what = "is not a figure of this campaign" if name in ours else "is not there"
        raise DifferenceError(f"{FIGURES}/{name} {what}", remedy=AGAIN)
    return sorted(theirs)


def _lines(stored: Path, derived: Path) -> None:
    ours, theirs = _text(stored), _text(derived)
    if ours == theirs:
        return
    pairs = zip_longest(ours.split("\n"), theirs.split("\n"), fillvalue="nothing")
    number, (here, there) = next(
        (number, pair) for number, pair in enumerate(pairs, start=1) if pair[0] != pair[1]
    )
    raise DifferenceError(
        f"{FIGURES}/{stored.name}:{number}: {here[:80]!r} is there, {there[:80]!r} is derived", remedy=AGAIN
    )


def _data(path: Path) -> dict[str, object]:
    try:
        report = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise DifferenceError(f"{DATA}: is not JSON: {error}", remedy=AGAIN) from error
    if not isinstance(report, dict):
        raise DifferenceError(f"{DATA}: is not a report", remedy=AGAIN)
    return report


def _text(path: Path) -> str:
    _require(path)
    try:
        return path.read_bytes().decode(errors="surrogateescape")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", remedy=AGAIN) from error


def _require(path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path}: is not there", remedy="run `kmlbench report DIR` first")
