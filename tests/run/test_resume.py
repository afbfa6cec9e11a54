# SPDX-License-Identifier: MIT
"""`run-benchmark --resume` after every kind of fault: the same schedule, and the loss on record."""

from __future__ import annotations

import os
import resource
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from support.fake_host import Exchange, FakeHost
from support.host_sessions import ANY_GETPID, inspecting, slower
from support.played_machines import DMESG, Playing, Script, breaking, hosts_file, ready, stage, whole

import kmlbench
from kmlbench import provenance
from kmlbench.cli.main import main, run_benchmark
from kmlbench.errors import HostError
from kmlbench.model import Boot, Kernel, Platform
from kmlbench.plan import stopping
from kmlbench.report import write as report
from kmlbench.results import reader, writer
from kmlbench.results.reader import StoredCampaign
from kmlbench.run import setup

ALIVE = Exchange(argv=("true",))


@dataclass(slots=True)
class Campaigns:
    """`run-benchmark` on played hosts, in a directory of its own."""

    directory: Path
    monkeypatch: pytest.MonkeyPatch
    playing: Playing = field(default_factory=Playing)
    pairs: int = 1

    def begin(self, *options: str, blocks: int = 1) -> int:
        stage(self.monkeypatch, self.playing)
        hosts = hosts_file(self.directory, blocks=blocks, pairs=self.pairs)
        return run_benchmark(["--hosts", str(hosts), "--results", str(self.results), *options])

    def resume(self, *options: str, script: Script = whole) -> int:
        self.playing.script = script
        return run_benchmark(["--results", str(self.results), "--resume", self.newest, *options])

    @property
    def results(self) -> Path:
        return self.directory / "results"

    @property
    def newest(self) -> str:
        """Not the link `latest`: a campaign may die before it is made."""
        return max(path.parent.name for path in self.results.glob("2*/campaign.json"))

    def stored(self) -> StoredCampaign:
        return reader.read_campaign(self.results / self.newest)


@pytest.fixture
def campaigns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Campaigns:
    return Campaigns(tmp_path, monkeypatch)


