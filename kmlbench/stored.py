# SPDX-License-Identifier: MIT
"""A campaign read back from its directory: whole, interrupted, or damaged, which is told with its place.

A line of outcomes.jsonl counts once its newline is written. What stands behind the last newline is what a
controller left that was killed while it wrote: its trial counts as never ended, and the campaign has a note
of it. Everything else that is not as it was written is an InputError.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from kmlbench import fields
from kmlbench.errors import InputError
from kmlbench.model import Completed, Failed, Outcome, Trial
from kmlbench.records import BootFacts, Campaign, UnknownFormat, read_campaign, read_facts, read_outcome
from kmlbench.samplereader import SampleReader

CAMPAIGN, OUTCOMES, RAW, FACTS = "campaign.json", "outcomes.jsonl", "raw", "facts.json"
# In the directory of a trial: its commands, what workloads/measure said, and the last step, the probe's.
COMMANDS, MEASURED, PRIVILEGE = "commands.json", "measure.json", "privilege"
NO_CAMPAIGN = "give the directory of a campaign, such as results/latest"
COPY_AGAIN = "copy the whole campaign directory again"
RESTORE = "restore the file from a copy"


class IncompleteRecord(UserWarning):
    """A campaign loads, but something of its record is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCampaign:
    """A campaign as its directory tells it.

    `facts` are in the order of boots; `notes` say in sentences what of the record is not there.
    """

    directory: Path
    campaign: Campaign
    outcomes: tuple[Outcome, ...]
    facts: tuple[BootFacts, ...]
    notes: tuple[str, ...] = ()

    @property
    def completed(self) -> tuple[Completed, ...]:
        """The trials that ended with numbers."""
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, Completed))

    @property
    def failed(self) -> tuple[Failed, ...]:
        """The trials that ended without numbers."""
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, Failed))

    @property
    def missing(self) -> tuple[Trial, ...]:
        """The planned trials that never ended. Not empty: the campaign was interrupted or still runs."""
        ended = {outcome.trial for outcome in self.outcomes}
        return tuple(trial for trial in self.campaign.plan if trial not in ended)


def boot_path(path: Path, index: int) -> Path:
    """Where the raw output of boot `index` lies in the campaign's directory `path`."""
    return path / RAW / f"boot-{index:04d}"


def raw_path(path: Path, trial: Trial) -> Path:
    """Where the raw output of a trial lies in the campaign's directory `path`."""
    return path / RAW / trial.id


def read(path: Path) -> StoredCampaign:
    """The campaign stored in the directory `path`, complete or not. Raises InputError if it is damaged."""
    directory = _resolved(path)
    campaign = _read_campaign_file(directory / CAMPAIGN)
    outcomes, cut_off = _read_outcomes(directory / OUTCOMES, campaign.plan)
    pairs = {trial.boot: trial.pair for trial in campaign.plan}
    found = (_read_facts_file(path) for path in sorted((directory / RAW).glob(f"boot-*/{FACTS}")))
    facts = tuple(replace(boot, pair=pairs.get(boot.boot, 0)) for boot in found)
    return StoredCampaign(
        directory=directory,
        campaign=campaign,
        outcomes=outcomes,
        facts=facts,
        notes=(*cut_off, *_without_facts(outcomes, facts)),
    )


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    # A circle of links is a RuntimeError before Python 3.13, a NUL a ValueError.
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{str(path)!r}: this is no path: {error}", remedy=NO_CAMPAIGN) from error


def _read_campaign_file(path: Path) -> Campaign:
    text = _text(path, _bytes(path, remedy=NO_CAMPAIGN))
    with _reading(path, 1):
        return read_campaign(fields.load(text))


def _read_facts_file(path: Path) -> BootFacts:
    text = _text(path, _bytes(path, remedy=COPY_AGAIN))
    with _reading(path, 1):
        return read_facts(fields.load(text))


def _read_outcomes(path: Path, plan: Sequence[Trial]) -> tuple[tuple[Outcome, ...], tuple[str, ...]]:
    """The outcomes, and a note if something stands behind the last whole line."""
    outcomes: list[Outcome] = []
    waiting = set(plan)
    samples = SampleReader()
    for number, line in enumerate(_lines(path), start=1):
        if not line.endswith(b"\n"):
            return tuple(outcomes), (_cut_off(number),)
        text = _text(path, line, number)
        with _reading(path, number):
            outcome = read_outcome(fields.load(text), samples)
            if outcome.trial not in waiting:
                raise ValueError(f"trial {outcome.trial.id} is not planned, or ended before")
        waiting.remove(outcome.trial)
        outcomes.append(outcome)
    return tuple(outcomes), ()


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, which may be larger than what one wants to hold."""
    try:
        with path.open("rb") as stream:
            yield from stream
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", remedy=COPY_AGAIN) from error


def _cut_off(number: int) -> str:
    before = number - 1
    whole = "1 whole outcome precedes" if before == 1 else f"{before} whole outcomes precede"
    return (
        f"{OUTCOMES}:{number}: the line is cut off: the campaign was interrupted while it wrote; {whole} "
        "it, and the trial it was about counts as never ended"
    )


def _without_facts(outcomes: Sequence[Outcome], facts: Sequence[BootFacts]) -> tuple[str, ...]:
    measured = {outcome.trial.boot for outcome in outcomes if isinstance(outcome, Completed)}
    lacking = sorted(measured - {boot.boot for boot in facts})
    if not lacking:
        return ()
    listed = ", ".join(str(boot) for boot in lacking)
    return (
        f"{RAW}/boot-*/{FACTS} is missing for boots that were measured ({listed}): nothing compares them",
    )


def _bytes(path: Path, *, remedy: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", remedy=remedy) from error


def _text(path: Path, content: bytes, line: int = 1) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}:{line}: it is not UTF-8 text (byte {error.start})", remedy=RESTORE
        ) from error


@contextmanager
def _reading(path: Path, line: int) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        remedy = error.remedy if isinstance(error, UnknownFormat) else RESTORE
        raise InputError(f"{path}:{line}: {error}", remedy=remedy) from error
