# SPDX-License-Identifier: MIT
"""docs/workload.md: its code, put where the page says, is a workload of a campaign; in 60 lines."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.paths import REPOSITORY

from kmlbench import process
from kmlbench.build.image import COMPILE

pytestmark = pytest.mark.slow

PAGE = (REPOSITORY / "docs/workload.md").read_text()
LINES = 60


def files() -> dict[str, str]:
    """The files of the page, by the path that stands before each."""
    matches = re.findall(r"`([\w/]+\.\w+)`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    assert len(matches) == 2
    return dict(matches)


def registered(package: str) -> str:
    """kmlbench/workloads/registry.py with the line of the page and its import."""
    match = re.search(r"before `(.*)`:\n\n```text\n(.*?)```", PAGE, re.DOTALL)
    assert match
    place, line = match[1], match[2]
    module, name = "pipes", line.strip().removesuffix("(),")
    text = (REPOSITORY / package).read_text()
    anchor = "from kmlbench.workloads.syscalls import"
    assert text.count(place) == text.count(anchor) == 1
    text = text.replace(anchor, f"from kmlbench.workloads.{module} import {name}\n{anchor}")
    return text.replace(f"    {place}", f"{line}    {place}")


def test_the_page_is_followed_to_a_verified_campaign(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for name in ("kmlbench", "workloads", "instrument", "data"):
        shutil.copytree(REPOSITORY / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in files().items():
        (tree / path).parent.mkdir(exist_ok=True)
        (tree / path).write_text(text)
    (tree / "kmlbench/workloads/registry.py").write_text(registered("kmlbench/workloads/registry.py"))
    program = tmp_path / "pipes"
    process.check(
        (*COMPILE, "-Werror", "-o", str(program), str(tree / "workloads/pipes/pipes.c")), timeout_s=60
    )
    child = subprocess.run(
        (sys.executable, REPOSITORY / "tests/support/workload_child.py", str(tmp_path), str(program)),
        env={**os.environ, "PYTHONPATH": f"{tree}{os.pathsep}{REPOSITORY / 'tests'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    printed = json.loads(child.stdout.splitlines()[-1])
    assert printed["package"].startswith(str(tree))
    assert {"pipes_pipe_ns", "pipes_getpid_cycles", "cpu_total", "wall"} <= set(printed["metrics"])
    assert set(printed["metrics"]) <= set(printed["registered"])
    _require_known_everywhere(printed)


def _require_known_everywhere(actual: dict[str, Any]) -> None:
    """The workload and its metrics are in the command line, in the schema of hosts.yaml and in the report."""
    assert re.search(r'compgen -P "\$head" -W "pipes ', actual["completion"])
    assert re.search(r"_kmlbench_metrics.*\bpipes_pipe_ns pipes_getpid_ns\b", actual["completion"])
    assert "pipes" in json.dumps(actual["workloads"])
    (section,) = (each for each in actual["report"] if each["identifier"] == "pipes")
    (table,) = section["tables"]
    assert table["columns"][:2] == ["stock:/usr", "stock:/trusted"]
    assert [row["label"] for row in table["groups"][0]["rows"]] == [
        *("a byte through a pipe, instructions", "getpid, instructions")
    ]
    assert not section["folded"]


def test_the_page_needs_no_more_lines_than_it_says() -> None:
    code = [line for text in files().values() for line in text.splitlines() if line.strip()]
    registration = 2
    assert len(code) + registration <= LINES, len(code)


def test_the_adapter_is_written_as_the_others_are(tmp_path: Path) -> None:
    (path,) = (name for name in files() if name.endswith(".py"))
    copy = tmp_path / "adapter.py"
    copy.write_text(files()[path])
    for verb in (("check",), ("format", "--check")):
        argv = (
            sys.executable,
            "-m",
            "ruff",
            *verb,
            "--config",
            str(REPOSITORY / "pyproject.toml"),
            str(copy),
        )
        process.check(argv, timeout_s=60)
