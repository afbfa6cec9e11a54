# SPDX-License-Identifier: MIT
"""Which cells are compared with which, and what each comparison means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kmlbench.model import Kernel, Prefix, Trial, Variant

STOCK_USR = Variant(kernel=Kernel.STOCK, prefix=Prefix.USR)
STOCK_TRUSTED = Variant(kernel=Kernel.STOCK, prefix=Prefix.TRUSTED)
KML_USR = Variant(kernel=Kernel.KML, prefix=Prefix.USR)
KML_TRUSTED = Variant(kernel=Kernel.KML, prefix=Prefix.TRUSTED)

CELLS = (STOCK_USR, STOCK_TRUSTED, KML_USR, KML_TRUSTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """treated over control, and what their ratio isolates."""

    treated: Variant
    control: Variant
    isolates: str

    def __str__(self) -> str:
        return f"{self.treated} against {self.control}"


PRIMARY = Comparison(treated=KML_TRUSTED, control=STOCK_USR, isolates="all of it: kernel and privilege")

COMPARISONS = (
    PRIMARY,
    Comparison(treated=KML_TRUSTED, control=KML_USR, isolates="privilege alone"),
    Comparison(
        treated=KML_USR, control=STOCK_USR, isolates="what the patched kernel costs ordinary programs"
    ),
    Comparison(
        treated=STOCK_TRUSTED, control=STOCK_USR, isolates="path and file placement: should be nothing"
    ),
)


def planned_cells(plan: Sequence[Trial]) -> tuple[Variant, ...]:
    """The cells of a plan, in the order of CELLS."""
    planned = {trial.variant for trial in plan}
    return tuple(cell for cell in CELLS if cell in planned)


def planned_comparisons(plan: Sequence[Trial]) -> tuple[Comparison, ...]:
    """The comparisons whose two cells are both planned."""
    planned = {trial.variant for trial in plan}
    return tuple(one for one in COMPARISONS if {one.treated, one.control} <= planned)


def planned_workloads(plan: Sequence[Trial]) -> tuple[str, ...]:
    """The workloads of a plan, by name."""
    return tuple(sorted({trial.workload for trial in plan}))
