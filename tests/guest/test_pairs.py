# SPDX-License-Identifier: MIT
"""Two pairs of guests at once, each of 512 MiB: one campaign, one record, each block on one pair."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.guests import PROCESSOR

import kmlbench
from kmlbench.cli.main import main, run_benchmark
from kmlbench.results import facts, reader

GUEST = '  {0}{1}: {{kind: qemu, kernel: {0}, memory_mb: 512, cpus: 1, cpu_model: "{2}", clock: time}}\n'
# A server and its data, which lie in memory, do not fit into 512 MiB.
CAMPAIGN = (
    "campaign: {stock: [stock1, stock2], kml: [kml1, kml2], server: mysql, workloads: [getpid], "
    "blocks: 4, scale: 0.05, seed: 3, instrument: false}\n"
)

pytestmark = pytest.mark.guest


def test_two_pairs_of_guests_run_one_campaign(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hosts = tmp_path / "hosts.yaml"
    guests = "".join(GUEST.format(kernel, pair, PROCESSOR) for kernel in ("stock", "kml") for pair in (1, 2))
    hosts.write_text(f"hosts:\n{guests}{CAMPAIGN}")

    assert run_benchmark(["--hosts", str(hosts), "--results", str(tmp_path / "results")]) == 0

    stored = reader.read_campaign(tmp_path / "results" / "latest")
    assert len(stored.completed) == 16
    assert stored.missing == ()
    facts.require_agreement(stored.facts)
    frame = kmlbench.load(stored.directory)
    assert frame.groupby("pair")["block"].unique().map(sorted).to_dict() == {0: [0, 1], 1: [2, 3]}
    assert _overlapped(stored)
    assert main(["verify", str(stored.directory)]) == 0
    assert "16 trials match the raw output" in capsys.readouterr().out


def _overlapped(stored: reader.StoredCampaign) -> bool:
    """Whether the second pair began before the first one ended."""
    begun = [
        min(outcome.started_utc for outcome in stored.outcomes if outcome.trial.pair == pair)
        for pair in (0, 1)
    ]
    last = [
        max(outcome.started_utc for outcome in stored.outcomes if outcome.trial.pair == pair)
        for pair in (0, 1)
    ]
    return max(begun) < min(last)
