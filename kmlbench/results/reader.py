# SPDX-License-Identifier: MIT
"""A campaign read back from its directory: whole, interrupted, or damaged; errors name the damaged place.

A line of outcomes.jsonl counts once its newline is written. Text after the last newline was left by a
controller that was killed while writing: its trial counts as never ended, and the campaign has a note of it.
Any other damage is an InputError.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from kmlbench.errors import InputError
from kmlbench.interruptions import LostBlock, Resumption
from kmlbench.model import BootFacts, Completed, Failed, Outcome, PlannedCampaign, Trial, completed, failed
from kmlbench.results.codec import UnknownFormat, decode_campaign, read_facts, read_line
from kmlbench.results.samples import SampleReader
from kmlbench.workloads.base import Adapter
from kmlbench.workloads.registry import defined

CAMPAIGN, OUTCOMES, RAW, FACTS = "campaign.json", "outcomes.jsonl", "raw", "facts.json"

# In the directory of a trial: its commands, the report of workloads/measure, and the last step, the probe's.
COMMANDS, MEASURED, PRIVILEGE = "commands.json", "measure.json", "privilege"

# In the directory of a trial that the instrument recorded: its windows, and where the guest's kernel was.
WINDOWS, GUEST = "windows.gz", "guest.json"

# What the names of files with the functions of a kernel and of a guest's files begin with, below raw/.
FUNCTIONS = "functions"

NO_CAMPAIGN = "give the directory of a campaign, such as results/latest"

COPY_AGAIN = "copy the whole campaign directory again"

RESTORE = "restore the file from a copy"


class IncompleteRecord(UserWarning):
    """A campaign loads, but part of its record is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCampaign:
    """A campaign as read from its directory.

    `outcomes` holds one outcome of each trial that ended: the last one. `superseded` are the failures of
    trials that ended again after a resumption. `facts` are in the order of boots; `notes` are sentences about
    what is missing from the record. `lost_blocks` ran again: what had ended of them is not among `outcomes`.
    """

    directory: Path
    campaign: PlannedCampaign
    outcomes: tuple[Outcome, ...]
    facts: tuple[BootFacts, ...]
    notes: tuple[str, ...] = ()
    resumptions: tuple[Resumption, ...] = ()
    superseded: tuple[Failed, ...] = ()
    lost_blocks: tuple[LostBlock, ...] = ()

    @property
    def name(self) -> str:
        """The campaign's, whatever its directory is called now."""
        return self.campaign.name

    @property
    def own(self) -> Mapping[str, Adapter]:
        """The workloads that files define, by name, as they were when it was planned."""
        return defined(self.campaign.definitions)

    @property
    def completed(self) -> tuple[Completed, ...]:
        """The trials that ended with numbers."""
        return completed(self.outcomes)

    @property
    def failed(self) -> tuple[Failed, ...]:
        """The trials that ended without numbers."""
        return failed(self.outcomes)

    @property
    def measured_facts(self) -> tuple[BootFacts, ...]:
        """The facts of the boots that have completed trials."""
        measured = _measured(self.outcomes)
        return tuple(boot for boot in self.facts if (boot.boot, boot.resumption) in measured)

    @property
    def missing(self) -> tuple[Trial, ...]:
        """The planned trials that never ended. Not empty: the campaign was interrupted or still runs."""
        ended = {outcome.trial for outcome in self.outcomes}
        return tuple(trial for trial in self.campaign.plan if trial not in ended)


def boot_path(path: Path, index: int, resumption: int = 0) -> Path:
    """Where the raw output of boot `index` lies in the campaign's directory `path`."""
    return path / RAW / f"boot-{index:04d}{f'-r{resumption}' if resumption else ''}"


def raw_path(path: Path, trial: Trial) -> Path:
    """Where the raw output of a trial lies in the campaign's directory `path`."""
    return path / RAW / trial.id


def lost_path(path: Path, resumption: int) -> Path:
    """Where a resumption moved raw output to, in the campaign's directory `path`."""
    return path / RAW / f"lost-{resumption}"


def lost_block_path(path: Path, lost: LostBlock) -> Path:
    """Where the raw output of a lost block was moved to, in the campaign's directory `path`."""
    return path / RAW / f"lost-block-{lost.block:04d}-{lost.number}"


