# SPDX-License-Identifier: MIT
"""The instrument in a campaign: one boot, from the marks of the programs to the functions of the kernel.

A boot of its own, since it is QEMU that loads the plugin.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.guests import PROCESSOR

import kmlbench
from kmlbench.analysis import frames
from kmlbench.build import instrument
from kmlbench.build.artifacts import ImageArtifact, KernelArtifact
from kmlbench.cli.main import main
from kmlbench.errors import DifferenceError
from kmlbench.hosts import kind_qemu
from kmlbench.hosts.kind_qemu import Builds, QemuHostSpec
from kmlbench.model import Acceleration, Clock, Kernel, PlannedCampaign, Platform, Server
from kmlbench.plan.comparisons import KML_TRUSTED, KML_USR
from kmlbench.plan.schedule import make_schedule
from kmlbench.progress import Silent
from kmlbench.report import write
from kmlbench.results import reader, writer
from kmlbench.results.profiles import PROFILE
from kmlbench.run.campaign import CampaignRun, Experiment
from kmlbench.verify.rederive import rederive
from kmlbench.workloads.registry import defined

ALONE, TOGETHER = "oltp_point_select", "oltp_point_select_4_threads"
WRITES = "writes"
SERVED = {"getpid": False, WRITES: False, ALONE: True, TOGETHER: True}
# A write for each unit of work, by a shell that cannot be marked; and a child, which has mappings of its own.
DEFINITIONS = {
    WRITES: """
unit = "write"

