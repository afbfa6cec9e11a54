# SPDX-License-Identifier: MIT
"""Which cells are compared with which, and what each comparison means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kmlbench.model import Kernel, Prefix, Trial, Variant
from kmlbench.workloads.levels import split_level

STOCK_USR = Variant(kernel=Kernel.STOCK, prefix=Prefix.USR)

STOCK_TRUSTED = Variant(kernel=Kernel.STOCK, prefix=Prefix.TRUSTED)

KML_USR = Variant(kernel=Kernel.KML, prefix=Prefix.USR)

KML_TRUSTED = Variant(kernel=Kernel.KML, prefix=Prefix.TRUSTED)

# The arms of a control: the second is compared with the first.
ARMS = ("A", "B")

CHANCE = "the same cell twice: nothing but chance"

# The options of a campaign that determine how much work its trials do.
WORK = ("server", "scale", "loops", "rate")

CELLS = (STOCK_USR, STOCK_TRUSTED, KML_USR, KML_TRUSTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """treated over control, and what their ratio isolates."""

    treated: Variant
    control: Variant
    isolates: str

    def __str__(self) -> str:
        return f"{self.treated} against {self.control}"


PRIMARY = Comparison(treated=KML_TRUSTED, control=STOCK_USR, isolates="everything: kernel and privilege")

PLACEBO = Comparison(
    treated=STOCK_TRUSTED, control=STOCK_USR, isolates="path and file placement: should show nothing"
)

COMPARISONS = (
    PRIMARY,
    Comparison(treated=KML_TRUSTED, control=KML_USR, isolates="privilege alone"),
    Comparison(
        treated=KML_USR, control=STOCK_USR, isolates="what the patched kernel costs ordinary programs"
    ),
    PLACEBO,
)


def amount_of_work(options: Mapping[str, str]) -> dict[str, str]:
    """How much work the trials of a campaign with these options do, by the names of WORK."""
    return {name: options.get(name, "not given") for name in WORK}


def cell_of(trial: Trial, *, control: bool) -> Variant:
    """The cell that a trial's numbers belong to: its variant, and in a control its arm."""
    if not control:
        return trial.variant
    return replace(trial.variant, arm=arm_of(block=trial.block, boot=trial.boot))


def arm_of(*, block: int, boot: int) -> str:
    """The arm of a control that a boot belongs to, in ABBA order: every block boots each arm once."""
    return ARMS[(block + boot) % len(ARMS)]


def planned_cells(plan: Sequence[Trial], *, control: bool = False) -> tuple[Variant, ...]:
    """The cells of a plan, in the order of CELLS."""
    planned = {cell_of(trial, control=control) for trial in plan}
    return tuple(sorted(planned, key=lambda cell: (CELLS.index(replace(cell, arm="")), cell.arm)))


def planned_comparisons(plan: Sequence[Trial], *, control: bool = False) -> tuple[Comparison, ...]:
    """The comparisons whose two cells are both planned; those of a control are between its arms."""
    cells = planned_cells(plan, control=control)
    if control:
        first, second = ARMS
        treated = [cell for cell in cells if cell.arm == second]
        return tuple(
            Comparison(treated=cell, control=replace(cell, arm=first), isolates=CHANCE) for cell in treated
        )
    return tuple(
        comparison for comparison in COMPARISONS if {comparison.treated, comparison.control} <= set(cells)
    )


def primary(plan: Sequence[Trial], *, control: bool = False) -> Comparison:
    """The comparison that answers a campaign's question, even if its cells are not planned."""
    return next(iter(planned_comparisons(plan, control=control)), PRIMARY) if control else PRIMARY


def planned_workloads(plan: Sequence[Trial]) -> tuple[str, ...]:
    """The workloads of a plan, by name, and by their levels."""
    return tuple(sorted({trial.workload for trial in plan}, key=split_level))