@pytest.fixture
def unreported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports take seconds, and these tests are about the record."""
    monkeypatch.setattr(report, "write_report", lambda directory, **_: directory / "report.html")


def require_whole(stored: StoredCampaign) -> None:
    """Every planned trial has numbers, once; what lies in raw/ is what the numbers come from."""
    assert Counter(outcome.trial for outcome in stored.completed) == Counter(stored.campaign.plan)
    assert stored.notes == ()
    frame = kmlbench.load(stored.directory)
    keys = ["block", "boot", "pair", "kernel", "prefix", "workload", "process", "metric"]
    assert not frame.duplicated(keys).any()
    per_trial = len(stored.completed[0].samples)
    assert len(frame) == per_trial * len(stored.campaign.plan)


def second_boot(*exchanges: Exchange) -> Callable[[Boot], list[Exchange]]:
    """The second trial of the second boot goes wrong."""
    return lambda boot: breaking(boot, 1, *exchanges) if boot.index == 1 else whole(boot)


def panicking() -> list[Exchange]:
    gone = HostError("guest kml1: the kernel panicked")
    return [Exchange(argv=inspecting()[0].argv, raises=gone), Exchange(argv=("dmesg",), raises=gone)]


GONE = HostError("kml went away while it ran `measure`")
FAULTS: dict[str, Callable[[Boot], list[Exchange]]] = {
    "a lost guest, or a dropped connection": second_boot(
        Exchange(argv=ANY_GETPID, raises=GONE), Exchange(argv=("dmesg",), raises=GONE)
    ),
    "a server that was killed under its client": second_boot(
        Exchange(argv=ANY_GETPID, returncode=1, stderr="server has gone away"), ALIVE, DMESG
    ),
    "a kernel that panicked": lambda boot: panicking() if boot.index == 1 else whole(boot),
}


@pytest.mark.usefixtures("unreported")
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_what_was_lost_is_repeated_in_a_fresh_boot_and_stays_on_record(
    campaigns: Campaigns, capsys: pytest.CaptureFixture[str], fault: Callable[[Boot], list[Exchange]]
) -> None:
    campaigns.playing.script = fault
    assert campaigns.begin(blocks=2) == 5
    assert "--resume" in capsys.readouterr().err
    broken = campaigns.stored()
    kept = set(broken.completed)
    lost = {failed.trial for failed in broken.failed}
    assert lost
    assert campaigns.resume() == 0
    stored = campaigns.stored()
    require_whole(stored)
    assert kept < set(stored.completed)
    assert {failed.trial for failed in stored.superseded} == lost
    repeated = {outcome.trial for outcome in stored.completed if outcome.resumption == 1}
    assert repeated == lost
    raw = stored.directory / "raw"
    assert {path.name for path in raw.glob("boot-*-r1")} == {"boot-0001-r1"}
    assert (raw / "boot-0001").is_dir()
    # A panic leaves no trial that had begun.
    left = {path.name for path in raw.glob("lost-1/*")}
    assert left == {trial.id for trial in lost if (raw / "lost-1" / trial.id / "commands.json").exists()}
    assert bool(left) is (fault is not FAULTS["a kernel that panicked"])


@pytest.mark.slow
def test_the_report_and_verify_know_what_was_lost(campaigns: Campaigns) -> None:
    campaigns.playing.script = FAULTS["a lost guest, or a dropped connection"]
    assert campaigns.begin(blocks=2) == 5
    assert campaigns.resume() == 0
    directory = campaigns.results / campaigns.newest
    assert main(["verify", str(directory)]) == 0
    page = (directory / "report.html").read_text()
    assert "Lost and repeated" in page
    assert "The campaign was resumed 1 time." in page
    assert "failed: boot, before resumption 1" in page
    assert "went away while it ran" in page


@pytest.mark.usefixtures("unreported")
def test_nothing_is_left_to_do_for_a_campaign_that_ended(campaigns: Campaigns) -> None:
    assert campaigns.begin() == 0
    before = campaigns.stored().outcomes
    assert campaigns.resume() == 0
    assert campaigns.stored().outcomes == before


@pytest.mark.usefixtures("unreported")
def test_a_campaign_that_ended_needs_no_hosts_and_not_its_program(
    campaigns: Campaigns, capsys: pytest.CaptureFixture[str]
) -> None:
    assert campaigns.begin() == 0
    down(campaigns)
    capsys.readouterr()
    assert campaigns.resume() == 0
    directory = campaigns.results.resolve() / campaigns.newest
    printed = capsys.readouterr()
    assert printed.out == f"{directory / 'report.html'}\n"
    assert f"the campaign in {directory} is complete: nothing is left to run" in printed.err
    assert "connecting" not in printed.err
    assert campaigns.resume("--bloks", "3") == 2
    assert "--bloks: unknown option" in capsys.readouterr().err


def down(campaigns: Campaigns) -> None:
    """No host answers, hosts.yaml is gone, and the program is another one."""

    def refuse(*_: object, **__: object) -> None:
        raise HostError("the host does not answer")

    campaigns.monkeypatch.setattr(setup, "prepare_machines", refuse)
    campaigns.monkeypatch.setattr(provenance, "git_commit", lambda: "deadbeef")
    (campaigns.directory / "hosts.yaml").unlink()


def test_a_dry_run_of_a_campaign_that_ended_starts_nothing(
    campaigns: Campaigns, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "write_report", lambda directory, **_: directory / "report.html")
        assert campaigns.begin() == 0
    down(campaigns)
    capsys.readouterr()
    assert campaigns.resume("--dry-run") == 0
    directory = campaigns.results.resolve() / campaigns.newest
    printed = capsys.readouterr().out
    assert printed == f"the campaign in {directory} is complete: nothing is left to run\n"
    assert not (directory / "report.html").exists()


class PowerCut(BaseException):
    """The end of the controller's process, at this moment."""


