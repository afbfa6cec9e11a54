# SPDX-License-Identifier: MIT
"""The shape of the package: imports point down, processes and SSH have one home, only the CLI prints."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "kmlbench"

# From the bottom up. A module may import those of lower rows and of its own; `test_no_circle` keeps the
# latter honest.
LAYERS = (
    ("errors", "model", "artifacts", "fields", "columns"),
    (
        "workload_data",
        "kernels",
        "records",
        "samplereader",
        "wisconsin",
        "adapters",
        "yamlfile",
        "rules",
        "plan",
        "events",
        "progress",
        "measured",
        "platforms",
        "resumptions",
    ),
    ("inventory", "config", "schema", "commands", "facts", "store", "stored", "history", "losses", "claims"),
    ("build", "hosts", "server_options", "inspection", "waiting", "findings"),
    (
        *("mysql", "dataset", "probe", "machines", "preflight", "provenance", "frames"),
        *("manifest", "survey", "belongings", "readiness", "conditions", "diagnosis"),
    ),
    ("preparation", "examination"),
    ("trials", "raw", "arms", "bootstrap", "stats", "comparisons", "numerals", "stopping", "ledger"),
    (
        *("run", "tables", "layout", "answer", "plots", "figures", "evidence", "page", "pages"),
        *("pictures", "distributions", "files"),
        *("control", "outlook", "pilot", "between", "prices", "callkinds", "explanation"),
        *("costmodel", "projection", "whypage", "whyframe", "effectframe"),
    ),
    ("report",),
    ("verify",),
    ("cli",),
)
RANK = {name: rank for rank, row in enumerate(LAYERS) for name in row}
HOMES = {"subprocess": ("commands", "hosts"), "paramiko": ("hosts",)}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def unit(path: Path) -> str:
    """The module, or the sub-package, that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """The full names of what a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(path: Path) -> set[str]:
    """The modules or sub-packages of the project that a file imports, itself left out."""
    names = [name.split(".") for name in imports(path)]
    return {parts[1] for parts in names if parts[0] == "kmlbench" and len(parts) > 1} - {unit(path)}


def test_every_module_has_its_layer() -> None:
    assert {unit(path) for path in modules()} == set(RANK)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    upward = {name for name in ours(path) if RANK[name] > RANK[unit(path)]}
    assert not upward


def test_no_circle() -> None:
    """Modules of one layer may use each other, but not in circles."""
    graph = {name: {other for path in files(name) for other in ours(path)} for name in RANK}
    while graph:
        leaves = {name for name, used in graph.items() if not used & graph.keys()}
        assert leaves, f"a circle among {sorted(graph)}"
        graph = {name: used for name, used in graph.items() if name not in leaves}


def files(name: str) -> list[Path]:
    return [path for path in modules() if unit(path) == name]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_processes_and_ssh_have_one_home(path: Path) -> None:
    for name in imports(path):
        assert unit(path) in HOMES.get(name.split(".")[0], (unit(path),)), f"{path.name} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_command_line_prints_or_exits(path: Path) -> None:
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    said = {ast.unparse(called) for called in calls} & {"print", "sys.exit", "exit", "quit", "os._exit"}
    assert unit(path) == "cli" or not said
    assert "atexit" not in set(imports(path))
