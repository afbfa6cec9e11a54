# SPDX-License-Identifier: MIT
"""The workload files of the package: what each starts, and which answers each takes for wrong."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from support import rounds
from support.paths import DATA

from kmlbench.config.schema import WORKLOAD_FILE, workload_schema_json
from kmlbench.config.workloadfile import read_workload_file
from kmlbench.errors import TrialError
from kmlbench.model import CommandResult, Prefix
from kmlbench.paths import WORKLOADS
from kmlbench.servers import service
from kmlbench.workloads.program import ProgramWorkload
from kmlbench.workloads.registry import ADAPTERS, programs
from kmlbench.workloads.steps import Setting, Step

FILES = sorted(WORKLOADS.glob("*.toml"))

NAMES = [path.stem for path in FILES]

VALIDATOR = Draft202012Validator(json.loads(workload_schema_json()))

SETTING = service.placed(Setting(prefix=Prefix.TRUSTED, socket="", user="", password_file="", seed=7))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the client printed in a guest, with {work} for its amount, and what each check printed.

    `unit` is what it printed for each unit of work.
    """

    run: str = ""
    unit: str = ""
    checks: list[str]

    def of_run(self, work: int) -> str:
        return self.run.replace("{work}", str(work)) + self.unit * work


def answers(name: str) -> Answers:
    return Answers(**tomllib.loads((DATA / "workloads/files" / f"{name}.toml").read_text()))


def workload(name: str) -> ProgramWorkload:
    adapter = ADAPTERS[name]
    assert isinstance(adapter, ProgramWorkload)
    return adapter


def trial(name: str, said: Answers) -> list[CommandResult]:
    """A trial in which every run and every check of a workload says this."""
    left = iter(said.checks)
    return [_result(step, said, left) for step in workload(name).steps(SETTING)]


def _result(step: Step, said: Answers, left: Iterator[str]) -> CommandResult:
    if step.rounds is not None:
        warm_up, *amounts = step.rounds.work
        works = [warm_up, *amounts * step.rounds.count]
        return rounds.result(step.argv, [(work, said.of_run(work)) for work in works])
    text = next(left) if step.name == "check" else ""
    return CommandResult(argv=step.argv, returncode=0, stdout=text, stderr="", elapsed_s=1.0)


# What a workload has to notice: in the output of a run, or in that of the check with this number.
SPOILT: Mapping[str, Sequence[tuple[str | int, str, str]]] = {
    "gcc": [(0, "92", "91"), (0, "1229", "1228")],
    "git_clone": [
        (0, "f8a978cb", "f8a978cc"),
        (0, "187dee2a", "187dee2b"),
        (0, " 7 f8a978cb", " 6 f8a978cb"),
        (0, "\n", "\nmissing blob 0011\n"),
    ],
    "memcached": [
        ("run", "set  ", "lose  "),
        ("run", "get  ", "lose  "),
        (0, "get_misses: 0", "get_misses: 1"),
        (0, "get_hits: ", "get_hits: 0"),
        (1, "stored", "changed"),
    ],
    **{
        name: [
            ("run", "1024 bytes", "1023 bytes"),
            ("run", "requests:      {work}", "requests:      17"),
            ("run", "Failed requests:        0", "Failed requests:        1"),
            ("run", "Failed requests:", "Non-2xx responses:      1\nFailed requests:"),
            (0, "same", "- page.html differ: byte 7, line 1"),
        ]
        for name in ("nginx_connections", "nginx_keepalive")
    },
    "postgres_select": [
        ("run", "processed: {work}", "processed: 7"),
        ("run", "transactions: 0", "transactions: 1"),
        (0, "100000|0", "100000|-7"),
        (0, "77777|1|0", ""),
    ],
    "postgres_tpcb": [
        ("run", "processed: {work}", "processed: 7"),
        ("run", "transactions: 0", "transactions: 1"),
        *((0, "t|t|t|t", wrong) for wrong in ("f|t|t|t", "t|f|t|t", "t|t|f|t", "t|t|t|f")),
        (0, "\n0\n", "\n1\n"),
    ],
    "python_web": [
        ("run", "1154 bytes", "1153 bytes"),
        ("run", "requests:      {work}", "requests:      17"),
        ("run", "Failed requests:        0", "Failed requests:        1"),
        ("run", "Failed requests:", "Non-2xx responses:      1\nFailed requests:"),
        (0, "1498a521", "1498a522"),
    ],
    **{
        name: [
            ("run", "{work} requests completed", "17 requests completed"),
            (0, "keyspace_misses:0", "keyspace_misses:1"),
            (0, "keyspace_hits:", "keyspace_hits:0"),
            (1, "VXK", "VXL"),
            (1, "VXK", ""),
        ]
        for name in ("redis_get", "redis_get_16")
    },
    **{
        name: [
            ("run", "{work} requests completed", "17 requests completed"),
            (0, "cmdstat_set:calls=", "cmdstat_set:calls=0"),
            (0, "rejected_calls=0,failed_calls=0", "rejected_calls=0,failed_calls=1"),
            (1, "VXK", "(nil)"),
        ]
        for name in ("redis_set", "redis_set_16")
    },
    "sqlite": [
        ("unit", "1\n", "0\n"),
        ("unit", "1\n", "1\n1\n"),
        (0, "1000|1|1", "999|1|1"),
        (0, "1000|1|1", "1000|0|1"),
        (0, "1000|1|1", "1000|1|0"),
        (0, "ok", "row 7 missing from index"),
    ],
}


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_file_has_no_fault_by_the_parser_nor_by_the_schema(path: Path) -> None:
    assert read_workload_file(path, known=()) == workload(path.stem).definition
    VALIDATOR.validate(tomllib.loads(path.read_text()))
    assert path.read_text().startswith(f"#:schema ../{WORKLOAD_FILE}\n")