@dataclass(slots=True)
class Mortal:
    """Ends the process, as far as a test can, at the `moment`-th thing that it does to the disk or a host.

    A process that is dead does nothing more: whatever its clean-up tries fails, too. A write stops half-way.
    """

    moment: int
    count: int = 0

    def over(self) -> bool:
        self.count += 1
        return self.count >= self.moment

    def mortal(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if self.over():
                raise PowerCut
            return function(*arguments, **named)

        return call

    def write(self, descriptor: int, content: memoryview) -> int:
        if self.over():
            if self.count == self.moment:
                os_write(descriptor, content[: len(content) // 2])
            raise PowerCut
        return os_write(descriptor, content)


os_write = os.write


@contextmanager
def dying(at: Mortal) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", at.write)
        for owner, name in (
            *((os, name) for name in ("fsync", "ftruncate")),
            *((Path, name) for name in ("mkdir", "write_text", "rename", "replace", "symlink_to")),
            (FakeHost, "run"),
        ):
            patch.setattr(owner, name, at.mortal(getattr(owner, name)))
        yield


# A control of one block touches the disk and its hosts 128 times.
MOMENTS = 132


@pytest.mark.usefixtures("unreported")
@pytest.mark.slow
@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.soak)])
def test_the_controller_may_die_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """At every `step`th thing that it does in a campaign of two boots, and again when it is resumed."""
    survived = Counter[bool]()
    lost = 0
    for moment in range(1, MOMENTS, step):
        campaigns = Campaigns(tmp_path / str(moment), monkeypatch)
        campaigns.directory.mkdir()
        survived[_died_twice(campaigns, moment)] += 1
        if any(campaigns.results.glob("*/campaign.json")):
            assert campaigns.resume() == 0
            require_whole(campaigns.stored())
            lost += sum(len(resumption.trials) for resumption in campaigns.stored().resumptions)
    assert lost > 30 // step
    # The last moments lie behind the end of the campaign, or not all of it was seen.
    assert survived[False] > 0
    assert survived[True] > 105 // step


def _died_twice(campaigns: Campaigns, moment: int) -> bool:
    """Whether it died the first time."""
    died = []
    for item in (moment, MOMENTS - moment):
        begun = any(campaigns.results.glob("2*/campaign.json"))
        try:
            with dying(Mortal(item)):
                assert (campaigns.resume() if begun else campaigns.begin("--control")) == 0
            died.append(False)
        except PowerCut:
            died.append(True)
    return died[0]


