# SPDX-License-Identifier: MIT
"""A campaign's directory: what is written is read back, and damage is named with its place."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import re
from pathlib import Path

import pytest

from kmlbench import model
from kmlbench.errors import InputError, MachineError
from kmlbench.model import (
    CommandResult,
    Completed,
    Failed,
    Kernel,
    Outcome,
    Prefix,
    Process,
    Proof,
    Sample,
    Trial,
    Variant,
)
from kmlbench.results import reader, writer

STOCK = Variant(kernel=Kernel.STOCK, prefix=Prefix.USR)
KML = Variant(kernel=Kernel.KML, prefix=Prefix.TRUSTED)
PLAN = (
    Trial(block=0, boot=0, position=0, variant=STOCK, workload="getpid"),
    Trial(block=0, boot=1, position=1, variant=KML, workload="wisconsin"),
    Trial(block=0, boot=1, position=2, variant=KML, workload="getpid"),
)
CAMPAIGN = model.PlannedCampaign(
    id="abc123",
    started_utc="2025-11-23T01:02:03Z",
    title="a small one",
    platform="QEMU TCG, instruction clock",
    control=False,
    seed=7,
    options={"blocks": "1"},
    plan=PLAN,
    git_commit="0" * 40,
    tools={"qemu": "7.2"},
)
COMPLETED = Completed(
    trial=PLAN[0],
    proof=Proof(kernel_release="6.12.117", cpl=3, client_kernel_mode=False, server_kernel_mode=None),
    samples=(
        Sample(metric="cpu_total", unit="s", value=0.1, process=Process.CLIENT, driver="getpid"),
        Sample(metric="minor_faults", unit="1", value=3.0, process=Process.CLIENT, driver="getpid"),
    ),
    started_utc="2025-11-23T01:03:00Z",
    elapsed_s=1.5,
    raw={},
)
FAILED = Failed(
    trial=PLAN[1],
    stage="measure",
    cause="mysqld said:\n\u2028'ä' \udcff <b>",
    started_utc="2025-11-23T01:04:00Z",
    elapsed_s=0.25,
    raw={},
)


def stored(root: Path, *outcomes: Outcome, campaign: model.PlannedCampaign = CAMPAIGN) -> Path:
    with writer.create(root, campaign) as directory:
        for outcome in outcomes:
            directory.append(outcome)
    return directory.path


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    path = stored(tmp_path, COMPLETED, FAILED)

    result = reader.read_campaign(tmp_path / "latest")

    assert path.name == "20251123T010203Z-abc123"
    assert result.directory == path
    assert result.campaign == CAMPAIGN
    assert result.outcomes == (COMPLETED, FAILED)
    assert result.completed == (COMPLETED,)
    assert result.failed == (FAILED,)


def test_a_trial_that_never_ended_is_missing(tmp_path: Path) -> None:
    assert reader.read_campaign(stored(tmp_path, COMPLETED)).missing == PLAN[1:]


def test_an_outcome_is_on_the_disk_before_the_next_trial(tmp_path: Path) -> None:
    with writer.create(tmp_path, CAMPAIGN) as directory:
        directory.append(COMPLETED)
        assert reader.read_campaign(directory.path).outcomes == (COMPLETED,)


def test_latest_is_a_relative_link_to_the_newest(tmp_path: Path) -> None:
    first = stored(tmp_path, COMPLETED)
    later = dataclasses.replace(CAMPAIGN, id="def456")

    second = stored(tmp_path, campaign=later)

    assert (tmp_path / "latest").readlink() == Path(second.name)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted([first.name, second.name, "latest"])


def test_facts_are_kept_by_boot(tmp_path: Path) -> None:
    with writer.create(tmp_path, CAMPAIGN) as directory:
        directory.facts(1, Kernel.KML, {"memory": "2048"})
        directory.facts(0, Kernel.STOCK, {"memory": "2048"})

    assert reader.read_campaign(directory.path).facts == (
        model.BootFacts(boot=0, kernel=Kernel.STOCK, facts={"memory": "2048"}),
        model.BootFacts(boot=1, kernel=Kernel.KML, facts={"memory": "2048"}),
    )


def test_a_step_leaves_its_exact_argv_and_output(tmp_path: Path) -> None:
    result = CommandResult(
        argv=("sh", "-c", "a b"), returncode=3, stdout="out\r\n", stderr="not utf-8: \udcff", elapsed_s=0.5
    )
    with writer.create(tmp_path, CAMPAIGN) as directory:
        path = directory.write_step(PLAN[0], 1, "prepare/data", result)

    assert path == directory.path / "raw" / "0000-stock-usr-getpid" / "01-prepare-data"
    command = json.loads((path / "argv.json").read_text())
    assert command == {"argv": ["sh", "-c", "a b"], "returncode": 3, "elapsed_s": 0.5}
    assert (path / "stdout").read_bytes() == b"out\r\n"
    assert (path / "stderr").read_bytes() == b"not utf-8: \xff"


def test_a_second_campaign_of_the_same_name_is_refused(tmp_path: Path) -> None:
    stored(tmp_path)
    with pytest.raises(MachineError, match="File exists"):
        stored(tmp_path)


def test_a_full_disk_is_a_machine_error_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        del descriptor
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with writer.create(tmp_path, CAMPAIGN) as directory:
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(
            MachineError, match=r"(?s)0000-stock-usr-getpid.*No space left.*remedy: .*MiB are free"
        ):
            directory.append(COMPLETED)


def test_a_last_line_counts_once_its_newline_is_written(tmp_path: Path) -> None:
    """A controller may be killed at any byte of a line: the outcomes before it stay."""
    path = stored(tmp_path, COMPLETED, FAILED)
    outcomes = path / "outcomes.jsonl"
    whole = outcomes.read_bytes()
    last = whole.index(b"\n") + 1
    for offset in range(last, len(whole)):
        outcomes.write_bytes(whole[:offset])
        result = reader.read_campaign(path)
        assert result.outcomes == (COMPLETED,)
        assert result.missing == PLAN[1:]
        text = [note for note in result.notes if "cut off" in note]
        assert len(text) == (offset > last)
        assert all(
            note.startswith("outcomes.jsonl:2: ") and "1 whole outcome precedes" in note for note in text
        )


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("campaign.json", '"format": 1', '"format": 2', r"campaign\.json:1: format 2 is unknown.*format 1"),
        ("campaign.json", '"seed": 7', '"seed": "7"', r"field \"seed\" is '7': expected an integer\n"),
        ("campaign.json", '"seed": 7, ', "", r'campaign\.json:1: field "seed" is missing'),
        ("campaign.json", '"control": false', '"control": 0', r'"control" is 0: expected true or false\n'),
        (
            "campaign.json",
            '{"blocks": "1"}',
            '{"blocks": 1}',
            r'"options" is .*1}: expected a string as each value',
        ),
        ("campaign.json", '"kernel": "stock"', '"kernel": "bsd"', r"\"plan\[0\].kernel\" is 'bsd': unknown"),
        ("campaign.json", "{", "[{", r"campaign\.json:1: "),
        ("outcomes.jsonl", '"value": 0.1', '"value": NaN', r"outcomes\.jsonl:1: NaN is not a JSON number"),
        (
            "outcomes.jsonl",
            '"value": 0.1',
            '"value": true',
            r'outcomes\.jsonl:1: field "samples\[0\].value" is True',
        ),
        ("outcomes.jsonl", '"cpl": 3', '"cpl": null', r'"proof.cpl" is None: expected an integer'),
        ("outcomes.jsonl", '"completed"', '"done"', r"outcomes\.jsonl:1: field \"status\" is 'done'"),
        (
            "outcomes.jsonl",
            '"position": 1',
            '"position": 0',
            r"outcomes\.jsonl:2: trial 0000-kml.* not planned",
        ),
        ("outcomes.jsonl", '"failed"', '"fai', r"outcomes\.jsonl:2: "),
        (
            "outcomes.jsonl",
            '"value": 0.1',
            '"value": 1e999',
            r'"samples\[0\].value" is inf: expected zero or 1e-30 to',
        ),
        (
            "outcomes.jsonl",
            '"value": 0.1',
            '"value": 1' + 400 * "0",
            r'samples\[0\].value" is 1000.*: number out of range',
        ),
        (
            "outcomes.jsonl",
            '"cpl": 3',
            '"cpl": ' + 99999 * "[",
            r"outcomes\.jsonl:1: it is nested too deeply",
        ),
        (
            "campaign.json",
            '"block": 0',
            '"block": 99999999999',
            r'"plan\[0\].block" is 99999999999: expected an integer <= 21',
        ),
        ("outcomes.jsonl", '"elapsed_s": ', '"elapsed_s": -1e999, "": ', r'"elapsed_s" is -inf: expected'),
        ("outcomes.jsonl", '"metric": "', '"metric": "/', r'"metric" of a sample is .*: expected a word'),
        (
            "outcomes.jsonl",
            '"value": 0.1',
            '"value": 1e-31',
            r'"samples\[0\].value" is 1e-31: expected zero or',
        ),
        (
            "campaign.json",
            '"getpid"',
            '"../getpid"',
            r"workload\" is '../getpid': expected a word of letters",
        ),
    ],
)
def test_damage_is_named_with_file_and_line(
    tmp_path: Path, name: str, old: str, new: str, message: str
) -> None:
    path = stored(tmp_path, COMPLETED, FAILED)
    text = unsealed((path / name).read_text())
    assert old in text
    (path / name).write_text(text.replace(old, new, 1))

    with pytest.raises(InputError, match=message):
        reader.read_campaign(path)


def unsealed(text: str) -> str:
    """Lines as they were written before lines had a checksum."""
    return re.sub(r', "crc32": "[0-9a-f]{8}"', "", text)


def test_a_campaign_without_checksums_is_read(tmp_path: Path) -> None:
    path = stored(tmp_path, COMPLETED, FAILED)
    for name in ("campaign.json", "outcomes.jsonl"):
        (path / name).write_text(unsealed((path / name).read_text()))
    assert reader.read_campaign(path).outcomes == (COMPLETED, FAILED)


def test_another_number_is_not_what_was_written(tmp_path: Path) -> None:
    path = stored(tmp_path, COMPLETED, FAILED)
    outcomes = path / "outcomes.jsonl"
    outcomes.write_text(outcomes.read_text().replace('"value": 0.1', '"value": 0.2'))
    with pytest.raises(InputError, match=r"(?s)outcomes\.jsonl:1: .*its checksum differs.*remedy: restore"):
        reader.read_campaign(path)


@pytest.mark.parametrize(("actual", "remedy"), [(2, "newer kmlbench"), (0, "no version of kmlbench wrote")])
def test_another_format_has_its_own_remedy(tmp_path: Path, actual: int, remedy: str) -> None:
    path = stored(tmp_path, COMPLETED)
    text = unsealed((path / "campaign.json").read_text())
    (path / "campaign.json").write_text(text.replace('"format": 1', f'"format": {actual}'))
    with pytest.raises(InputError, match=rf"(?s)format {actual} is unknown.*format 1\n.*remedy: .*{remedy}"):
        reader.read_campaign(path)


def test_boots_that_were_measured_without_facts_are_noted(tmp_path: Path) -> None:
    with writer.create(tmp_path, CAMPAIGN) as directory:
        directory.append(COMPLETED)
        directory.append(FAILED)
    assert [
        "boots that were measured (0)" in note for note in reader.read_campaign(directory.path).notes
    ] == [True]
    directory.facts(0, Kernel.STOCK, {"memory": "2048"})
    assert reader.read_campaign(directory.path).notes == ()


def test_an_outcome_that_is_told_twice_is_damage(tmp_path: Path) -> None:
    path = stored(tmp_path, COMPLETED, COMPLETED)
    with pytest.raises(
        InputError,
        match=r"outcomes\.jsonl:2: trial 0000-stock-usr-getpid is not planned, or has already ended",
    ):
        reader.read_campaign(path)


@pytest.mark.parametrize("name", ["campaign.json", "outcomes.jsonl"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    path = stored(tmp_path, COMPLETED)
    (path / name).unlink()
    with pytest.raises(InputError, match=rf"(?s){name}: cannot be read: No such file.*remedy: "):
        reader.read_campaign(path)
