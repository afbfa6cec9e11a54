# SPDX-License-Identifier: MIT
"""A control and a stopping rule from the command line to the report, on machines that play a script."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.fake_host import Exchange, FakeHost
from support.host_sessions import getpid, inspecting, slower
from support.paths import REPOSITORY
from support.played_machines import FORGET

from kmlbench.cli.main import run_benchmark
from kmlbench.hosts.base import Booted, Ready
from kmlbench.model import Boot, Clock, Kernel, Platform
from kmlbench.results import reader
from kmlbench.results.reader import StoredCampaign
from kmlbench.run import preflight, setup

HOSTS = str(REPOSITORY / "hosts.yaml")
RELEASES = {Kernel.STOCK: "6.12.117-stock", Kernel.KML: "6.12.117-kml"}
Run = Callable[..., StoredCampaign]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """`run-benchmark` with options, on machines whose boots differ by a percent; what it stored."""
    drawn = random.Random(4)

    @contextmanager
    def boot(planned: Boot, directory: Path) -> Iterator[Booted]:
        del directory
        release = RELEASES[planned.kernel]
        factor = drawn.gauss(1, 0.01)
        exchanges = [each for trial in planned.trials for each in getpid(trial.variant, release=release)]
        script = [*inspecting(release=release), *(slower(exchange, factor) for exchange in exchanges)]
        played = [*script, Exchange(argv=("dmesg",))]
        with FakeHost(name=planned.kernel, script=played, anytime=(FORGET,)) as host:
            yield Booted(host=host, facts={})

    def started(*options: str) -> StoredCampaign:
        text = ["--hosts", HOSTS, "--results", str(tmp_path), "--workloads", "getpid", "--scale", "1"]
        assert run_benchmark([*text, *options]) == 0
        return reader.read_campaign(tmp_path / "latest")

    ready = Ready(machines=boot, platform=Platform.INSTRUCTIONS, clock=Clock.INSTRUCTIONS, releases=RELEASES)
    monkeypatch.setattr(preflight, "check_machine", lambda *_, **__: None)
    monkeypatch.setattr(setup, "prepare_machines", lambda *_, **__: ready)
    return started


def test_a_control_from_the_command_line(run: Run) -> None:
    stored = run("--control", "kml:/trusted", "--blocks", "4")
    campaign = stored.campaign
    assert campaign.control
    assert campaign.options["control"] == "kml:/trusted"
    assert {str(trial.variant) for trial in campaign.plan} == {"kml:/trusted"}
    assert len(stored.completed) == len(campaign.plan) == 8
    page = (stored.directory / "report.html").read_text()
    assert "A/A control, getpid of kml:/trusted against itself: no false alarm." in page
    assert "--control kml:/trusted" in page


@pytest.mark.slow
def test_the_rule_is_in_the_record_and_ends_the_campaign(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = run("--stop-at", "3%", "--blocks", "20", "--pairs", "1")
    rule = stored.campaign.stopping
    assert rule is not None
    assert (rule.workload, rule.process, rule.half_width) == ("getpid", "client", 0.03)
    assert len({trial.block for trial in stored.campaign.plan}) == 20
    blocks = {outcome.trial.block for outcome in stored.completed}
    assert 6 <= len(blocks) < 20
    assert len(blocks) % 2 == 0
    assert f"the interval is narrow enough after {len(blocks)} blocks" in capsys.readouterr().err
    page = (stored.directory / "report.html").read_text()
    assert f"it did after {len(blocks)} blocks" in page
    assert "This campaign is incomplete" not in page
    assert "--stop-at 3%" in page


@pytest.mark.slow
def test_the_next_campaign_has_the_control_beside_its_effects(run: Run) -> None:
    run("--control", "--blocks", "4")
    stored = run("--blocks", "4")
    assert stored.campaign.stopping is None
    assert not stored.campaign.control
    assert "A/A ±" in (stored.directory / "report.html").read_text()
