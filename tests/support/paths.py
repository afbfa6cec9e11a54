# SPDX-License-Identifier: MIT
"""Where things lie in the repository."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TESTS = REPOSITORY / "tests"
SUPPORT = TESTS / "support"
DATA = TESTS / "data"

# Of a child of a test: this checkout's package and support, whatever is installed.
PYTHONPATH = f"{REPOSITORY}{os.pathsep}{TESTS}"
