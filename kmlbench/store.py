# SPDX-License-Identifier: MIT
"""The directory of a campaign: written while it runs, one flushed line per trial, and read back later.

campaign.json, outcomes.jsonl and raw/ are the record and are never edited; everything else in the
directory is derived from them. Errors: MachineError when this machine cannot store something, InputError
when a stored campaign is damaged.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from kmlbench import fields
from kmlbench.errors import InputError, MachineError
from kmlbench.model import CommandResult, Completed, Failed, Kernel, Outcome, Trial
from kmlbench.records import (
    BootFacts,
    Campaign,
    campaign_record,
    facts_record,
    outcome_record,
    read_campaign,
    read_facts,
    read_outcome,
)

__all__ = ["BootFacts", "Campaign", "CampaignDirectory", "StoredCampaign", "create", "read"]

CAMPAIGN, OUTCOMES, RAW, FACTS, LATEST = "campaign.json", "outcomes.jsonl", "raw", "facts.json", "latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignDirectory:
    """A campaign that is being written. Made by `create`, which closes it."""

    path: Path
    stream: TextIO

    def append(self, outcome: Outcome) -> None:
        """Add one line to outcomes.jsonl; it is on the disk when this returns."""
        with _storing(f"the outcome of trial {outcome.trial.id}", self.path):
            self.stream.write(fields.dump(outcome_record(outcome)) + "\n")
            self.stream.flush()
            os.fsync(self.stream.fileno())

    def raw(self, trial: Trial) -> Path:
        """The directory of a trial's raw output."""
        return _directory(self.path / RAW / trial.id)

    def boot(self, index: int) -> Path:
        """The directory of a boot's raw output."""
        return _directory(_boot_path(self.path, index))

    def facts(self, index: int, kernel: Kernel, facts: Mapping[str, str]) -> None:
        """Store what boot `index` said about itself."""
        record = facts_record(BootFacts(boot=index, kernel=kernel, facts=facts))
        _write(self.boot(index) / FACTS, fields.dump(record) + "\n")

    def write_step(self, trial: Trial, index: int, step_name: str, result: CommandResult) -> Path:
        """Store what a step left behind (argv.json, stdout, stderr); the directory, for further files."""
        path = _directory(self.raw(trial) / f"{index:02d}-{step_name.replace('/', '-')}")
        command = {"argv": list(result.argv), "returncode": result.returncode, "elapsed_s": result.elapsed_s}
        _write(path / "argv.json", fields.dump(command) + "\n")
        _write(path / "stdout", result.stdout)
        _write(path / "stderr", result.stderr)
        return path


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCampaign:
    """A campaign as its directory tells it. `facts` are in the order of boots."""

    directory: Path
    campaign: Campaign
    outcomes: tuple[Outcome, ...]
    facts: tuple[BootFacts, ...]

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


@contextmanager
def create(root: Path, campaign: Campaign) -> Iterator[CampaignDirectory]:
    """Make the directory of `campaign` below `root` and point root/latest to it."""
    stamp = campaign.started_utc.replace("-", "").replace(":", "").split(".")[0].removesuffix("Z") + "Z"
    path = root / f"{stamp}-{campaign.id}"
    with _storing("the campaign", path):
        path.mkdir(parents=True)
    _write(path / CAMPAIGN, fields.dump(campaign_record(campaign)) + "\n")
    with (path / OUTCOMES).open("x", encoding="utf-8") as stream:
        _point_latest(root, path.name)
        yield CampaignDirectory(path=path, stream=stream)


def read(path: Path) -> StoredCampaign:
    """The campaign stored in the directory `path`, complete or not. Raises InputError if it is damaged."""
    directory = path.resolve()
    campaign = _read_campaign_file(directory / CAMPAIGN)
    outcomes = _read_outcomes(directory / OUTCOMES, campaign.plan)
    facts = tuple(_read_facts_file(found) for found in sorted((directory / RAW).glob(f"boot-*/{FACTS}")))
    return StoredCampaign(directory=directory, campaign=campaign, outcomes=outcomes, facts=facts)


def _read_campaign_file(path: Path) -> Campaign:
    remedy = "give the directory of a campaign, such as results/latest"
    text = _read_text(path, remedy=remedy)
    with _reading(path, 1):
        return read_campaign(fields.load(text))


def _read_facts_file(path: Path) -> BootFacts:
    text = _read_text(path, remedy="copy the whole campaign directory again")
    with _reading(path, 1):
        return read_facts(fields.load(text))


def _read_outcomes(path: Path, plan: Sequence[Trial]) -> tuple[Outcome, ...]:
    text = _read_text(path, remedy="copy the whole campaign directory again")
    outcomes: list[Outcome] = []
    waiting = set(plan)
    *lines, rest = text.split("\n")
    for number, line in enumerate(lines, start=1):
        with _reading(path, number):
            outcome = read_outcome(fields.load(line))
            if outcome.trial not in waiting:
                raise ValueError(f"trial {outcome.trial.id} is not planned, or ended before")
        waiting.remove(outcome.trial)
        outcomes.append(outcome)
    if rest:
        raise _cut_off(path, len(lines))
    return tuple(outcomes)


def _cut_off(path: Path, before: int) -> InputError:
    whole = "1 whole outcome precedes" if before == 1 else f"{before} whole outcomes precede"
    return InputError(
        f"{path}:{before + 1}: the line is cut off: the campaign was interrupted while it wrote; {whole} it",
        remedy="run the campaign again, or delete that line in a copy to read the whole ones",
    )


def _read_text(path: Path, *, remedy: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"{path}: cannot be read: {cause}", remedy=remedy) from error


@contextmanager
def _reading(path: Path, line: int) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise InputError(f"{path}:{line}: {error}", remedy="restore the file from a copy") from error


@contextmanager
def _storing(what: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        free = _free_space(path)
        raise MachineError(
            f"{what} could not be stored in {path}: {error.strerror}",
            remedy=f"make the directory writable and leave it space ({free}), then run again",
        ) from error


def _free_space(path: Path) -> str:
    existing = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    return f"{shutil.disk_usage(existing).free // 2**20} MiB are free there"


def _directory(path: Path) -> Path:
    with _storing("raw output", path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def _write(path: Path, text: str) -> None:
    with _storing(path.name, path.parent):
        path.write_text(text, encoding="utf-8", errors="surrogateescape")


def _boot_path(path: Path, index: int) -> Path:
    return path / RAW / f"boot-{index:04d}"


def _point_latest(root: Path, name: str) -> None:
    fresh = root / f".{LATEST}-{name}"
    with _storing(f"the link {LATEST}", root):
        fresh.symlink_to(name, target_is_directory=True)
        fresh.replace(root / LATEST)
