# SPDX-License-Identifier: MIT
"""The directory of a campaign, written while it runs: one flushed line per trial. results.reader reads it.

campaign.json, outcomes.jsonl and raw/ are the record and are never edited; everything else in the
directory is derived from them. Every line of JSON is sealed with a checksum. One process writes at a time:
it holds a lock on outcomes.jsonl, which is released when the process ends, for whatever reason.

Raises MachineError where this machine cannot store something.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Container, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from kmlbench import paths
from kmlbench.errors import InputError, MachineError
from kmlbench.interruptions import LostBlock, Resumption
from kmlbench.model import BootFacts, CommandResult, Kernel, Outcome, PlannedCampaign, Trial
from kmlbench.results import codec
from kmlbench.results.reader import (
    CAMPAIGN,
    FACTS,
    OUTCOMES,
    StoredCampaign,
    boot_path,
    file_digests,
    raw_path,
    read_campaign,
)
from kmlbench.storage import locked, sync, write_whole

__all__ = ["BootFacts", "CampaignDirectory", "PlannedCampaign", "StoredCampaign", "create", "read_campaign"]

LATEST = "latest"

# The errors of a disk that accepts no more data.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignDirectory:
    """A campaign that is being written. Made by `create` and `reopen`, which close it.

    `outcomes` is the file descriptor of outcomes.jsonl; `resumption` counts how often it was resumed.
    """

    path: Path
    outcomes: int
    resumption: int = 0

    def append(self, outcome: Outcome) -> None:
        """Add a line to outcomes.jsonl; it is on the disk when this returns, with the trial's raw output.

        The line has the digests of that output.
        """
        path = raw_path(self.path, outcome.trial)
        with storing(f"the outcome of trial {outcome.trial.id}", self.path):
            _sync(path)
            self._append(codec.outcome_text(replace(outcome, raw=file_digests(path))))

    def resume(self, resumption: Resumption) -> None:
        """Add the line that records what an interruption cost."""
        with storing("the resumption", self.path):
            self._append(codec.resumption_text(resumption))

    def lose(self, lost: LostBlock) -> None:
        """Add the line after which what had ended of a block does not count."""
        with storing(f"the loss of block {lost.block}", self.path):
            self._append(codec.lost_block_text(lost))

    def raw(self, trial: Trial) -> Path:
        """The directory of a trial's raw output."""
        return _directory(raw_path(self.path, trial))

    def boot(self, index: int) -> Path:
        """The directory of a boot's raw output."""
        return _directory(boot_path(self.path, index, self.resumption))

    def facts(self, index: int, kernel: Kernel, facts: Mapping[str, str]) -> None:
        """Store the facts of boot `index`."""
        boot = BootFacts(boot=index, kernel=kernel, facts=facts, resumption=self.resumption)
        _write_whole(self.boot(index) / FACTS, codec.facts_text(boot))

    def write_step(self, trial: Trial, index: int, step_name: str, result: CommandResult) -> Path:
        """Store a step's argv.json, stdout and stderr; returns the directory, for further files."""
        path = _directory(self.raw(trial) / f"{index:02d}-{step_name.replace('/', '-')}")
        write_file(path / "argv.json", codec.command_text(result))
        write_file(path / "stdout", result.stdout)
        write_file(path / "stderr", result.stderr)
        return path

    def _append(self, line: str) -> None:
        """Write the whole line or none of it: another pair of hosts may write the next."""
        end = os.fstat(self.outcomes).st_size
        try:
            _write_all(self.outcomes, line.encode())
            os.fsync(self.outcomes)
        except BaseException:
            with suppress(OSError):
                os.ftruncate(self.outcomes, end)
            raise


@contextmanager
def create(root: Path, campaign: PlannedCampaign) -> Iterator[CampaignDirectory]:
    """Make the directory of `campaign` below `root` and point root/latest to it.

    It is a campaign as soon as its campaign.json exists.
    """
    path = root / campaign.name
    with storing("the campaign", path):
        path.mkdir(parents=True)
    with _locked(path, os.O_CREAT | os.O_EXCL) as outcomes:
        _write_whole(path / CAMPAIGN, codec.campaign_text(campaign))
        _point_latest(root, path.name)
        yield CampaignDirectory(path=path, outcomes=outcomes)


