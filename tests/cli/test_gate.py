# SPDX-License-Identifier: MIT
"""`kmlbench compare --fail-if` as a gate, and what it and `kmlbench export` print for programs."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from support.synthetic_campaigns import Recipe, build

import kmlbench
from kmlbench.cli.main import main

HOLDS, BAD_INPUT, MACHINE = 8, 2, 3
FIRST = Recipe(blocks=4, workloads=("getpid", "wisconsin"), noise=0.001, options={"server": "mysql"})
EFFECT = "kml:/trusted against stock:/usr"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """0.967 and 0.99: the second campaign's effect is 2.4 % above the first."""
    root = tmp_path_factory.mktemp("pair")
    second = replace(FIRST, seed=8, effect=0.99)
    return str(build(root / "a", FIRST)), str(build(root / "b", second))


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("wisconsin.cpu_total > +1%", HOLDS),
        ("wisconsin.cpu_total>1e0%", HOLDS),
        ("wisconsin.cpu_total.server @ kml:/trusted > 2 %", HOLDS),
        (f"wisconsin.cpu_total @ {EFFECT} > +1%", HOLDS),
        ("wisconsin.throughput < -1%", HOLDS),
        ("getpid.cpu_total > +1.5%", HOLDS),
        ("wisconsin.cpu_total > +3%", 0),
        ("wisconsin.cpu_total > +2.38%", 0),
        ("wisconsin.cpu_total < -1%", 0),
        ("wisconsin.cpu_total @ stock:/usr > +0.5%", 0),
    ],
)
def test_a_rule_holds_with_its_whole_interval(
    pair: tuple[str, str], rule: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *pair, "--fail-if", rule]) == code
    printed = capsys.readouterr()
    assert f"rule: {rule}: {'holds' if code else 'does not hold'}: " in printed.out
    assert (f"kmlbench: {rule}: holds: " in printed.err) is (code == HOLDS)


def test_of_several_rules_all_that_hold_are_named(
    pair: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    rules = ("wisconsin.cpu_total > +3%", "wisconsin.cpu_total > +1%", "getpid.cpu_total > 1%")
    given = [word for rule in rules for word in ("--fail-if", rule)]
    assert main(["compare", *pair, *given]) == HOLDS
    printed = capsys.readouterr().err
    assert [rule in printed for rule in rules] == [False, True, True]
    assert "remedy: look for what changed" in printed


def test_without_an_interval_a_rule_is_undecided_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    item = replace(FIRST, blocks=1)
    paths = [str(build(tmp_path / name, each)) for name, each in (("a", item), ("b", replace(item, seed=8)))]
    assert main(["compare", *paths, "--fail-if", "wisconsin.cpu_total > -50%"]) == 0
    assert "wisconsin.cpu_total > -50%: undecided: " in capsys.readouterr().err


@pytest.mark.parametrize(("rule", "code"), [("> +1%", HOLDS), ("> +3%", 0), ("< -1%", 0)])
def test_counts_that_never_vary_are_judged_by_their_change(tmp_path: Path, rule: str, code: int) -> None:
    """Each effect is the same in all blocks of a campaign; that of the second is a fiftieth larger."""
    first, second = replace(FIRST, noise=0), replace(FIRST, noise=0, effect=FIRST.effect * 1.02, seed=8)
    paths = [str(build(tmp_path / name, each)) for name, each in (("a", first), ("b", second))]
    assert main(["compare", *paths, "--fail-if", f"wisconsin.cpu_total {rule}"]) == code


@pytest.mark.parametrize(
    ("rule", "cause"),
    [
        ("wisconsin > 1%", "is not a rule"),
        ("wisconsin.cpu_total > 1", "is not a rule"),
        ("wisconsin.cpu_total = 1%", "is not a rule"),
        ("wisconsin.cpu_total > 1_0%", "is not a rule"),
        ("wisconsin.cpu_total < -100%", "nothing changes by -100 %"),
        ("wisconsn.cpu_total > 1%", "did you mean 'wisconsin.cpu_total'"),
        ("wisconsin.cpu_totl > 1%", "did you mean 'wisconsin.cpu_total'"),
        ("wisconsin.cpu_total.sever > 1%", "did you mean 'server'"),
        ("wisconsin.cpu_total @ kml:/trust > 1%", "did you mean 'kml:/trusted'"),
    ],
)
def test_a_rule_about_nothing_is_bad_input(
    pair: tuple[str, str], rule: str, cause: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *pair, "--fail-if", rule]) == BAD_INPUT
    printed = capsys.readouterr()
    assert cause in printed.err
    assert printed.out == ""