@pytest.mark.usefixtures("unreported")
@pytest.mark.parametrize("size", [600, 2_000, 9_000, 14_000])
def test_a_disk_that_is_full_ends_the_campaign_without_harm(
    campaigns: Campaigns, capsys: pytest.CaptureFixture[str], size: int
) -> None:
    """No file may grow beyond `size`: what is written then is cut off in the middle, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        assert campaigns.begin(blocks=2) == 3
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    printed = capsys.readouterr().err
    assert "could not be stored" in printed
    assert "MiB are free there" in printed
    assert "Traceback" not in printed
    if any(campaigns.results.glob("*/campaign.json")):
        assert f"--resume {campaigns.results / campaigns.newest}" in printed
        kept = campaigns.stored()
        assert kept.notes == ()
        assert campaigns.resume() == 0
        require_whole(campaigns.stored())
        assert set(kept.completed) <= set(campaigns.stored().completed)


@pytest.mark.slow
@pytest.mark.usefixtures("unreported")
def test_a_machine_that_loses_power_keeps_what_ended(campaigns: Campaigns) -> None:
    """What no fsync asked for may be empty afterwards: here all of it is."""
    synced: dict[tuple[int, int], int] = {}
    fsync = os.fsync

    def remember(descriptor: int) -> None:
        fsync(descriptor)
        result = os.fstat(descriptor)
        synced[result.st_dev, result.st_ino] = result.st_size

    campaigns.monkeypatch.setattr(os, "fsync", remember)
    campaigns.playing.script = second_boot(Exchange(argv=ANY_GETPID, raises=KeyboardInterrupt()), DMESG)
    assert campaigns.begin(blocks=2) == 130
    kept = campaigns.stored().completed
    assert len(kept) == 3
    directory = campaigns.results / campaigns.newest
    for path in (path for path in directory.rglob("*") if path.is_file()):
        result = path.stat()
        os.truncate(path, synced.get((result.st_dev, result.st_ino), 0))
    assert campaigns.resume() == 0
    stored = campaigns.stored()
    require_whole(stored)
    assert set(kept) < set(stored.completed)
    report.derive(stored, stored.directory, noise=None)
    assert main(["verify", str(stored.directory)]) == 0


@pytest.mark.slow
@pytest.mark.usefixtures("unreported")
def test_pairs_of_hosts_go_on_each_with_its_own_blocks(campaigns: Campaigns) -> None:
    campaigns.pairs = 2
    campaigns.playing.script = lambda boot: panicking() if boot.block in {1, 2} else whole(boot)
    assert campaigns.begin(blocks=4) == 5
    kept = campaigns.stored()
    assert {outcome.trial.block for outcome in kept.completed} == {0, 3}
    booted: list[Boot] = []

    def script(boot: Boot) -> list[Exchange]:
        booted.append(boot)
        return whole(boot)

    assert campaigns.resume(script=script) == 0
    require_whole(campaigns.stored())
    assert {(boot.block, boot.pair) for boot in booted} == {(1, 0), (2, 1)}


@pytest.mark.usefixtures("unreported")
def test_a_control_boots_what_it_lost_as_the_twin_that_it_was(campaigns: Campaigns) -> None:
    """QEMU's seed depends on it."""
    twins: list[tuple[int, int]] = []

    def script(boot: Boot) -> list[Exchange]:
        twins.append((boot.index, boot.twin))
        return panicking() if boot.index == 3 and len(twins) < 5 else whole(boot)

    campaigns.playing.script = script
    assert campaigns.begin("--control", blocks=2) == 5
    assert campaigns.resume(script=script) == 0
    assert twins == [(0, 0), (1, 1), (2, 0), (3, 1), (3, 1)]


@pytest.mark.slow
@pytest.mark.usefixtures("unreported")
def test_a_rule_that_ends_campaigns_counts_what_was_kept(campaigns: Campaigns) -> None:
    """It is interrupted in its third block, and ends after the sixth, as it does without interruption."""
    drawn = {block: 1 + block / 10_000 for block in range(20)}

    def noisy(boot: Boot) -> list[Exchange]:
        factor = drawn[boot.block] if boot.kernel is Kernel.KML else 1
        return [slower(each, factor) for each in whole(boot)]

    interrupt = Exchange(argv=ANY_GETPID, raises=KeyboardInterrupt())
    campaigns.playing.script = lambda boot: breaking(boot, 1, interrupt) if boot.block == 2 else noisy(boot)
    assert campaigns.begin("--stop-at", "5%", blocks=20) == 130
    assert {outcome.trial.block for outcome in campaigns.stored().completed} == {0, 1, 2}
    assert campaigns.resume(script=noisy) == 0
    stored = campaigns.stored()
    assert {outcome.trial.block for outcome in stored.completed} == set(range(6))
    assert stopping.ended_after(stored.campaign, stored.outcomes) == 6
    lines = (stored.directory / "outcomes.jsonl").read_text()
    down(campaigns)
    assert campaigns.resume() == 0
    assert campaigns.resume("--dry-run") == 0
    assert campaigns.resume("--json") == 0
    assert (stored.directory / "outcomes.jsonl").read_text() == lines


@pytest.mark.slow
@pytest.mark.usefixtures("unreported")
def test_a_trial_that_failed_keeps_the_rule_waiting_until_it_is_repeated(campaigns: Campaigns) -> None:
    failing = second_boot(Exchange(argv=ANY_GETPID, returncode=1), ALIVE, DMESG)
    campaigns.playing.script = failing
    assert campaigns.begin("--stop-at", "5%", blocks=8) == 5
    assert campaigns.resume() == 0
    require_whole(campaigns.stored())


def interrupted(boot: Boot) -> list[Exchange]:
    """Ctrl-C before the first trial."""
    del boot
    return [Exchange(argv=inspecting()[0].argv, raises=KeyboardInterrupt())]