@pytest.mark.parametrize("name", NAMES)
def test_both_ends_start_from_the_prefix_and_are_compared(name: str) -> None:
    definition = workload(name).definition
    for prefix in Prefix:
        placed = replace(SETTING, prefix=prefix)
        (run,) = (step for step in workload(name).steps(placed) if step.measured)
        ends = [run.argv]
        if (started := workload(name).provision(placed).service) is not None:
            ends.append(started.argv)
        assert [argv[0].startswith(f"{prefix}/") for argv in ends] == [True] * len(ends)
        other = Prefix.USR if prefix is Prefix.TRUSTED else Prefix.TRUSTED
        below_other = [word for argv in ends for word in argv if word.startswith(f"{other}/")]
        assert below_other == []
    assert set(programs([name])) == set(definition.measured) <= set(definition.programs)


@pytest.mark.parametrize("name", NAMES)
def test_the_answers_of_a_guest_are_right(name: str) -> None:
    samples = workload(name).samples(trial(name, answers(name)))
    assert [sample.metric for sample in samples] == [
        each.metric for each in workload(name).definition.readings
    ]
    assert all(sample.value > 0 for sample in samples)


@pytest.mark.parametrize(
    ("name", "where", "right", "wrong"),
    [(name, *each) for name in NAMES for each in SPOILT[name]],
)
def test_a_wrong_answer_fails_the_trial(name: str, where: str | int, right: str, wrong: str) -> None:
    said = answers(name)
    texts: dict[str | int, str] = {"run": said.run, "unit": said.unit, **dict(enumerate(said.checks))}
    assert right in texts[where]
    texts[where] = texts[where].replace(right, wrong)
    spoilt = Answers(
        run=texts["run"], unit=texts["unit"], checks=[texts[index] for index in range(len(said.checks))]
    )
    with pytest.raises(TrialError) as caught:
        workload(name).samples(trial(name, spoilt))
    assert caught.value.stage == "check"


def test_every_check_of_every_file_is_seen_to_fail() -> None:
    for name in NAMES:
        spoilt = {"run" if where == "unit" else where for where, _, _ in SPOILT[name]}
        definition = workload(name).definition
        assert definition.checks
        assert spoilt == {*range(len(definition.checks)), *(["run"] if definition.client.expect else [])}
