# SPDX-License-Identifier: MIT
"""Proofs, holes and the command line of a stored campaign."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from support.synthetic_campaigns import HOSTILE, Recipe, build, edit, plan

from kmlbench.model import Process, Proof, Sample
from kmlbench.plan.comparisons import KML_TRUSTED, KML_USR, STOCK_USR
from kmlbench.report import evidence, write
from kmlbench.results import reader


def read(root: Path, recipe: Recipe) -> reader.StoredCampaign:
    return reader.read_campaign(build(root, recipe))


def test_every_cell_shows_what_its_trials_saw(tmp_path: Path) -> None:
    rows = {row.cell: row for row in evidence.proofs(read(tmp_path, Recipe(blocks=2)))}
    assert rows[STOCK_USR] == evidence.ProofRow(
        cell=STOCK_USR,
        releases="6.12.117-stock",
        cpls="3",
        client="user mode",
        server="user mode",
        direct="–",
        trials=8,
        agrees=True,
    )
    treated = rows[KML_TRUSTED]
    assert (treated.cpls, treated.client, treated.server) == ("0", "kernel mode", "kernel mode")
    assert all(row.agrees for row in rows.values())


def test_the_share_of_direct_calls_is_that_of_all_calls_of_the_cell(tmp_path: Path) -> None:
    stored = read(tmp_path, Recipe(blocks=1, direct=(0, 0)))
    numbers = (
        (Process.SERVER, 995.0, 5.0),
        (Process.CLIENT, 0.0, 10.0),
    )
    calls = tuple(
        Sample(metric=metric, unit="1", value=value, process=process, driver="mysqld")
        for process, direct, trap in numbers
        for metric, value in (("syscalls_direct", direct), ("syscalls_trap", trap))
    )
    outcomes = [
        dataclasses.replace(outcome, samples=(*outcome.samples, *calls))
        if outcome.trial.variant.kernel_mode
        else outcome
        for outcome in stored.completed
    ]
    rows = evidence.proofs(dataclasses.replace(stored, outcomes=tuple(outcomes)))
    direct = {row.cell: row.direct for row in rows}
    assert direct[KML_TRUSTED] == "server 99.50%, client 0.00%"
    assert direct[KML_USR] == "–"


def test_the_report_says_what_the_connections_went_through(tmp_path: Path) -> None:
    path = build(tmp_path, Recipe(blocks=1, workloads=("getpid", "oltp_insert", "oltp_insert_tls_4_threads")))
    assert evidence.connections(reader.read_campaign(path)) == ()
    assert "as the servers said" not in write.write_report(path).read_text()
    counts = {"oltp_insert": ("connections_socket", 1), "oltp_insert_tls_4_threads": ("connections_tls", 4)}

    def connect(record: Any) -> None:
        if said := counts.get(record["trial"]["workload"]):
            sample = {"driver": "sysbench", "unit": "1", "process": "client"}
            record["samples"].append({**sample, "metric": said[0], "value": said[1]})

    edit(path / "outcomes.jsonl", connect)
    stored = reader.read_campaign(path)
    said = ("4 of oltp_insert through the socket", "16 of oltp_insert_tls_4_threads through TLS")
    assert evidence.connections(stored) == said
    assert f"as the servers said of them: {', '.join(said)}." in write.write_report(path).read_text()


@pytest.mark.parametrize("wrong", [{"cpl": 3}, {"server_kernel_mode": False}, {"client_kernel_mode": False}])
def test_one_trial_that_saw_something_else_is_shown(tmp_path: Path, wrong: dict[str, int]) -> None:
    stored = read(tmp_path, Recipe(blocks=1))
    outcomes = list(stored.completed)
    index = next(i for i, outcome in enumerate(outcomes) if outcome.trial.variant.kernel_mode)
    # mypy sees one type per dictionary.
    proof: Proof = dataclasses.replace(outcomes[index].proof, **wrong)  # type: ignore[arg-type]
    outcomes[index] = dataclasses.replace(outcomes[index], proof=proof)
    rows = evidence.proofs(dataclasses.replace(stored, outcomes=tuple(outcomes)))
    assert [row.cell for row in rows if not row.agrees] == [KML_TRUSTED]


def test_a_cell_without_any_trial_proves_nothing(tmp_path: Path) -> None:
    rows = evidence.proofs(read(tmp_path, Recipe(blocks=1, missing=range(16))))
    assert {(row.trials, row.releases, row.agrees) for row in rows} == {(0, "–", False)}


def test_holes_stand_in_the_order_of_the_plan(tmp_path: Path) -> None:
    recipe = Recipe(blocks=1, failing={5}, missing={2, 9})
    holes = evidence.holes(read(tmp_path, recipe))
    assert [(hole.trial, hole.state) for hole in holes] == [
        (plan(recipe)[2], "never ended"),
        (plan(recipe)[5], "failed: measure"),
        (plan(recipe)[9], "never ended"),
    ]
    assert holes[1].cause == HOSTILE.replace("\udcff", r"\udcff")


def test_a_cause_without_end_is_cut_at_the_front(tmp_path: Path) -> None:
    stored = read(tmp_path, Recipe(blocks=1, failing={0}))
    long = dataclasses.replace(stored.failed[0], cause="a" * 10_000 + "the last words")
    (hole,) = evidence.holes(dataclasses.replace(stored, outcomes=(long, *stored.completed)))
    assert hole.cause.startswith("… a")
    assert hole.cause.endswith("the last words")
    assert len(hole.cause) == evidence.LONGEST_CAUSE + 2


def test_the_command_can_be_pasted(tmp_path: Path) -> None:
    stored = read(tmp_path, Recipe(blocks=1, options={"blocks": "1", "trial_name": "it's one"}))
    assert evidence.command(stored.campaign) == """run-benchmark --blocks 1 --trial-name 'it'"'"'s one'"""


def test_a_server_that_was_confined_below_usr_alone_is_a_note_of_the_report(tmp_path: Path) -> None:
    path = build(tmp_path, Recipe(blocks=1, workloads=("getpid",)))
    assert evidence.confined(reader.read_campaign(path)) == ()
    for facts in path.glob("raw/boot-*/facts.json"):
        edit(facts, lambda record: record["facts"].update(server_confinement="AppArmor: mysqld (enforce)"))
    write.write_report(path)
    note = (
        "the server below /usr was confined and its copy below /trusted was not (AppArmor: mysqld (enforce))"
    )
    assert note in (path / "report.html").read_text()
