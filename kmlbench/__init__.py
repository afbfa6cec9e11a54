# SPDX-License-Identifier: MIT
"""Kernel Mode Linux for Linux 6.12 and 7.2, and the benchmark suite that can tell its effect from noise.

`read("results/latest")` returns a stored Campaign: its answer, proofs, effects, explanation and figures.
`campaigns("results")` lists stored campaigns, `sample_files("results")` their Parquet files, `metrics()`
what can be measured; `load`, `effects`, `explain`, `profile`, `windows` and `project` take paths.
Nothing else is public. The names are imported on first use, so that the command line does not wait for
pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kmlbench.analysis.frames import load
    from kmlbench.api.campaign import Campaign, Drawing, read
    from kmlbench.api.frames import campaigns, effects, explain, metrics, profile, sample_files, windows
    from kmlbench.api.projection import project
    from kmlbench.report.answer import Answer

    __version__: str

__all__ = [
    "Answer",
    "Campaign",
    "Drawing",
    "__version__",
    "campaigns",
    "effects",
    "explain",
    "load",
    "metrics",
    "profile",
    "project",
    "read",
    "sample_files",
    "windows",
]

_MODULES = {
    **dict.fromkeys(("Campaign", "Drawing", "read"), "kmlbench.api.campaign"),
    **dict.fromkeys(
        ("campaigns", "effects", "explain", "metrics", "profile", "sample_files", "windows"),
        "kmlbench.api.frames",
    ),
    "Answer": "kmlbench.report.answer",
    "project": "kmlbench.api.projection",
    "load": "kmlbench.analysis.frames",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        return import_module("kmlbench.provenance").package_version()
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
