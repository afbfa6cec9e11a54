# SPDX-License-Identifier: MIT
"""A/A controls: the noise that they measure, and which control belongs to a campaign."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from kmlbench.analysis import measurements
from kmlbench.analysis.measurements import Noise
from kmlbench.errors import InputError
from kmlbench.model import PlannedCampaign
from kmlbench.plan.comparisons import WORK, amount_of_work
from kmlbench.results import reader
from kmlbench.results.reader import StoredCampaign
from kmlbench.stats.intervals import Interval

# What determines the noise of a machine. A fact that neither campaign recorded counts as equal.
MACHINE = (
    "accelerator",
    "controller_cpu",
    "cpu_flags_sha256",
    "cpu_model",
    "cpus",
    "qemu_version",
)


def noise(control: StoredCampaign, stored: StoredCampaign) -> Noise:
    """The half-widths of a control of `stored`, relative, of every measure whose arms have an interval."""
    source = measurements.source(control)
    half_widths = {}
    for measure in {measure for measure, _ in source.values}:
        ratio = source.ratio(measure, source.primary)
        if isinstance(ratio, Interval) and ratio.half_width is not None:
            half_widths[measure] = ratio.half_width
    return Noise(
        name=control.name,
        blocks=len({outcome.trial.block for outcome in control.completed}),
        place=os.path.relpath(control.directory, stored.directory),
        half_widths=half_widths,
    )


def named(directory: Path, stored: StoredCampaign) -> Noise:
    """The noise of the control in `directory`. Raises InputError if it is not one, or of another machine."""
    control = reader.read_campaign(directory)
    if reason := _unfit(control.campaign, stored.campaign) or _other_machine(control, stored):
        raise InputError(
            f"{directory} is not a control for {stored.name}: {reason}",
            remedy="name a campaign of `run-benchmark --control` with the same machine and options",
        )
    return noise(control, stored)


def control_at(place: str, stored: StoredCampaign, *, name: str = "") -> Noise:
    """The noise of the control that a report of `stored` names; looked for beside the campaign if it moved.

    `name` is the control campaign's: it is known by it if its directory has another name by now.

    Raises InputError if it is in neither place, or no longer matches the campaign.
    """
    renamed = (path for campaign, path in _neighbours(stored) if campaign.name == name)
    for directory in (stored.directory / place, stored.directory.parent / Path(place).name, *renamed):
        if _is_there(directory):
            return replace(named(directory, stored), place=place)
    raise InputError(
        f"{stored.directory / place}: the A/A control that the report names is missing",
        remedy="copy it back, or run `kmlbench report DIR` to derive the report without it",
    )


def _is_there(directory: Path) -> bool:
    try:
        return directory.is_dir()
    except OSError:
        # Such as a name that is too long.
        return False


def find_control(stored: StoredCampaign) -> Noise | None:
    """The noise of the newest matching control beside a campaign; None if there is none, or for a control.

    A damaged neighbour is ignored, since the report is not about it; so is one without any
    interval, such as a control that was interrupted in its first block.
    """
    if stored.campaign.control:
        return None
    newest_first = sorted(_neighbours(stored), key=lambda neighbour: neighbour[0].started_utc, reverse=True)
    for _, directory in newest_first:
        try:
            control = reader.read_campaign(directory)
        except InputError:
            continue
        if not _other_machine(control, stored) and (candidate := noise(control, stored)).half_widths:
            return candidate
    return None


def _neighbours(stored: StoredCampaign) -> Iterator[tuple[PlannedCampaign, Path]]:
    for path, campaign in reader.campaigns_below(stored.directory.parent).items():
        if not _unfit(campaign, stored.campaign):
            yield campaign, path


def _unfit(control: PlannedCampaign, campaign: PlannedCampaign) -> str:
    """Why a campaign does not match another as its control, or nothing."""
    if not control.control:
        return "it is not an A/A control"
    if control.platform != campaign.platform:
        return f"it ran on {control.platform}, not on {campaign.platform}"
    ours, theirs = amount_of_work(campaign.options), amount_of_work(control.options)
    differing = [name for name in WORK if ours[name] != theirs[name]]
    return f"different {' and '.join(differing)}" if differing else ""


def _other_machine(control: StoredCampaign, stored: StoredCampaign) -> str:
    ours, theirs = (next((boot.facts for boot in campaign.facts), {}) for campaign in (stored, control))
    differing = [name for name in MACHINE if ours.get(name) != theirs.get(name)]
    return f"different {' and '.join(differing)}" if differing else ""
