# SPDX-License-Identifier: MIT
"""What system calls cost on a machine, as a file that `kmlbench costs` makes of a campaign with `syscalls`.

One JSON object:

    {"format": 1, "what": "kmlbench costs", "name": "…", "measured_utc": "…", "platform": "real hosts",
     "cpu_model": "…", "costs_ns": {"stock:/usr": {"getpid": [81.2, 80.9], …}, "kml:/trusted": {…}}}

The costs are those of call_{KIND}_ns of the workload `syscalls`: nanoseconds of an iteration of its loop, one
number for each block, in the same order in every cell and kind. stock:/usr and kml:/trusted must be there,
kml:/usr may. One number gives no interval. A file made by hand needs no checksum.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from kmlbench.analysis import measurements, syscall_costs
from kmlbench.analysis.platforms import meaning
from kmlbench.analysis.syscall_costs import KINDS, Savings
from kmlbench.errors import InputError
from kmlbench.model import Platform, Variant
from kmlbench.plan.comparisons import KML_TRUSTED, KML_USR, STOCK_USR, Comparison
from kmlbench.results import lines
from kmlbench.results.reader import StoredCampaign
from kmlbench.results.samples import LEAST_SIZE, MOST_SIZE

FORMAT, WHAT = 1, "kmlbench costs"

REQUIRED = (STOCK_USR, KML_TRUSTED)

PRICED_CELLS = (*REQUIRED, KML_USR)

REMEDY = "make the file with `kmlbench costs DIR` of a campaign with `syscalls` on the machine in question"

Costs = Mapping[Variant, Mapping[str, tuple[float, ...]]]


# Every call costs something, and no number may be too large or small to compute with.
_Costs = Annotated[tuple[Annotated[float, Meta(ge=LEAST_SIZE, le=MOST_SIZE)], ...], Meta(min_length=1)]


class _Header(Struct, frozen=True, kw_only=True):
    format: int
    what: str


class _Record(_Header, frozen=True, kw_only=True):
    name: str
    measured_utc: str
    platform: str
    cpu_model: str
    costs_ns: dict[str, dict[str, object]]


_HEADER = msgspec.json.Decoder(_Header)
_RECORD = msgspec.json.Decoder(_Record)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostModel:
    """The costs of one machine. `costs` are by cell and kind (syscall_costs.KINDS), nanoseconds by block."""

    name: str
    measured_utc: str
    platform: str
    cpu_model: str
    costs: Costs

    @property
    def blocks(self) -> int:
        """How many numbers each cost has."""
        return len(self.costs[STOCK_USR][syscall_costs.UNKNOWN])

    def by_block(self, cell: Variant, kind: str) -> Mapping[int, float]:
        """What a call of this kind costs in a cell, in nanoseconds, by block."""
        return {
            block: cost / syscall_costs.CALLS_OF.get(kind, 1)
            for block, cost in enumerate(self.costs[cell][kind])
        }

    def savings(self, comparison: Comparison) -> Savings | None:
        """What a call of each kind saves; None where the file lacks one of the cells."""
        cells = (comparison.control, comparison.treated)
        if any(cell not in self.costs for cell in cells):
            return None
        return {
            kind: syscall_costs.combine(
                lambda old, new: old - new, *(self.by_block(cell, kind) for cell in cells)
            )
            for kind in KINDS
        }


def cost_model_of(stored: StoredCampaign) -> CostModel:
    """The costs that a campaign measured, of its blocks that measured all.

    Raises InputError without any, and where a loop took no time: without its block, noise would choose.
    """
    if not meaning(stored.campaign.platform).claim:
        raise InputError(
            f"{stored.directory}: {stored.campaign.platform} says nothing about what a call costs",
            remedy="measure on real hosts, under KVM, or with `--clock instructions`",
        )
    source = measurements.source(stored)
    cells = [
        cell
        for cell in PRICED_CELLS
        if cell in REQUIRED or syscall_costs.loop(source, syscall_costs.UNKNOWN, cell)
    ]
    measured = {(cell, kind): syscall_costs.loop(source, kind, cell) for cell in cells for kind in KINDS}
    blocks = sorted(set.intersection(*(set(values) for values in measured.values())))
    if not blocks:
        raise InputError(
            f"{stored.directory}: no block has the costs of all system calls in stock:/usr and kml:/trusted",
            remedy="run `run-benchmark --workloads syscalls` on that machine",
        )
    for (cell, kind), values in measured.items():
        least = min(blocks, key=lambda block: values[block])
        if values[least] <= 0:
            raise InputError(
                f"{stored.directory}: call_{kind}_ns is {values[least]:.4g} in {cell}, block {least}: "
                "the loops were too short",
                remedy="run `run-benchmark --workloads syscalls` on that machine with a larger --scale",
            )
    seen = next((boot.facts.get("cpu_model", "") for boot in stored.facts), "")
    return CostModel(
        name=stored.name,
        measured_utc=stored.campaign.started_utc,
        platform=stored.campaign.platform,
        cpu_model=seen or "unknown",
        costs={
            cell: {kind: tuple(measured[cell, kind][block] for block in blocks) for kind in KINDS}
            for cell in cells
        },
    )


def cost_model_json(model: CostModel) -> str:
    """The content of the file: one sealed line."""
    record = _Record(
        format=FORMAT,
        what=WHAT,
        name=model.name,
        measured_utc=model.measured_utc,
        platform=model.platform,
        cpu_model=model.cpu_model,
        costs_ns={str(cell): {**kinds} for cell, kinds in model.costs.items()},
    )
    return lines.seal(record) + "\n"


def read_cost_model(path: Path) -> CostModel:
    """The costs in a file. Raises InputError that names what is wrong with it."""
    try:
        return _read(path.read_bytes().decode())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", remedy=REMEDY) from error
    except ValueError as error:
        raise InputError(f"{path}: {error}", remedy=REMEDY) from error


def _read(content: str) -> CostModel:
    header = lines.decode(content, _HEADER)
    if (header.what, header.format) != (WHAT, FORMAT):
        raise ValueError(f'not a file of "{WHAT}", format {FORMAT}')
    record = lines.decode(content, _RECORD)
    return CostModel(
        name=record.name,
        measured_utc=record.measured_utc,
        platform=_platform(record.platform),
        cpu_model=record.cpu_model,
        costs=_costs(record.costs_ns),
    )


def _platform(name: str) -> str:
    known = [str(platform) for platform in Platform if meaning(platform).claim]
    if name not in known:
        raise ValueError(f'field "platform" is "{name}", none of {", ".join(known)}')
    return name


def _costs(costs: Mapping[str, Mapping[str, object]]) -> Costs:
    """The costs by cell. Raises ValueError unless all cells have all kinds, with as many numbers each."""
    known = {str(cell): cell for cell in PRICED_CELLS}
    _require_names("cells", costs, needed=map(str, REQUIRED), known=known)
    for name, kinds in costs.items():
        _require_names(f"kinds in {name}", kinds, needed=KINDS, known=KINDS)
    by_cell: Costs = {
        known[name]: {
            kind: lines.convert(kinds[kind], _Costs, location=f"costs_ns.{name}.{kind}") for kind in KINDS
        }
        for name, kinds in costs.items()
    }
    counts = {len(values) for kinds in by_cell.values() for values in kinds.values()}
    if len(counts) > 1:
        raise ValueError(f'field "costs_ns" has lists of several lengths: {sorted(counts)}')
    return by_cell


def _require_names(what: str, given: Iterable[str], *, needed: Iterable[str], known: Collection[str]) -> None:
    names = set(given)
    if unknown := sorted(names - set(known)):
        raise ValueError(
            f'field "costs_ns" has unknown {what}: {", ".join(unknown)}; known: {", ".join(known)}'
        )
    if lacking := [name for name in needed if name not in names]:
        raise ValueError(f'field "costs_ns" lacks {what}: {", ".join(lacking)}')
