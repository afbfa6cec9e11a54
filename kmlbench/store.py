# SPDX-License-Identifier: MIT
"""The directory of a campaign: written while it runs, one flushed line per trial; kmlbench.stored reads it.

campaign.json, outcomes.jsonl and raw/ are the record and are never edited; everything else in the
directory is derived from them. Every line of JSON is sealed with a checksum. MachineError: this machine
cannot store something.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from kmlbench import fields
from kmlbench.errors import MachineError
from kmlbench.model import CommandResult, Kernel, Outcome, Trial
from kmlbench.records import BootFacts, Campaign, campaign_record, facts_record, outcome_record
from kmlbench.stored import CAMPAIGN, FACTS, OUTCOMES, StoredCampaign, boot_path, raw_path, read

__all__ = ["BootFacts", "Campaign", "CampaignDirectory", "StoredCampaign", "create", "read"]

LATEST = "latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignDirectory:
    """A campaign that is being written. Made by `create`, which closes it."""

    path: Path
    stream: TextIO

    def append(self, outcome: Outcome) -> None:
        """Add one line to outcomes.jsonl; it is on the disk when this returns."""
        with _storing(f"the outcome of trial {outcome.trial.id}", self.path):
            self.stream.write(fields.seal(outcome_record(outcome)) + "\n")
            self.stream.flush()
            os.fsync(self.stream.fileno())

    def raw(self, trial: Trial) -> Path:
        """The directory of a trial's raw output."""
        return _directory(raw_path(self.path, trial))

    def boot(self, index: int) -> Path:
        """The directory of a boot's raw output."""
        return _directory(boot_path(self.path, index))

    def facts(self, index: int, kernel: Kernel, facts: Mapping[str, str]) -> None:
        """Store what boot `index` said about itself."""
        record = facts_record(BootFacts(boot=index, kernel=kernel, facts=facts))
        _write(self.boot(index) / FACTS, fields.seal(record) + "\n")

    def write_step(self, trial: Trial, index: int, step_name: str, result: CommandResult) -> Path:
        """Store what a step left behind (argv.json, stdout, stderr); the directory, for further files."""
        path = _directory(self.raw(trial) / f"{index:02d}-{step_name.replace('/', '-')}")
        command = {"argv": list(result.argv), "returncode": result.returncode, "elapsed_s": result.elapsed_s}
        _write(path / "argv.json", fields.dump(command) + "\n")
        _write(path / "stdout", result.stdout)
        _write(path / "stderr", result.stderr)
        return path


@contextmanager
def create(root: Path, campaign: Campaign) -> Iterator[CampaignDirectory]:
    """Make the directory of `campaign` below `root` and point root/latest to it."""
    stamp = campaign.started_utc.replace("-", "").replace(":", "").split(".")[0].removesuffix("Z") + "Z"
    path = root / f"{stamp}-{campaign.id}"
    with _storing("the campaign", path):
        path.mkdir(parents=True)
    _write(path / CAMPAIGN, fields.seal(campaign_record(campaign)) + "\n")
    with (path / OUTCOMES).open("x", encoding="utf-8") as stream:
        _point_latest(root, path.name)
        yield CampaignDirectory(path=path, stream=stream)


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


def _point_latest(root: Path, name: str) -> None:
    fresh = root / f".{LATEST}-{name}"
    with _storing(f"the link {LATEST}", root):
        fresh.symlink_to(name, target_is_directory=True)
        fresh.replace(root / LATEST)
