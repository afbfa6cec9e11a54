# SPDX-License-Identifier: MIT
"""The notebooks show what stored campaigns say, on a machine with neither QEMU nor a server."""

from __future__ import annotations

import ast
import re
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from support.fake_host import Exchange
from support.host_sessions import slower
from support.paths import REPOSITORY
from support.played_machines import Playing, hosts_file, stage, whole
from support.synthetic_campaigns import Recipe, build, stored_campaign

import kmlbench
from kmlbench.cli.main import run_benchmark
from kmlbench.model import Boot
from kmlbench.plan.comparisons import CELLS
from kmlbench.report import write

pytestmark = pytest.mark.slow

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
EXPLAINED = Recipe(workloads=("syscalls", "wisconsin", "calls_wisconsin"), blocks=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a notebook displayed, by kind."""

    pictures: int
    text: str
    tables: str


def execute(name: str, directory: Path, environment: Mapping[str, Path], patch: pytest.MonkeyPatch) -> Shown:
    """Run a notebook as Jupyter would, where no program can be found; a cell that raises does so here."""
    patch.setenv("PATH", str(directory / "no-programs"))
    patch.setenv("PYTHONPATH", str(REPOSITORY))
    assert not any(map(shutil.which, ("qemu-system-x86_64", "mysqld", "mysql", "ssh", "git")))
    for variable, value in environment.items():
        patch.setenv(variable, str(value))
    notebook = nbformat.read(REPOSITORY / "notebooks" / f"{name}.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(directory)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    data = [output.get("data", {}) for output in outputs]
    text = [output.get("text/markdown", "") or output.get("text/plain", "") for output in data]
    return Shown(
        pictures=sum("image/svg+xml" in output for output in data),
        text="\n".join([*text, *(output.get("text", "") for output in outputs)]),
        tables="\n".join(output.get("text/html", "") for output in data),
    )


def test_the_tour_shows_answer_proofs_effects_and_every_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = stored_campaign(tmp_path)
    shown = execute("campaign", tmp_path, {"KMLBENCH_CAMPAIGN": campaign}, monkeypatch)
    read = kmlbench.read(campaign)
    assert shown.pictures == len(read.figures()) > 0
    assert read.answer().sentence in shown.text
    assert "run-benchmark" in shown.text
    for words in ("kml:/trusted", "kernel mode", "change_percent", "verdict", "cpu_total"):
        assert words in shown.tables


def test_the_tour_shows_a_failure_whose_cause_is_no_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = build(tmp_path, Recipe(workloads=("getpid",), failing={0}))
    shown = execute("campaign", tmp_path, {"KMLBENCH_CAMPAIGN": campaign}, monkeypatch)
    assert "failed: measure" in shown.tables


def test_the_control_shows_what_cannot_be_told_from_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = played_control(tmp_path, monkeypatch)
    shown = execute("control", tmp_path, {"KMLBENCH_CONTROL": campaign}, monkeypatch)
    assert "A/A control, getpid of stock:/usr against itself: no false alarm." in shown.text
    assert re.search(r"getpid\s+client\s+cpu_total\s+0\.\d+", shown.text)
    assert "stock:/usr B against stock:/usr A" in shown.tables
    assert shown.pictures > 0


def played_control(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A control as `run-benchmark --control` makes it, on played guests that differ a little by boot."""

    def script(boot: Boot) -> list[Exchange]:
        return [slower(exchange, 1 + (boot.index * 7 % 5) / 1000) for exchange in whole(boot)]

    stage(monkeypatch, Playing(script=script))
    hosts, results = hosts_file(directory, blocks=4), directory / "results"
    assert run_benchmark(["--hosts", str(hosts), "--results", str(results), "--control"]) == 0
    return (results / "latest").resolve()


def test_the_explanation_shows_prices_and_residue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = build(tmp_path, EXPLAINED)
    shown = execute("explanation", tmp_path, {"KMLBENCH_CAMPAIGN": campaign}, monkeypatch)
    assert "wisconsin" in shown.text
    for words in ("residue_per_query", "call_send_recv_ns", "kml:/trusted against stock:/usr"):
        assert words in shown.tables


def test_your_own_question_is_asked_of_all_campaigns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = tmp_path / "results"
    paths = [build(results, Recipe(id=f"c{number}", workloads=("wisconsin",))) for number in range(2)]
    for path in paths:
        write.write_report(path)
    shown = execute("question", tmp_path, {"KMLBENCH_RESULTS": results}, monkeypatch)
    assert all(path.name in shown.tables for path in paths)
    effects = kmlbench.effects(*paths).query(
        "metric == 'cpu_total' and process == 'together' and comparison == 'kml:/trusted against stock:/usr'"
    )
    assert len(effects) == 2
    for change in effects["change_percent"]:
        assert f"<td>{change:.6f}</td>" in shown.tables


def test_a_directory_without_samples_is_told_and_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path / "results", Recipe(workloads=("wisconsin",)))
    for results in (tmp_path / "results", tmp_path / "nothing"):
        with pytest.raises(CellExecutionError) as raised:
            execute("question", tmp_path, {"KMLBENCH_RESULTS": results}, monkeypatch)
        assert raised.value.ename == "InputError"
        assert f"no campaign in {results} has its samples.parquet" in raised.value.evalue
        assert "`kmlbench report DIR` writes the file" in raised.value.evalue


def test_campaigns_of_other_work_are_not_averaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work: tuple[dict[str, str], ...] = ({}, {}, {"loops": "8"}, {"loops": "16"}, {"rate": "20"})
    for number, options in enumerate(work):
        recipe = Recipe(id=f"c{number}", workloads=("wisconsin",), blocks=3, options=options)
        write.write_report(build(tmp_path / "results", recipe))
    shown = execute("question", tmp_path, {"KMLBENCH_RESULTS": tmp_path / "results"}, monkeypatch)
    apart = 2 * len(CELLS)
    blocks = re.findall(r"<td>(\d+)</td>\s*<td>\d\.\d+</td>\s*</tr>", shown.tables)
    assert Counter(blocks) == {"6": apart, "3": 3 * apart}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs_and_without_logic(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert all(cell.get("outputs", []) == [] for cell in notebook.cells)
    assert all(cell.get("execution_count") is None for cell in notebook.cells)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    logic = (ast.FunctionDef, ast.ClassDef, ast.If, ast.While, ast.Try, ast.With, ast.Lambda)
    assert not [node for node in ast.walk(ast.parse(code)) if isinstance(node, logic)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_leaves_the_level_of_intervals_to_the_campaign(path: Path) -> None:
    """A campaign that a rule may end early has wider ones."""
    notebook = nbformat.read(path, as_version=4)
    words = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert re.findall(r"\b9[0-9.]+ ?%", words) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_imports_nothing_of_the_package_but_its_public_names(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    code = ast.parse("\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code"))
    modules = [node.module or "" for node in ast.walk(code) if isinstance(node, ast.ImportFrom)]
    for node in ast.walk(code):
        modules += [name.name for name in node.names] if isinstance(node, ast.Import) else []
    assert {name for name in modules if name.partition(".")[0] == "kmlbench"} == {"kmlbench"}
    attributes = (node for node in ast.walk(code) if isinstance(node, ast.Attribute))
    used = {node.attr for node in attributes if ast.unparse(node.value) == "kmlbench"}
    assert used <= set(kmlbench.__all__)


def test_there_is_a_test_for_each_notebook() -> None:
    assert {path.stem for path in NOTEBOOKS} == {"campaign", "control", "explanation", "question"}
