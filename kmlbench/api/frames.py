# SPDX-License-Identifier: MIT
"""The public API: effects and explanations as tidy DataFrames, and the stored campaigns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa

from kmlbench.analysis import control, explanation, measurements, projection
from kmlbench.analysis.cost_model import read_cost_model
from kmlbench.analysis.explanation import UNITS, Explained
from kmlbench.analysis.frames import SAMPLES
from kmlbench.analysis.measurements import Source
from kmlbench.analysis.projection import Projected
from kmlbench.errors import InputError
from kmlbench.model import Measure
from kmlbench.plan.comparisons import WORK, Comparison, amount_of_work
from kmlbench.results import profiles, reader
from kmlbench.results.profiles import Derived
from kmlbench.results.reader import StoredCampaign
from kmlbench.stats import intervals
from kmlbench.stats.intervals import MARGIN, Absent, Estimate, Interval
from kmlbench.workloads.registry import METRICS, known_adapter

EFFECTS = {
    "campaign": "str",
    "platform": "str",
    "workload": "str",
    "process": "str",
    "metric": "str",
    "comparison": "str",
    "change_percent": "Float64",
    "low": "Float64",
    "high": "Float64",
    "blocks": "Int64",
    "verdict": "str",
    "control_percent": "Float64",
    "reason": "str",
}

CAMPAIGNS = {
    "campaign": "str",
    "started_utc": "str",
    "platform": "str",
    "control": "bool",
    **dict.fromkeys(WORK, "str"),
    "trials": "int64",
    "completed": "int64",
    "title": "str",
}


def effects(*paths: str | Path) -> pd.DataFrame:
    """Every comparison of every measure of the campaigns in `paths`, one row each; copies count once.

    `change_percent` is that of the treated cell against the other, with its interval in `low` and `high`;
    if there is none, `reason` says why. `verdict` is one of stats.intervals.Verdict for a margin of one
    percent, and missing if there is no estimate. `control_percent` is the half-width of the newest matching
    A/A control in the same directory, missing if there is none.

    Raises InputError on damage.
    """
    stored_campaigns = _without_copies(reader.read_campaign(Path(path)) for path in paths)
    return _effects(row for stored in stored_campaigns for row in _of_campaign(stored, _with_control(stored)))


def effects_of(stored: StoredCampaign, source: Source) -> pd.DataFrame:
    """The same for one campaign already read; `source` has its measurements and its control."""
    return _effects(_of_campaign(stored, source))


def _effects(rows: Iterable[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(EFFECTS)).astype(EFFECTS)


def _with_control(stored: StoredCampaign) -> Source:
    return measurements.source(stored, noise=control.find_control(stored))


def campaigns(results: str | Path) -> pd.DataFrame:
    """The campaigns stored below the directory `results`, one row each, oldest first.

    `campaign` is the name that the campaign got when it began, as in the frames of samples, whatever its
    directory is called now; of copies the one with most trials is listed. Links are left out. `server`,
    `scale`, `loops` and `rate` are the options that decide how much work a trial does, or "not given".

    Raises InputError on damage.
    """
    directories = (path.parent for path in sorted(Path(results).glob("*/campaign.json")))
    stored = _without_copies(reader.read_campaign(path) for path in directories if not path.is_symlink())
    rows = [_campaign(campaign) for campaign in stored]
    frame = pd.DataFrame(rows, columns=list(CAMPAIGNS)).astype(CAMPAIGNS)
    return frame.sort_values(["started_utc", "campaign"], ignore_index=True)


def metrics() -> pd.DataFrame:
    """What can be measured, one row each, in the order of the report.

    `unit` is the stored one, `processes` are those that it is measured of, `section` is the part of the
    report that has its tables (empty: none), `better` is the direction of an improvement: less, more or
    neither. System calls that `calls_…` workloads count by name are further metrics, as many as were seen.
    """
    rows = [
        {
            "metric": metric.name,
            "unit": metric.unit,
            "processes": ", ".join(metric.processes),
            "section": metric.section.title if metric.section else "",
            "better": str(metric.better),
        }
        for metric in METRICS.values()
    ]
    return pd.DataFrame(rows, dtype="str")


def sample_files(results: str | Path) -> list[str]:
    """The Parquet files of the campaigns below the directory `results`, for any Arrow engine.

    Links and copies are left out. Raises InputError if there are none, or on damage.
    """
    paths = sorted(path for path in Path(results).glob(f"*/{SAMPLES}") if not path.parent.is_symlink())
    stored = _without_copies(reader.read_campaign(path.parent) for path in paths)
    if not paths:
        raise InputError(
            f"no campaign in {results} has its {SAMPLES}",
            remedy="name the directory of the campaigns; `kmlbench report DIR` writes the file of one",
        )
    return [str(Path(results) / campaign.directory.name / SAMPLES) for campaign in stored]


def _without_copies(stored: Iterable[StoredCampaign]) -> list[StoredCampaign]:
    """Each campaign once: the copy in which most trials ended, the first of equal ones."""
    fullest: dict[str, StoredCampaign] = {}
    for campaign in stored:
        before = fullest.setdefault(campaign.name, campaign)
        if len(campaign.outcomes) > len(before.outcomes):
            fullest[campaign.name] = campaign
    return list(fullest.values())


def profile(path: str | Path) -> pd.DataFrame:
    """Where the instructions of the campaign in `path` went, one row for each function of each trial.

    `instructions` are those of a round (docs/numbers.md); the rows of a trial add up to its samples.
    `process` is server, client or other, `side` user or kernel, `object` the kernel or the name of a file.
    A function without a symbol is "[unknown]". Empty where no trial was recorded by the instrument.

    Raises InputError on damage.
    """
    return _recorded(Path(path), profiles.PROFILE)


def windows(path: str | Path) -> pd.DataFrame:
    """The windows of the trials of the campaign in `path`, one row for each process and side.

    `work` is what was done in the window, `instructions` are those of one unit of it. Otherwise as `profile`.
    """
    return _recorded(Path(path), profiles.WINDOW_TABLE)


def _recorded(path: Path, table: Derived) -> pd.DataFrame:
    """The tables of all trials as one frame."""
    stored = reader.read_campaign(path)
    own = stored.own
    trials = ((outcome.trial, known_adapter(outcome.trial.workload, own)) for outcome in stored.completed)
    tables = (table.read(stored.directory, trial, adapter) for trial, adapter in trials if adapter)
    empty = table.schema.empty_table()
    joined = pa.concat_tables([empty, *(table for table in tables if table is not None)])
    frame: pd.DataFrame = joined.to_pandas()
    texts = [field.name for field in table.schema if field.type == pa.string()]
    return frame.astype(dict.fromkeys(texts, "str"))


def _campaign(stored: StoredCampaign) -> dict[str, object]:
    campaign = stored.campaign
    return {
        "campaign": stored.name,
        "started_utc": campaign.started_utc,
        "platform": campaign.platform,
        "control": campaign.control,
        **amount_of_work(campaign.options),
        "trials": len(campaign.plan),
        "completed": len(stored.completed),
        "title": campaign.title,
    }


def _of_campaign(stored: StoredCampaign, source: Source) -> Iterator[dict[str, object]]:
    for measure in _ordered({measure for measure, _ in source.values}):
        for comparison in source.comparisons:
            yield {
                "campaign": stored.name,
                "platform": stored.campaign.platform,
                **_effect(source, measure, comparison),
            }


def _ordered(measures: Iterable[Measure]) -> list[Measure]:
    return sorted(measures, key=lambda measure: (measure.workload, measure.metric, measure.process))


def _effect(source: Source, measure: Measure, comparison: Comparison) -> dict[str, object]:
    half_width = source.noise.half_widths.get(measure) if source.noise else None
    return {
        "workload": measure.workload,
        "process": str(measure.process),
        "metric": measure.metric,
        "comparison": str(comparison),
        "control_percent": None if half_width is None else 100 * half_width,
        **_numbers(source.ratio(measure, comparison)),
    }


def _numbers(ratio: intervals.Estimate) -> dict[str, object]:
    match ratio:
        case Absent():
            return {"blocks": 0, "reason": ratio.reason}
        case Interval():
            return {
                "change_percent": _percent(ratio.estimate),
                "low": _percent(ratio.low),
                "high": _percent(ratio.high),
                "blocks": ratio.blocks,
                "verdict": str(intervals.verdict(ratio, margin=MARGIN)),
                "reason": ratio.unbounded,
            }


def _percent(ratio: float | None) -> float | None:
    return None if ratio is None else 100 * (ratio - 1)


TYPES = {
    "campaign": "str",
    "workload": "str",
    "comparison": "str",
    "process": "str",
    "costs": "str",
    "quantity": "str",
    "unit": "str",
    "estimate": "Float64",
    "low": "Float64",
    "high": "Float64",
    "blocks": "Int64",
    "reason": "str",
}


def explain(path: str | Path, *, cost_model: str | Path | None = None) -> pd.DataFrame:
    """Why the workloads of the campaign in `path` take less in kernel mode, one row per quantity.

    The quantities are those of analysis.explanation, with their stored units: nanoseconds (instructions under
    the instruction clock), shares of the CPU of the cell compared with, calls per CPU second. Where there is
    no estimate, or no interval, the numbers are missing and `reason` says why. `costs` is "measured"; with
    the file of `cost_model` there are further rows, whose `costs` is "projection: " and the name in the file.

    Raises InputError on damage of either.
    """
    stored = reader.read_campaign(Path(path))
    return explanation_of(stored, measurements.source(stored), cost_model)


def explanation_of(
    stored: StoredCampaign, source: Source, cost_model: str | Path | None = None
) -> pd.DataFrame:
    """The same for one campaign already read."""
    rows = [*_rows(explanation.explained(source), stored.name, "measured")]
    if cost_model is not None:
        model = read_cost_model(Path(cost_model))
        projected = projection.projected(source, model)
        rows += _rows(projected, stored.name, f"projection: {model.name}")
    return pd.DataFrame(rows, columns=list(TYPES)).astype(TYPES)


def _rows(
    explained: tuple[Explained, ...] | tuple[Projected, ...], campaign: str, costs: str
) -> Iterator[dict[str, object]]:
    for row in explained:
        for quantity, estimate in row.estimates.items():
            yield {
                "campaign": campaign,
                "workload": row.workload,
                "comparison": str(row.comparison),
                "process": str(row.process),
                "costs": costs,
                "quantity": str(quantity),
                "unit": UNITS[quantity],
                **_explained_numbers(estimate),
            }


def _explained_numbers(estimate: Estimate) -> dict[str, object]:
    match estimate:
        case Absent():
            return {"blocks": 0, "reason": estimate.reason}
        case Interval():
            numbers = {"estimate": estimate.estimate, "low": estimate.low, "high": estimate.high}
            return {**numbers, "blocks": estimate.blocks, "reason": estimate.unbounded}
