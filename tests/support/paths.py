# SPDX-License-Identifier: MIT
"""Where things lie in the repository."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TESTS = REPOSITORY / "tests"
SUPPORT = TESTS / "support"
DATA = TESTS / "data"
