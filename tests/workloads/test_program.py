# SPDX-License-Identifier: MIT
"""The workload of a file: what it starts, what it reads, and which answers it takes for wrong."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from support import rounds

from kmlbench.errors import TrialError
from kmlbench.model import CommandResult, Prefix
from kmlbench.servers import service
from kmlbench.workloads.base import MarkKind, Readiness, Work
from kmlbench.workloads.definition import Check, Client, Definition, Quantity, Reading, ServerProgram
from kmlbench.workloads.program import ProgramWorkload, runs
from kmlbench.workloads.registry import METRICS
from kmlbench.workloads.steps import Setting

CLIENT = Client(argv=("{prefix}/bin/fill", "-n", "{work}", "{socket}"), work=(100, 300), rounds=2)
QUEUE = Definition(
    name="queue",
    unit="message",
    prepare=(("/usr/bin/make-list", "{directory}/{work}"), ("/usr/bin/true",)),
    files={"queue.conf": "listen {socket} {not ours}"},
    server=ServerProgram(argv=("{prefix}/sbin/queue", "{port}"), ready=Readiness.PORT),
    load=(("{prefix}/bin/fill", "first"),),
    client=CLIENT,
    readings=(
        Reading(metric=Quantity.THROUGHPUT, pattern=r"^([0-9.]+) a second"),
        Reading(metric=Quantity.LATENCY_MEAN, pattern=r"mean ([0-9.]+) us", times=0.001),
    ),
    checks=(Check(argv=("/usr/bin/queue-length",), expect="^0$"),),
)
SETTING = service.placed(
    Setting(prefix=Prefix.TRUSTED, socket="", user="", password_file="", seed=7, scale=1.0)
)
WORKS = (100, 100, 300, 100, 300)


def results(workload: ProgramWorkload, said: str, *, left: str = "0\n") -> list[CommandResult]:
    """A trial whose runs each say this, with their amount of work for {work}."""
    done = [(work, said.replace("{work}", str(work))) for work in WORKS]
    text = {"run": rounds.result(("rounds",), done), "load": None, "check": None}
    return [
        text[step.name] or CommandResult(argv=step.argv, returncode=0, stdout=left, stderr="", elapsed_s=1)
        for step in workload.steps(SETTING)
    ]


SAID = "{work}.5 a second, mean 2500 us\n"


def test_placeholders_are_filled_and_other_braces_stay() -> None:
    provision = ProgramWorkload(QUEUE).provision(SETTING)
    assert provision.files == {"queue.conf": "listen /run/kmlbench/workload/socket {not ours}"}
    assert provision.service is not None
    assert provision.service.argv == ("/trusted/sbin/queue", "13307")
    steps = ProgramWorkload(QUEUE).steps(SETTING)
    assert [step.name for step in steps] == ["load", "run", "check"]
    assert steps[1].argv == ("/trusted/bin/fill", "-n", "100", "/run/kmlbench/workload/socket")
    assert steps[1].rounds is not None
    assert [command[2] for command in steps[1].rounds.commands] == ["100", "300"]
    assert (steps[1].rounds.work, steps[1].rounds.count) == ((100, 100, 300), 2)


def test_a_program_that_starts_another_is_measured_as_both() -> None:
    argv = ("{prefix}/bin/env", "NAME=value", "{prefix}/sbin/queue", "-C{prefix}/lib", "{port}")
    served = replace(QUEUE, server=ServerProgram(argv=argv, ready=Readiness.PORT))
    assert served.measured == ("bin/fill", "bin/env", "sbin/queue")


def test_commands_with_work_run_for_each_amount() -> None:
    workload = ProgramWorkload(replace(QUEUE, client=replace(CLIENT, warm_up=10)))
    prepared = [step.argv for step in workload.provision(SETTING).prepare]
    lists = [("/usr/bin/make-list", f"/run/kmlbench/workload/{work}") for work in (10, 100, 300)]
    assert prepared == [*lists, ("/usr/bin/true",)]


def test_the_measured_step_is_found_behind_a_load_for_each_amount() -> None:
    workload = ProgramWorkload(replace(QUEUE, load=(("/usr/bin/make-list", "{work}"),)))
    names = [step.name for step in workload.steps(SETTING)]
    assert names == ["load", "load", "run", "check"]
    found = results(workload, SAID)
    assert workload.run_result(found) is found[names.index("run")]


@pytest.mark.parametrize(("scale", "work"), [(0.5, (50, 150)), (1e-9, (1, 2)), (2.0, (200, 600))])
def test_the_longer_amount_stays_the_longer_one_at_any_scale(scale: float, work: tuple[int, int]) -> None:
    (_, run, _) = ProgramWorkload(QUEUE).steps(replace(SETTING, scale=scale))
    assert run.rounds is not None
    assert run.rounds.work[1:] == work


def test_what_the_longer_runs_print_becomes_samples() -> None:
    workload = ProgramWorkload(QUEUE)
    samples = {sample.metric: sample for sample in workload.samples(results(workload, SAID))}
    assert (samples["throughput"].value, samples["throughput"].unit) == (300.5, "1/s")
    assert (samples["latency_mean"].value, samples["latency_mean"].unit) == (2.5, "ms")
    assert {sample.driver for sample in samples.values()} == {"fill"}
    assert set(samples) <= set(METRICS)


def test_the_shorter_window_is_subtracted_and_a_run_may_say_its_units() -> None:
    workload = ProgramWorkload(QUEUE)
    shorter, longer = (MarkKind.MEASURED, 0), (MarkKind.MEASURED, 1)
    assert workload.marks(results(workload, SAID)) == {
        shorter: Work(name="message", units=100.0, subtracted=True),
        longer: Work(name="message", units=300.0),
    }
    units = Reading(metric=Quantity.UNITS, json="done.0")
    counting = ProgramWorkload(replace(QUEUE, readings=(units,)))
    marks = counting.marks(results(counting, '{"done": ["{work}"]}'))
    assert marks[longer].units == 300.0
    alone = ProgramWorkload(replace(QUEUE, client=replace(CLIENT, work=(100,))))
    assert not any(work.subtracted for work in alone.marks(results(alone, SAID)).values())


def test_a_program_that_marks_its_windows_runs_once_under_measure() -> None:
    marking = ProgramWorkload(replace(QUEUE, readings=(), client=replace(CLIENT, work=(100,), marks=20)))
    (_, run, _) = marking.steps(SETTING)
    assert run.rounds is None
    assert run.measured
    done = [CommandResult(argv=(), returncode=0, stdout="0\n", stderr="", elapsed_s=1)] * 3
    assert marking.marks(done) == {
        (MarkKind.MEASURED, number): Work(name="message", units=20) for number in (0, 1)
    }
    assert marking.samples(done) == ()


@pytest.mark.parametrize(
    ("expect", "said", "left", "stage", "told"),
    [
        ((), "no numbers", "0\n", "parse", "does not match in what the client printed: 'no numbers'"),
        ((), "1.2.3 a second, mean 1 us", "0\n", "parse", "'1.2.3' is not a number"),
        ((), SAID, "17\n", "check", "printed '17', not '^0$'"),
        (
            ("^{work} sent$",),
            "99 sent",
            "0\n",
            "check",
            "did not print '^100 sent$', but",
        ),
    ],
)
def test_a_wrong_answer_fails_the_trial(
    expect: tuple[str, ...], said: str, left: str, stage: str, told: str
) -> None:
    workload = ProgramWorkload(replace(QUEUE, client=replace(CLIENT, expect=expect or CLIENT.expect)))
    with pytest.raises(TrialError, match=re.escape(told)) as caught:
        workload.samples(results(workload, said, left=left))
    assert caught.value.stage == stage


@pytest.mark.parametrize(
    "text", ["[]", "{}", "no JSON", '{"done": []}', '{"done": "ab"}', '{"done": {"x": 1}}']
)
def test_a_path_that_leads_nowhere_fails_the_trial(text: str) -> None:
    workload = ProgramWorkload(replace(QUEUE, readings=(Reading(metric=Quantity.UNITS, json="done.0"),)))
    with pytest.raises(TrialError, match=r"no done\.0 in what|is not a number"):
        workload.samples(results(workload, text))


HOSTILE = ["run 1 100 exit 0 2 2 07f8bc07b4ba5002\nx\n", "\n\n", "\udcff", "", "ünï", "run "]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_client_prints_is_not_taken_for_the_head_of_a_run(text: str) -> None:
    printed = [(1, text), (2, text)]
    assert [(run.work, run.stdout) for run in runs(rounds.result((), printed))] == printed


@pytest.mark.parametrize("cut", [1, 40, 60])
def test_an_output_that_is_cut_off_is_no_run(cut: int) -> None:
    whole = rounds.result((), [(1, "something"), (2, "something")])
    with pytest.raises(TrialError) as caught:
        runs(replace(whole, stdout=whole.stdout[:-cut]))
    assert caught.value.stage == "parse"


def test_a_run_says_how_it_ended() -> None:
    first, _ = runs(rounds.result((), [(1, "a"), (2, "b")], how="signal 11"))
    assert (first.signaled, first.status, first.stdout_bytes) == (True, 11, 1)