@pytest.mark.usefixtures("unreported")
@pytest.mark.parametrize(
    ("workload", "option", "levels"),
    # The second client cannot have threads: as an option of this campaign, these would be refused.
    [("oltp_insert_pymysql", "threads", "[2, 4]"), ("oltp_insert", "transports", "[tcp, tls]")],
)
def test_a_campaign_without_levels_has_none_whatever_hosts_yaml_has_by_now(
    campaigns: Campaigns, capsys: pytest.CaptureFixture[str], workload: str, option: str, levels: str
) -> None:
    campaigns.playing.script = interrupted
    assert campaigns.begin("--workloads", workload) == 130
    assert option not in campaigns.stored().campaign.options
    hosts = hosts_file(campaigns.directory, blocks=1)
    hosts.write_text(hosts.read_text().replace("scale: 1", f"scale: 1, {option}: {levels}"))
    capsys.readouterr()
    assert campaigns.resume("--dry-run") == 0
    assert capsys.readouterr().out.count(f"-{workload}\n") == 4


@pytest.mark.usefixtures("unreported")
@pytest.mark.parametrize(
    ("workload", "title"),
    [
        ("oltp_insert", "Kernel Mode Linux and MySQL (Linux 6.12)"),
        ("memcached", "Kernel Mode Linux (Linux 6.12)"),
    ],
)
def test_a_campaign_is_headed_with_the_server_that_it_needs_and_its_linux(
    campaigns: Campaigns, workload: str, title: str
) -> None:
    campaigns.playing.script = interrupted
    assert campaigns.begin("--workloads", workload) == 130
    assert campaigns.stored().campaign.title == title


@pytest.mark.usefixtures("unreported")
def test_a_campaign_keeps_its_linux_whatever_hosts_yaml_has_by_now(
    campaigns: Campaigns, capsys: pytest.CaptureFixture[str]
) -> None:
    campaigns.playing.script = interrupted
    assert campaigns.begin("--kernel", "7.2") == 130
    record = campaigns.stored().campaign
    assert (record.title, record.options["kernel"]) == ("Kernel Mode Linux (Linux 7.2)", "7.2")
    capsys.readouterr()
    assert campaigns.resume("--dry-run") == 0
    assert "the stock kernel on the guest stock0 (Linux 7.2, " in capsys.readouterr().out
    assert campaigns.resume("--kernel", "6.12") == 2
    assert "--kernel: a resumed campaign keeps its original options" in capsys.readouterr().err


@pytest.mark.usefixtures("unreported")
def test_a_campaign_of_before_there_were_two_has_the_first_linux(
    campaigns: Campaigns, capsys: pytest.CaptureFixture[str]
) -> None:
    campaigns.playing.script = interrupted
    assert campaigns.begin("--kernel", "7.2") == 130
    record = campaigns.stored().campaign
    options = {name: value for name, value in record.options.items() if name != "kernel"}
    shutil.rmtree(campaigns.results)
    with writer.create(campaigns.results, replace(record, options=options)):
        pass
    capsys.readouterr()
    assert campaigns.resume("--dry-run") == 0
    assert "the stock kernel on the guest stock0 (Linux 6.12, " in capsys.readouterr().out


@pytest.mark.usefixtures("unreported")
@pytest.mark.parametrize(
    ("option", "value", "level"), [("threads", "4,1", "4_threads"), ("transports", "tls,socket", "tls")]
)
def test_a_campaign_keeps_its_levels(
    campaigns: Campaigns, capsys: pytest.CaptureFixture[str], option: str, value: str, level: str
) -> None:
    campaigns.playing.script = interrupted
    assert campaigns.begin("--workloads", "oltp_insert", f"--{option}", value) == 130
    assert campaigns.stored().campaign.options[option] == value
    capsys.readouterr()
    assert campaigns.resume("--dry-run") == 0
    printed = capsys.readouterr().out
    assert printed.count("-oltp_insert\n") == printed.count(f"-oltp_insert_{level}\n") == 4