def test_json_and_csv_have_the_numbers_of_the_effects(
    pair: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *pair, "--json", "--fail-if", "wisconsin.cpu_total > 1%"]) == HOLDS
    document = json.loads(capsys.readouterr().out)
    assert main(["compare", *pair, "--csv"]) == 0
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    chosen = ("wisconsin", "cpu_total", "together", EFFECT)
    (row,) = [
        row for row in document["rows"]
        if (row["workload"], row["metric"], row["process"], row["subject"]) == chosen
    ]  # fmt: skip
    frame = kmlbench.effects(pair[0])
    (ours,) = frame[
        (frame["workload"] == chosen[0])
        & (frame["metric"] == chosen[1])
        & (frame["process"] == chosen[2])
        & (frame["comparison"] == chosen[3])
    ].to_dict("records")
    assert 100 * (row["a_low"] - 1) == pytest.approx(ours["low"])
    assert (row["kind"], row["unit"], row["reason"]) == ("effect", "10⁹ instructions", None)
    (rule,) = document["rules"]
    assert (rule["outcome"], rule["change_percent"]) == ("holds", row["change_percent"])
    assert len(table) == len(document["rows"])
    assert [each["subject"] for each in table] == [each["subject"] for each in document["rows"]]
    assert float(table[document["rows"].index(row)]["change_low"]) == row["change_low"]
    assert {each["kind"] for each in table} == {"cell", "effect"}


def test_a_baseline_without_raw_output_is_enough(
    pair: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    baseline = Path(shutil.copytree(pair[0], tmp_path / "baseline"))
    for path in (baseline / "raw").rglob("*"):
        if path.is_file() and path.name != "facts.json":
            path.unlink()
    assert main(["compare", str(baseline), pair[1], "--fail-if", "wisconsin.cpu_total > +1%"]) == HOLDS
    assert re.search(r"^A: \d{8}T\d{6}Z-5e7, ", capsys.readouterr().out)


def test_the_samples_are_exported_as_they_are_loaded(
    pair: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", pair[0], "--csv"]) == 0
    loaded = kmlbench.load(pair[0])
    exported = pd.read_csv(io.StringIO(capsys.readouterr().out))
    pd.testing.assert_frame_equal(exported, loaded, check_dtype=False)
    assert main(["export", pair[0], "--parquet", "--output", str(tmp_path / "x.parquet")]) == 0
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "x.parquet"), loaded)


def test_openmetrics_has_the_effects_and_is_what_prometheus_reads(
    pair: tuple[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "kmlbench.prom"
    assert main(["export", pair[0], "--openmetrics", "--output", str(path)]) == 0
    families = {family.name: family for family in text_string_to_metric_families(path.read_text())}
    effects = kmlbench.effects(pair[0]).set_index(["workload", "process", "metric", "comparison"])
    ends = {"": "change_percent", "_low": "low", "_high": "high"}
    for suffix, column in ends.items():
        samples = families[f"kmlbench_effect_ratio{suffix}"].samples
        assert len(samples) == effects[column].notna().sum() > 0
        for sample in samples:
            labels = sample.labels
            key = tuple(labels[name] for name in ("workload", "process", "metric", "comparison"))
            assert 100 * (sample.value - 1) == pytest.approx(effects.loc[key, column])
    states = {sample.labels["state"]: sample.value for sample in families["kmlbench_trials"].samples}
    assert states == {"completed": 32, "failed": 0, "missing": 0}


def test_parquet_needs_a_file_and_a_file_a_directory(
    pair: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", pair[0], "--parquet"]) == BAD_INPUT
    assert "remedy: name a file with --output" in capsys.readouterr().err
    for kind in ("--csv", "--parquet", "--openmetrics"):
        assert main(["export", pair[0], kind, "--output", str(tmp_path / "none" / "file")]) == MACHINE
        assert "could not be written: " in capsys.readouterr().err
