# SPDX-License-Identifier: MIT
"""No command waits for libraries that it does not use."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from keyword import iskeyword
from pathlib import Path

import pytest
from support.paths import REPOSITORY

from kmlbench.cli import programs

# What takes long to import, as somebody waits for it.
HEAVY = ("pandas", "pyarrow", "matplotlib", "sqlalchemy", "scipy.stats", "scipy.optimize")

# Reads or reaches no machine: takes what the standard library has.
LIGHT = (*HEAVY, "numpy", "paramiko", "rich", "ruamel", "jinja2", "msgspec", "pydantic", "shtab")

PROGRAM = """
import atexit, sys
from kmlbench.cli.main import main, run_benchmark
atexit.register(lambda: print("\\nloaded:", *sorted(sys.modules)))
sys.exit({"kmlbench": main, "run-benchmark": run_benchmark}[sys.argv[1]](sys.argv[2:]))
"""


def loaded(words: str) -> set[str]:
    """The modules that a command has imported by its end."""
    ran = subprocess.run(
        (sys.executable, "-c", PROGRAM, *words.split()),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return set(ran.stdout.rpartition("\nloaded: ")[2].split())


@pytest.mark.parametrize("words", ["--version", "--help"])
def test_what_only_prints_loads_nothing(words: str) -> None:
    assert not loaded(f"kmlbench {words}") & set(LIGHT)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "kmlbench kernel build --help",
        "kmlbench host check --help",
        "kmlbench completion bash",
        "kmlbench manual kmlbench",
        "run-benchmark --dry-run --workloads wisconsin",
    ],
)
def test_what_reads_no_samples_loads_nothing_that_computes(words: str) -> None:
    assert not loaded(words) & set(HEAVY)


@pytest.mark.parametrize("words", ["kmlbench host check --help", "kmlbench kernel build --help"])
def test_what_reads_no_hosts_yaml_does_not_load_pydantic(words: str) -> None:
    assert "pydantic" not in loaded(words)


@pytest.mark.slow
def test_what_draws_nothing_loads_no_frames() -> None:
    result = loaded("kmlbench plan tests/data/campaign --half-width 1%")
    assert not result & {"pandas", "pyarrow", "matplotlib", "sqlalchemy"}


def test_the_package_loads_nothing() -> None:
    ran = subprocess.run(
        (sys.executable, "-c", "import sys, kmlbench; print(*sys.modules)"),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not set(ran.stdout.split()) & set(LIGHT)


def test_every_verb_has_a_module_of_its_name_and_no_module_lacks_its_verb() -> None:
    commands = import_module(programs.COMMANDS)
    here = {path.stem for path in Path(str(commands.__file__)).parent.glob("[a-z]*.py")}
    assert here == {"run_benchmark", *(f"{name}_" if iskeyword(name) else name for name in programs.VERBS)}