[client]
argv = [
    "{prefix}/bin/bash",
    "-c", "for ((i = 0; i < {work}; i++)); do echo; done; {prefix}/bin/true; echo $i",
]
work = [5000, 15000]
rounds = 2
expect = ['^{work}$']
"""
}
THREADS, EVENTS = 4, 100
# The client calls these once in each event.
ONCE = ("sb_event_start", "mysql_stmt_execute")
MOST_UNKNOWN = 0.03

pytestmark = pytest.mark.guest


@pytest.fixture(scope="module")
def campaign(
    kml_kernel: KernelArtifact, mysql_image: ImageArtifact, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    # One server is enough to be counted, and its start is the dearest part.
    plan = tuple(
        trial
        for trial in make_schedule((KML_USR, KML_TRUSTED), SERVED, blocks=1, seed=3)
        if not SERVED[trial.workload] or trial.variant == KML_TRUSTED
    )
    host = QemuHostSpec(name="kml", kernel=Kernel.KML, memory_mb=2048, cpus=1, cpu_model=PROCESSOR)
    builds = Builds(
        kernels={Kernel.KML: kml_kernel},
        image=mysql_image,
        acceleration=Acceleration.TCG,
        clock=Clock.INSTRUCTIONS,
        instrument=instrument.ensure(),
    )
    record = PlannedCampaign(
        id="instrument",
        started_utc="2026-11-29T00:00:00Z",
        title="one boot",
        platform=str(Platform.INSTRUCTIONS),
        control=False,
        seed=3,
        options={},
        plan=plan,
        git_commit="unknown",
        tools={},
        definitions=DEFINITIONS,
    )
    with writer.create(tmp_path_factory.mktemp("instrument"), record) as directory:
        run = CampaignRun(
            experiment=Experiment(
                plan=plan,
                server=Server.MYSQL,
                scale=0.02,
                seed=3,
                releases={Kernel.KML: kml_kernel.release},
                own=defined(DEFINITIONS),
            ),
            machines=kind_qemu.guests({Kernel.KML: host}, builds, seed=3),
            directory=directory,
            progress=Silent(),
        )
        assert run.run() == 0
    return directory.path


def functions(campaign: Path, workload: str) -> dict[tuple[str, str], float]:
    """Instructions by cell and function."""
    frame = kmlbench.profile(campaign)
    chosen = frame[frame["workload"] == workload]
    sums: dict[tuple[str, str], float] = (
        chosen.groupby(["cell", "function"])["instructions"].sum().to_dict()  # type: ignore[assignment]
    )  # pandas-stubs: keys of a grouped series are Hashable
    return sums


def test_a_direct_call_takes_the_place_of_the_way_through_the_entry(campaign: Path) -> None:
    result = functions(campaign, "getpid")
    usual, direct = str(KML_USR), str(KML_TRUSTED)
    # Of SYSCALL, of libc and of an unknown call.
    assert result[usual, "do_syscall_64"] > 100
    assert result.get((direct, "do_syscall_64"), 0.0) < 1
    # The second is behind a check that the first needs, for sites which have the call's number.
    calls = ("kml_direct_call", "kml_numbered_call")
    assert sum(result.get((direct, call), 0.0) for call in calls) > 100
    assert sum(result.get((usual, call), 0.0) for call in calls) == 0


def test_server_and_client_are_told_apart_and_their_functions_have_names(campaign: Path) -> None:
    frame = kmlbench.profile(campaign)
    oltp = frame[frame["workload"] == "oltp_point_select"]
    user = oltp[oltp["side"] == "user"]
    assert {"mysqld", "libc.so.6"} <= set(user.loc[user["process"] == "server", "object"])
    assert "sysbench" in set(user.loc[user["process"] == "client", "object"])
    kernel = oltp[oltp["side"] == "kernel"]
    known = kernel.groupby("subsystem")["instructions"].sum()
    assert known.get("other", 0.0) / known.sum() < MOST_UNKNOWN
    assert not (kernel["function"] == "[unknown]").any()


def test_a_window_has_the_events_of_all_threads(campaign: Path) -> None:
    """But for those that are under way at the first mark and at the last, one of each other thread."""
    alone, together = functions(campaign, ALONE), functions(campaign, TOGETHER)
    for function in ONCE:
        key = str(KML_TRUSTED), function
        assert together[key] == pytest.approx(alone[key], rel=THREADS / EVENTS), function


def test_the_parts_of_a_trial_are_its_samples_and_both_are_derived_again(campaign: Path) -> None:
    parts = kmlbench.profile(campaign).groupby(["trial", "process", "side"])["instructions"].sum()
    stored = reader.read_campaign(campaign)
    for outcome in stored.completed:
        assert rederive(campaign, outcome.trial, stored.own).samples == tuple(outcome.samples)
        samples = {(str(each.process), each.metric): each.value for each in outcome.samples}
        for side in ("user", "kernel"):
            part = parts[outcome.trial.id, "client", side]
            assert samples["client", f"instructions_{side}"] == pytest.approx(part)


def test_verify_finds_a_changed_table_of_a_trial(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames.write_parquet(frames.samples_frame(reader.read_campaign(campaign)), campaign / frames.SAMPLES)
    write.write_report(campaign)
    assert main(["verify", str(campaign)]) == 0
    path = next((campaign / PROFILE.folder).glob("*.parquet"))
    table = pq.read_table(path)
    whole = path.read_bytes()
    pq.write_table(table.slice(1), path)
    assert main(["verify", str(campaign)]) == DifferenceError.exit_code
    assert f"{PROFILE.folder}/{path.name}: is not what raw/ says" in capsys.readouterr().err
    path.write_bytes(whole)


def test_a_profile_in_the_subsystems_of_another_version_is_verified_but_for_them(
    campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = next((campaign / PROFILE.folder).glob("*.parquet"))
    table = pq.read_table(path)
    whole = path.read_bytes()
    place = table.schema.get_field_index("subsystem")
    others = table.set_column(place, "subsystem", pa.array(["another"] * len(table)))
    pq.write_table(others, path)
    frames.write_parquet(frames.samples_frame(reader.read_campaign(campaign)), campaign / frames.SAMPLES)
    write.write_report(campaign)
    assert main(["verify", str(campaign)]) == 0
    assert "trials had their functions sorted into other subsystems" in capsys.readouterr().err
    path.write_bytes(whole)


def test_a_trial_has_ten_windows_of_its_events(campaign: Path) -> None:
    windows = kmlbench.windows(campaign)
    oltp = windows[windows["workload"].isin([ALONE, TOGETHER])]
    assert list(oltp.groupby("workload")["window"].nunique()) == [10, 10]
    assert set(oltp["work"]) == {"event"}
    assert not (campaign / "raw" / "boot-0000" / "windows").exists()


def test_a_program_that_cannot_be_marked_is_measured_by_two_lengths(campaign: Path) -> None:
    """Without its start: of what only a start executes nothing is left."""
    result = functions(campaign, WRITES)
    usual, direct = str(KML_USR), str(KML_TRUSTED)
    assert result[direct, "ksys_write"] == pytest.approx(result[usual, "ksys_write"], rel=0.01)
    for cell in (usual, direct):
        assert abs(result.get((cell, "load_elf_binary"), 0.0)) < 1
    assert result[usual, "do_syscall_64"] > 10
    assert result.get((direct, "do_syscall_64"), 0.0) < 1
    assert result[direct, "kml_direct_call"] > 10


def test_a_program_that_cannot_be_marked_has_its_functions_and_windows(campaign: Path) -> None:
    frame, windows = kmlbench.profile(campaign), kmlbench.windows(campaign)
    user = frame[(frame["workload"] == WRITES) & (frame["side"] == "user")]
    assert {"bash", "libc.so.6"} <= set(user.loc[user["process"] == "client", "object"])
    assert list(windows[windows["workload"] == WRITES].groupby("trial")["window"].nunique()) == [2, 2]