@pytest.mark.usefixtures("unreported")
class TestWhatMayNotChange:
    @pytest.fixture(autouse=True)
    def interrupted(self, campaigns: Campaigns) -> None:
        campaigns.playing.script = second_boot(Exchange(argv=ANY_GETPID, raises=KeyboardInterrupt()))
        assert campaigns.begin() == 130

    @pytest.mark.parametrize(
        "option", ["--blocks", "--seed", "--threads", "--transports", "--stop-at", "--control"]
    )
    def test_options_of_the_campaign(
        self, campaigns: Campaigns, capsys: pytest.CaptureFixture[str], option: str
    ) -> None:
        assert campaigns.resume(option, "3") == 2
        assert f"{option}: a resumed campaign keeps its original options" in capsys.readouterr().err

    def test_the_program(self, campaigns: Campaigns, capsys: pytest.CaptureFixture[str]) -> None:
        campaigns.monkeypatch.setattr(provenance, "git_commit", lambda: "deadbeef")
        assert campaigns.resume() == 2
        assert "remedy: git checkout c0ffee" in capsys.readouterr().err

    def test_the_platform(self, campaigns: Campaigns, capsys: pytest.CaptureFixture[str]) -> None:
        result = replace(ready(campaigns.playing), platform=Platform.KVM)
        campaigns.monkeypatch.setattr(setup, "prepare_machines", lambda *_, **__: result)
        assert campaigns.resume() == 2
        assert "'QEMU TCG, instruction clock', but its hosts are now 'QEMU KVM'" in capsys.readouterr().err

    def test_the_number_of_pairs(self, campaigns: Campaigns, capsys: pytest.CaptureFixture[str]) -> None:
        assert campaigns.begin(blocks=4) == 130
        hosts_file(campaigns.directory, blocks=4, pairs=2)
        assert run_benchmark(["--results", str(campaigns.results), "--resume", "latest"]) == 2
        assert "planned for 1 pairs of hosts, but the file names 2" in capsys.readouterr().err

    def test_the_hosts(self, campaigns: Campaigns, capsys: pytest.CaptureFixture[str]) -> None:
        """What a refused boot said is forgotten once the hosts are again what they were."""
        campaigns.playing.facts = {"image": "another image"}
        assert campaigns.resume() == 6
        assert "image (equal)" in capsys.readouterr().err
        campaigns.playing.facts = {"image": "an image"}
        assert campaigns.resume() == 0
        require_whole(campaigns.stored())
        assert {boot.facts["image"] for boot in campaigns.stored().facts} == {"an image"}

    def test_a_dry_run_says_what_is_left_and_starts_nothing(
        self, campaigns: Campaigns, capsys: pytest.CaptureFixture[str]
    ) -> None:
        capsys.readouterr()
        assert campaigns.resume("--dry-run") == 0
        trial, *beside, printed = capsys.readouterr().out.splitlines()
        assert trial.startswith("0003-")
        assert f"results: {campaigns.results.resolve() / campaigns.newest}" in beside
        assert not any(line.startswith("0") for line in beside)
        assert printed.startswith("1 trials in 1 boots")
        assert len(campaigns.stored().completed) == 3

    def test_a_campaign_that_another_process_writes(
        self, campaigns: Campaigns, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with writer.reopen(campaigns.results / campaigns.newest):
            assert campaigns.resume() == 2
        assert "another process is writing to it" in capsys.readouterr().err


@pytest.mark.usefixtures("unreported")
def test_a_campaign_is_found_by_id_name_and_path(
    campaigns: Campaigns, capsys: pytest.CaptureFixture[str]
) -> None:
    assert campaigns.begin() == 0
    name = campaigns.newest
    for word in (name, name.rpartition("-")[2], "latest", str(campaigns.results / name)):
        assert run_benchmark(["--results", str(campaigns.results), "--resume", word]) == 0
    assert run_benchmark(["--results", str(campaigns.results), "--resume", name[-8:-1]]) == 2
    assert f"did you mean '{name.rpartition('-')[2]}'?" in capsys.readouterr().err
