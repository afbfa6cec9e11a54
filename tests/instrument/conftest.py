# SPDX-License-Identifier: MIT
"""The plugin and the test programs of instrument/, built once for a worker."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.instrument import BUILT
from support.paths import REPOSITORY

from kmlbench import process


@pytest.fixture(scope="session", autouse=True)
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that `make -C instrument` built into, whose name is in the environment, too."""
    out = tmp_path_factory.mktemp("instrument")
    process.check(("make", "-C", str(REPOSITORY / "instrument"), f"OUT={out}", "all", "tests"), timeout_s=120)
    os.environ[BUILT] = str(out)
    return out
