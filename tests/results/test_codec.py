# SPDX-License-Identifier: MIT
"""The files of the record are, byte for byte, what every version has written, and give back what went in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmlbench.interruptions import Resumption
from kmlbench.model import (
    BootFacts,
    CommandResult,
    Completed,
    Failed,
    Kernel,
    PlannedCampaign,
    Prefix,
    Process,
    Proof,
    Sample,
    Stopping,
    Trial,
    Variant,
)
from kmlbench.results import codec
from kmlbench.results.samples import SampleReader

TRIAL = Trial(
    block=1,
    boot=2,
    position=3,
    variant=Variant(kernel=Kernel.KML, prefix=Prefix.TRUSTED),
    workload="getpid",
    pair=1,
)
TRIAL_TEXT = (
    '{"position": 3, "block": 1, "boot": 2, "kernel": "kml", "prefix": "/trusted", "workload": "getpid", '
    '"pair": 1}'
)
COMPLETED = Completed(
    trial=TRIAL,
    proof=Proof(kernel_release="6.12", cpl=0, client_kernel_mode=True),
    samples=(Sample(metric="wall", unit="µs", value=1e-7, process=Process.CLIENT, driver="d"),),
    started_utc="2026-11-29T01:02:03Z",
    elapsed_s=0.5,
)
FAILED = Failed(trial=TRIAL, stage="run", cause="x\udcff\n", started_utc="then", elapsed_s=2.0)
RESUMPTION = Resumption(number=1, started_utc="then", trials=(TRIAL,), boots=(2,))
RULE = Stopping(
    half_width=0.005,
    confidence=0.97,
    first=6,
    every=2,
    workload="getpid",
    metric="cpu_total",
    process=Process.CLIENT,
)
CAMPAIGN = PlannedCampaign(
    id="abc",
    started_utc="then",
    title="t",
    platform="real hosts",
    control=False,
    seed=7,
    options={"blocks": "1"},
    plan=(TRIAL,),
    git_commit="unknown",
    tools={"python": "3"},
    stopping=RULE,
)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (
            codec.outcome_text(COMPLETED),
            f'{{"status": "completed", "trial": {TRIAL_TEXT}, "started_utc": "2026-11-29T01:02:03Z", '
            '"elapsed_s": 0.5, "proof": {"kernel_release": "6.12", "cpl": 0, "client_kernel_mode": true, '
            '"server_kernel_mode": null}, "samples": [{"metric": "wall", "unit": "\\u00b5s", "value": 1e-07, '
            '"process": "client", "driver": "d"}], "crc32": "e6d0d156"}\n',
        ),
        (
            codec.outcome_text(FAILED),
            f'{{"status": "failed", "trial": {TRIAL_TEXT}, "started_utc": "then", "elapsed_s": 2.0, '
            '"stage": "run", "cause": "x\\udcff\\n", "crc32": "4bdd563c"}\n',
        ),
        (
            codec.outcome_text(replace(FAILED, raw={"00-run/stdout": "ab"})),
            f'{{"status": "failed", "trial": {TRIAL_TEXT}, "started_utc": "then", "elapsed_s": 2.0, '
            '"stage": "run", "cause": "x\\udcff\\n", "raw": {"00-run/stdout": "ab"}, "crc32": "f8315f6e"}\n',
        ),
        (
            codec.resumption_text(RESUMPTION),
            f'{{"status": "resumed", "number": 1, "started_utc": "then", "lost_trials": [{TRIAL_TEXT}], '
            '"lost_boots": [{"boot": 2}], "crc32": "5c9a8bf4"}\n',
        ),
        (
            codec.campaign_text(CAMPAIGN),
            '{"format": 1, "id": "abc", "started_utc": "then", "title": "t", "platform": "real hosts", '
            '"control": false, "seed": 7, "options": {"blocks": "1"}, "git_commit": "unknown", '
            '"tools": {"python": "3"}, "stopping": {"half_width": 0.005, "confidence": 0.97, "first": 6, '
            '"every": 2, "workload": "getpid", "metric": "cpu_total", "process": "client"}, '
            f'"plan": [{TRIAL_TEXT}], "crc32": "6a9a91f4"}}\n',
        ),
        (
            codec.facts_text(BootFacts(boot=2, kernel=Kernel.KML, facts={"cpus": "1"})),
            '{"format": 1, "boot": 2, "kernel": "kml", "facts": {"cpus": "1"}, "crc32": "4aa5ad35"}\n',
        ),
        (
            codec.facts_text(BootFacts(boot=2, kernel=Kernel.KML, facts={}, resumption=1)),
            '{"format": 1, "boot": 2, "resumption": 1, "kernel": "kml", "facts": {}, "crc32": "7c5f0aa3"}\n',
        ),
        (
            codec.command_text(
                CommandResult(argv=("a", "b"), returncode=0, stdout="", stderr="", elapsed_s=1.5)
            ),
            '{"argv": ["a", "b"], "returncode": 0, "elapsed_s": 1.5}\n',
        ),
    ],
)
def test_files_are_written_as_they_always_were(written: str, expected: str) -> None:
    assert written == expected


def test_what_is_written_is_read() -> None:
    for outcome in (COMPLETED, FAILED, replace(COMPLETED, raw={"stdout": "ab"})):
        assert codec.read_line(codec.outcome_text(outcome), SampleReader()) == outcome
    assert codec.read_line(codec.resumption_text(RESUMPTION), SampleReader()) == RESUMPTION
    assert codec.decode_campaign(codec.campaign_text(CAMPAIGN)) == CAMPAIGN


@given(st.text(st.characters(), max_size=20))
def test_any_text_of_a_host_comes_back(text: str) -> None:
    """Bytes that are no text are halves of surrogate pairs in Python, and no JSON of the standard."""
    outcome = Failed(trial=TRIAL, stage="run", cause=text, started_utc="then", elapsed_s=2.0)
    assert codec.read_line(codec.outcome_text(outcome), SampleReader()) == outcome


def test_what_is_not_finite_cannot_be_written() -> None:
    outcome = Failed(trial=TRIAL, stage="run", cause="", started_utc="then", elapsed_s=float("inf"))
    with pytest.raises(ValueError, match="not JSON compliant"):
        codec.outcome_text(outcome)
