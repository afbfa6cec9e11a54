# SPDX-License-Identifier: MIT
"""Kernel Mode Linux for Linux 6.12, and the benchmark suite that can tell its effect from noise.

`load("results/latest")` returns the samples of a stored campaign as a tidy DataFrame, `effects` the
comparisons of its cells, `explain` why its workloads take less; `campaigns("results")` lists stored
campaigns, `sample_files("results")` their Parquet files. The names are imported on first use, so that the
command line does not wait for pandas.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kmlbench.analysis.frames import load
    from kmlbench.api import campaigns, effects, explain, sample_files

    __version__: str

__all__ = ["__version__", "campaigns", "effects", "explain", "load", "sample_files"]


def __getattr__(name: str) -> object:
    match name:
        case "campaigns" | "effects" | "sample_files":
            return getattr(import_module("kmlbench.api"), name)
        case "explain":
            return import_module("kmlbench.api").explain
        case "load":
            return import_module("kmlbench.analysis.frames").load
        case "__version__":
            return version("kmlbench")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