def file_digests(directory: Path) -> dict[str, str]:
    """The SHA-256 of each file below `directory`, by its path there. Raises OSError."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    digests = {}
    for path in paths:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        digests[path.relative_to(directory).as_posix()] = digest
    return digests


def read_campaign(path: Path) -> StoredCampaign:
    """The campaign stored in the directory `path`, complete or not. Raises InputError if it is damaged."""
    directory = _resolved(path)
    campaign = _read_campaign_file(directory / CAMPAIGN)
    history, cut_off = _read_outcomes(directory / OUTCOMES, campaign.plan)
    pairs = {trial.boot: trial.pair for trial in campaign.plan}
    boots = (_read_facts_file(path) for path in sorted((directory / RAW).glob(f"boot-*/{FACTS}")))
    facts = _that_count(tuple(replace(boot, pair=pairs.get(boot.boot, 0)) for boot in boots), history)
    return StoredCampaign(
        directory=directory,
        campaign=campaign,
        outcomes=history.outcomes,
        facts=facts,
        notes=(*cut_off, *_without_facts(history.outcomes, facts)),
        resumptions=tuple(history.resumptions),
        superseded=tuple(history.superseded),
        lost_blocks=tuple(history.lost_blocks),
    )


def campaigns_below(results: Path) -> dict[Path, PlannedCampaign]:
    """What the directories in `results` were planned as, without links and what cannot be read."""
    campaigns = {}
    for path in sorted(results.glob(f"*/{CAMPAIGN}")):
        with suppress(ValueError, OSError):
            if not path.parent.is_symlink():
                campaigns[path.parent] = decode_campaign(path.read_text(encoding="utf-8"))
    return campaigns


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    # A loop of links is a RuntimeError before Python 3.13, a NUL a ValueError.
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{str(path)!r}: this is not a path: {error}", remedy=NO_CAMPAIGN) from error


def _read_campaign_file(path: Path) -> PlannedCampaign:
    text = _text(path, _bytes(path, remedy=NO_CAMPAIGN))
    with _reading(path, 1):
        return decode_campaign(text)


def _read_facts_file(path: Path) -> BootFacts:
    text = _text(path, _bytes(path, remedy=COPY_AGAIN))
    with _reading(path, 1):
        return read_facts(text)


def _read_outcomes(path: Path, plan: Sequence[Trial]) -> tuple[History, tuple[str, ...]]:
    """The outcomes of the trials, and a note if there is something after the last whole line."""
    history = History(plan)
    for number, line in enumerate(_lines(path), start=1):
        if not line.endswith(b"\n"):
            return history, (_cut_off(number),)
        text = _text(path, line, number)
        with _reading(path, number):
            history.add(text)
    return history, ()


def _that_count(facts: tuple[BootFacts, ...], history: History) -> tuple[BootFacts, ...]:
    """Without boots from before the last resumption that have no completed trial: they were repeated."""
    measured = _measured(history.outcomes)
    last = len(history.resumptions)
    return tuple(
        boot for boot in facts if boot.resumption == last or (boot.boot, boot.resumption) in measured
    )


def _measured(outcomes: Sequence[Outcome]) -> set[tuple[int, int]]:
    """The boots that have completed trials, each with its resumption."""
    return {(outcome.trial.boot, outcome.resumption) for outcome in completed(outcomes)}


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, which may be too large to hold in memory."""
    try:
        with path.open("rb") as stream:
            yield from stream
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", remedy=COPY_AGAIN) from error


def _cut_off(number: int) -> str:
    before = number - 1
    whole = "1 whole outcome precedes" if before == 1 else f"{before} whole outcomes precede"
    return (
        f"{OUTCOMES}:{number}: the line is cut off: the campaign was interrupted while writing it; {whole} "
        "it, and its trial counts as never ended"
    )


def _without_facts(outcomes: Sequence[Outcome], facts: Sequence[BootFacts]) -> tuple[str, ...]:
    lacking = sorted(_measured(outcomes) - {(boot.boot, boot.resumption) for boot in facts})
    if not lacking:
        return ()
    listed = ", ".join(str(boot) for boot, _ in lacking)
    return (
        f"{RAW}/boot-*/{FACTS} is missing for boots that were measured ({listed}): they cannot be compared",
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


@dataclass(slots=True)
class History:
    """The lines read so far."""

    plan: Sequence[Trial]
    resumptions: list[Resumption] = field(default_factory=list)
    superseded: list[Failed] = field(default_factory=list)
    lost_blocks: list[LostBlock] = field(default_factory=list)
    _outcomes: dict[Trial, Outcome] = field(default_factory=dict)
    _samples: SampleReader = field(default_factory=SampleReader)
    _planned: frozenset[Trial] = field(init=False)

    def __post_init__(self) -> None:
        self._planned = frozenset(self.plan)

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The outcome of each trial that ended, in the order of their lines."""
        return tuple(self._outcomes.values())

    def add(self, line: str) -> None:
        """Read the next line. Raises ValueError if it cannot follow the lines before it."""
        match read_line(line, self._samples, resumption=len(self.resumptions)):
            case Resumption() as resumption:
                self._resume(resumption)
            case LostBlock() as lost:
                self._lose(lost)
            case outcome:
                self._end(outcome)

    def _resume(self, resumption: Resumption) -> None:
        if resumption.number != len(self.resumptions) + 1:
            before = len(self.resumptions)
            raise ValueError(f"resumption {resumption.number} is out of order: {before} precede it")
        for trial in resumption.trials:
            self._require_open(trial)
        self.resumptions.append(resumption)

    def _lose(self, lost: LostBlock) -> None:
        before = sum(other.block == lost.block for other in self.lost_blocks)
        if lost.number != before + 1:
            raise ValueError(f"loss {lost.number} of block {lost.block} is out of order: {before} precede it")
        for trial in lost.trials:
            if trial.block != lost.block or trial not in self._outcomes:
                raise ValueError(f"trial {trial.id} is not of block {lost.block}, or has not ended")
            del self._outcomes[trial]
        self.lost_blocks.append(lost)

    def _end(self, outcome: Outcome) -> None:
        before = self._require_open(outcome.trial)
        if before is not None:
            if before.resumption == len(self.resumptions):
                raise ValueError(f"trial {outcome.trial.id} has already ended")
            self.superseded.append(before)
            del self._outcomes[outcome.trial]
        self._outcomes[outcome.trial] = outcome

    def _require_open(self, trial: Trial) -> Failed | None:
        """The failure that `trial` had before, if any. Raises ValueError if it cannot end again."""
        before = self._outcomes.get(trial)
        if trial not in self._planned or isinstance(before, Completed):
            raise ValueError(f"trial {trial.id} is not planned, or has already ended")
        return before
