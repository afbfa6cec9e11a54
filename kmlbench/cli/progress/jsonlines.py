# SPDX-License-Identifier: MIT
"""`run-benchmark --json`: the progress of a campaign for programs, one JSON object per line.

events.schema.json describes the lines. VERSION is incremented when a key is removed or changes its
meaning; new keys and new events do not change it.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from kmlbench.analysis.live import CampaignState
from kmlbench.analysis.primary import PrimaryRatio
from kmlbench.cli.progress.plain import Plain
from kmlbench.model import Boot, Completed, Failed, Trial, completed
from kmlbench.progress import (
    Begun,
    BlockLost,
    Event,
    Planned,
    Reported,
    Stage,
    StageBegun,
    TrialBegun,
    TrialEnded,
)
from kmlbench.stats.intervals import Absent, Interval

VERSION = 1

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]

Line = dict[str, Value]


def on_standard_output() -> JsonLines:
    """Events on standard output, what is for people on standard error."""
    return JsonLines(sys.stdout, notes=Plain(sys.stderr))


class JsonLines:
    """Writes events to `stream`; stages and notes go to `notes`, which is for people."""

    def __init__(self, stream: TextIO, notes: Plain) -> None:
        self._stream = stream
        self._notes = notes
        self._directory: Path | None = None
        self._report: Path | None = None

    def stage(self, name: str, *, total: int | None = None) -> None:
        self._notes.stage(name, total=total)

    def advance(self, count: int = 1) -> None:
        self._notes.advance(count)

    def note(self, text: str) -> None:
        self._notes.note(text)

    def tell(self, event: Event) -> None:
        self._notes.outlook.tell(event)
        match event:
            case Planned():
                self._write("plan", _plan(event))
            case Begun():
                self._directory = event.directory
                self._write("begin", _begin(event))
            case StageBegun(boot=boot, stage=Stage.BOOT):
                self._write("boot", _boot(boot))
            case StageBegun(boot=boot, stage=stage, prefix=prefix):
                self._write("stage", {**_boot(boot), "stage": stage, "prefix": prefix})
            case TrialBegun(trial=trial):
                self._write("trial_begun", _trial(trial))
            case TrialEnded(outcome=outcome):
                self._write("trial_ended", {**_trial(outcome.trial), **_outcome(outcome)})
                self._progress()
            case BlockLost(lost=lost):
                trials: list[Value] = [trial.id for trial in lost.trials]
                line: Line = {
                    "block": lost.block,
                    "worker": lost.worker,
                    "cause": lost.cause,
                    "trials": trials,
                }
                self._write("block_lost", line)
            case Reported(report=report):
                self._report = report

    def end(self, code: int, error: str) -> None:
        """The last line."""
        state = self._notes.outlook.state
        line: Line = {
            "exit_code": code,
            "directory": None if self._directory is None else str(self._directory),
            "report": None if self._report is None else str(self._report),
            "completed": 0 if state is None else state.done - state.failed,
            "failed": 0 if state is None else state.failed,
            "error": error or None,
        }
        self._write("end", line)

    def _progress(self) -> None:
        state = self._notes.outlook.state
        if state is not None:
            self._write("progress", _progress(state, time.monotonic()))

    def _write(self, event: str, line: Line) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        record = {"version": VERSION, "event": event, "utc": now, **line}
        print(json.dumps(record, allow_nan=False), file=self._stream, flush=True)


def _plan(event: Planned) -> Line:
    return {
        "seed": event.seed,
        "estimate_s": round(event.estimate_s, 1),
        "trials": [_trial(trial) for trial in event.trials],
    }


def _begin(event: Begun) -> Line:
    return {
        "campaign": event.record.id,
        "directory": str(event.directory),
        "platform": event.record.platform,
        "control": event.record.control,
        "planned": len(event.record.plan),
        "completed_before": len(completed(event.before)),
    }


def _boot(boot: Boot) -> Line:
    return {"boot": boot.index, "block": boot.block, "pair": boot.pair, "kernel": boot.kernel}


def _trial(trial: Trial) -> Line:
    return {
        "trial": trial.id,
        "position": trial.position,
        "boot": trial.boot,
        "block": trial.block,
        "pair": trial.pair,
        "kernel": trial.variant.kernel,
        "prefix": trial.variant.prefix,
        "workload": trial.workload,
    }


def _outcome(outcome: Completed | Failed) -> Line:
    elapsed_s = round(outcome.elapsed_s, 3)
    match outcome:
        case Completed():
            return {"status": "completed", "elapsed_s": elapsed_s, "stage": None, "cause": None}
        case Failed(stage=stage, cause=cause):
            return {"status": "failed", "elapsed_s": elapsed_s, "stage": stage, "cause": cause}


def _progress(state: CampaignState, now: float) -> Line:
    return {
        "planned": state.planned,
        "ended": state.done,
        "failed": state.failed,
        "left_s": round(state.left_s(now), 1),
        "may_end_early": state.may_end_early,
        "pairs": [
            {"pair": number, "left_s": round(pair.left_s(now), 1)}
            for number, pair in sorted(state.pairs.items())
        ],
        "running_ratio": _ratio(state.standing),
    }


def _ratio(standing: PrimaryRatio) -> Line:
    line: Line = {
        "final": False,
        "treated": str(standing.comparison.treated),
        "control": str(standing.comparison.control),
        "workload": standing.measure.workload,
        "metric": standing.measure.metric,
        "process": standing.measure.process,
    }
    match standing.ratio:
        case Absent(reason=reason):
            return {**line, "estimate": None, "low": None, "high": None, "blocks": 0, "reason": reason}
        case Interval() as ratio:
            return {
                **line,
                "estimate": ratio.estimate,
                "low": ratio.low,
                "high": ratio.high,
                "confidence": ratio.confidence,
                "blocks": ratio.blocks,
                "reason": ratio.unbounded or None,
            }
