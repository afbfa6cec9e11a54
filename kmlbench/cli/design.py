# SPDX-License-Identifier: MIT
"""The options of `run-benchmark` that shape the experiment itself: an A/A control, and when to stop."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

from kmlbench.cli.parser import parse_share
from kmlbench.config.campaign import CampaignSpec
from kmlbench.config.yamlfile import Faults, suggestion
from kmlbench.errors import InputError
from kmlbench.model import Kernel, Stopping, Trial, Variant
from kmlbench.plan import schedule, stopping
from kmlbench.plan.comparisons import CELLS, STOCK_USR
from kmlbench.plan.question import main_workload
from kmlbench.workloads.registry import NONE, Own, find_adapter, has_server, need_server


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The cell of a control and the relative half-width at which to stop; each None if not requested."""

    control: Variant | None
    half_width: float | None
    options: Mapping[str, str]

    @property
    def kernels(self) -> frozenset[Kernel]:
        """The kernels that it boots."""
        return frozenset(Kernel) if self.control is None else frozenset({self.control.kernel})

    def trials(self, spec: CampaignSpec, seed: int) -> tuple[Trial, ...]:
        """The plan, in order."""
        served = need_server(spec.levels, spec.own)
        if self.control is None:
            return schedule.make_schedule(CELLS, served, blocks=spec.blocks, seed=seed)
        return schedule.make_control(self.control, served, blocks=spec.blocks, seed=seed)

    def rule(self, trials: tuple[Trial, ...], own: Own = NONE) -> Stopping | None:
        """The rule that may end the campaign before its plan does."""
        if self.half_width is None:
            return None
        workload = main_workload(trials)
        return stopping.stopping_rule(
            self.half_width, workload=workload, served=has_server(find_adapter(workload, own))
        )


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--stop-at",
        metavar="P%",
        help="end before --blocks when the main interval's half-width is at most this, such as 0.5%%",
    )
    parser.add_argument(
        "--control",
        nargs="?",
        const=str(STOCK_USR),
        metavar="CELL",
        help=f"an A/A control: boot one cell twice in each block ({STOCK_USR})",
    )


def parse_design(arguments: argparse.Namespace, faults: Faults) -> Design:
    """The design that the options describe; their faults are added to `faults`."""
    return Design(
        control=_cell(arguments.control, faults),
        half_width=_half_width(arguments.stop_at, faults),
        options={
            name: text
            for name, text in (("control", arguments.control), ("stop_at", arguments.stop_at))
            if text is not None
        },
    )


def require_usable_rule(design: Design, spec: CampaignSpec) -> None:
    """Raises InputError for a rule that would never be evaluated."""
    if design.half_width is not None and spec.blocks <= stopping.FIRST:
        raise InputError(
            f"--stop-at: the first look is after {stopping.FIRST} blocks, and the campaign has {spec.blocks}",
            remedy=f"set --blocks to the maximum, {stopping.FIRST + stopping.EVERY} or more",
        )


def _cell(text: str | None, faults: Faults) -> Variant | None:
    known = {str(cell): cell for cell in CELLS}
    if text is not None and text not in known:
        faults.add("--control", f"unknown cell: {text!r}{suggestion(text, known)}")
    return None if text is None else known.get(text)


def _half_width(text: str | None, faults: Faults) -> float | None:
    try:
        return None if text is None else parse_share("--stop-at", text)
    except InputError as error:
        faults.messages += error.faults
        return None
