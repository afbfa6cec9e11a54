# SPDX-License-Identifier: MIT
"""The report of a stored campaign: derived files beside the record, one of them an offline HTML page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kmlbench.analysis import control, frames, measurements
from kmlbench.analysis import cost_model as model
from kmlbench.analysis.cost_model import CostModel
from kmlbench.analysis.frames import SAMPLES
from kmlbench.analysis.measurements import Noise
from kmlbench.errors import MachineError
from kmlbench.prices import pricelist
from kmlbench.prices.pricelist import PriceList
from kmlbench.progress import Progress, Silent
from kmlbench.report import page, render
from kmlbench.report.page import COSTS, FIGURES, PRICES, Page
from kmlbench.results import reader
from kmlbench.results.reader import StoredCampaign
from kmlbench.storage import write_whole

REPORT, DATA = "report.html", "report.json"

WRITABLE = "make the directory writable and free some space, then run kmlbench report again"


def write_report(
    directory: Path,
    *,
    beside: Path | None = None,
    cost_model: Path | None = None,
    prices: Sequence[PriceList] = (),
    progress: Progress | None = None,
) -> Path:
    """Derive samples.parquet, figures/ and the report from the campaign in `directory`; the page's path.

    The report is report.html, and report.json with the same as data. `beside` is the A/A control whose
    half-width is shown with every effect; by default the newest matching one in the same results directory,
    if there is any. `cost_model` is a file of costs for the projection; a copy is kept with the report as
    costs.json. `prices` are those that the counted instructions are projected at; copies are kept in prices/.
    `progress` is told what is missing of the record, and what ran in more than one mode. Raises InputError
    when the campaign or the file is damaged, MachineError when the files cannot be written.
    """
    stored = reader.read_campaign(directory)
    for note in stored.notes:
        (progress or Silent()).note(note)
    noise = control.find_control(stored) if beside is None else control.named(beside, stored)
    costs = None if cost_model is None else model.read_cost_model(cost_model)
    derived = derive(stored, stored.directory, noise=noise, costs=costs, prices=prices)
    for warning in (warning for part in derived.sections for warning in part.warnings):
        (progress or Silent()).note(warning)
    return stored.directory / REPORT


def derive(
    stored: StoredCampaign,
    directory: Path,
    *,
    noise: Noise | None,
    costs: CostModel | None = None,
    prices: Sequence[PriceList] = (),
) -> Page:
    """The same, from a campaign already read, into any directory; the page as data."""
    source = measurements.source(stored, noise=noise)
    with _writing(directory):
        frames.write_parquet(frames.samples_frame(stored), directory / SAMPLES)
        _keep(directory / COSTS, costs)
        _keep_prices(directory / PRICES, prices)
        drawings = _fresh(directory / FIGURES)
        derived = page.make_page(stored, source, drawings, costs=costs, prices=prices)
        write_whole(directory / DATA, f"{json.dumps(page.as_data(derived), indent=1)}\n".encode())
        write_whole(directory / REPORT, render.html(derived).encode())
    return derived


def _keep(path: Path, costs: CostModel | None) -> None:
    if costs is None:
        path.unlink(missing_ok=True)
    else:
        path.write_text(model.cost_model_json(costs), encoding="utf-8")


def _keep_prices(path: Path, lists: Sequence[PriceList]) -> None:
    """Copies, in order; no directory without any."""
    if not lists:
        shutil.rmtree(path, ignore_errors=True)
        return
    _fresh(path)
    for number, prices in enumerate(lists, 1):
        (path / f"{number:02d}.toml").write_text(pricelist.toml(prices), encoding="utf-8")


def kept_prices(directory: Path) -> tuple[PriceList, ...]:
    """The copies beside a report, in order. Raises InputError where one is damaged."""
    return tuple(pricelist.read(path) for path in sorted((directory / PRICES).glob("*.toml")))


def _fresh(path: Path) -> Path:
    """An empty directory: a figure that is no longer drawn must not look like one of this report."""
    if path.is_symlink():
        # What rmtree says of one depends on the version of Python.
        raise MachineError(
            f"the report could not be written to {path.parent}: {path.name} is a symbolic link",
            remedy=f"remove {path}, then run kmlbench report again",
        )
    if path.exists():
        shutil.rmtree(path)
    path.mkdir()
    return path


@contextmanager
def _writing(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MachineError(
            f"the report could not be written to {directory}: {error.strerror or error}",
            remedy=WRITABLE,
        ) from error