@contextmanager
def reopen(path: Path) -> Iterator[tuple[CampaignDirectory, StoredCampaign]]:
    """Reopen the campaign in `path`: the directory to write to, and what it holds so far.

    Anything after the last whole line is cut off. Raises InputError when the campaign is damaged or
    another process is writing to it.
    """
    with _locked(path) as outcomes:
        with storing(OUTCOMES, path):
            _cut_back(outcomes)
            _link(path.parent, path.name).unlink(missing_ok=True)
        stored = read_campaign(path)
        yield (
            CampaignDirectory(path=path, outcomes=outcomes, resumption=len(stored.resumptions) + 1),
            stored,
        )


def is_written(path: Path) -> bool:
    """Whether a process holds the campaign in `path`."""
    try:
        with _locked(path):
            return False
    except InputError:
        return True


def write_file(path: Path, text: str) -> None:
    """Write a file of the record. Raises MachineError."""
    with storing(path.name, path.parent):
        path.write_text(text, encoding="utf-8", errors="surrogateescape")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a binary file of the record. Raises MachineError."""
    with storing(path.name, path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@contextmanager
def storing(what: str, path: Path, *, only: Container[int | None] | None = None) -> Iterator[None]:
    """Turn an OSError while `what` is stored into a MachineError; with `only`, other error numbers pass."""
    try:
        yield
    except OSError as error:
        if only is not None and error.errno not in only:
            raise
        free = _free_space(path)
        raise MachineError(
            f"{what} could not be stored in {path}: {error.strerror}",
            remedy=f"make the directory writable and free some space ({free}), then run again",
        ) from error


@contextmanager
def _locked(path: Path, flags: int = 0) -> Iterator[int]:
    with ExitStack() as stack:
        with storing(OUTCOMES, path):
            try:
                outcomes = locked(path / OUTCOMES, wait=False, flags=os.O_APPEND | flags, mode=0o666)
                descriptor = stack.enter_context(outcomes)
            except BlockingIOError as error:
                raise InputError(
                    f"{path}: this campaign is running: another process is writing to it",
                    remedy="wait until it ends, or end that process",
                ) from error
        yield descriptor


def _cut_back(descriptor: int) -> None:
    """Cut the file back to its whole lines (docs/decisions/0007)."""
    end = os.fstat(descriptor).st_size
    whole = end
    while whole and os.pread(descriptor, 1, whole - 1) != b"\n":
        whole -= 1
    if whole < end:
        os.ftruncate(descriptor, whole)
        os.fsync(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    """Write all of it: a disk that fills up accepts a part and rejects the rest."""
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def _sync(directory: Path) -> None:
    """Flush a directory and everything in it to the disk."""
    for parent, _, names in os.walk(directory, topdown=False):
        for path in (*(Path(parent) / name for name in names), Path(parent)):
            sync(path)


def _free_space(path: Path) -> str:
    return f"{shutil.disk_usage(paths.existing(path)).free // 2**20} MiB are free there"


def _directory(path: Path) -> Path:
    with storing("raw output", path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def _write_whole(path: Path, text: str) -> None:
    """Write a file that is whole if it exists, even after a loss of power."""
    with storing(path.name, path.parent):
        _sync(path.parent)
        write_whole(path, text.encode(errors="surrogateescape"), durable=True)


def _point_latest(root: Path, name: str) -> None:
    fresh = _link(root, name)
    with storing(f"the link {LATEST}", root):
        fresh.symlink_to(name, target_is_directory=True)
        fresh.replace(root / LATEST)


def _link(root: Path, name: str) -> Path:
    """The link to a campaign before it becomes the newest."""
    return root / f".{LATEST}-{name}"
