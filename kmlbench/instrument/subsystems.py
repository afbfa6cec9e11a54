# SPDX-License-Identifier: MIT
"""The part of the kernel that a function belongs to, by the patterns of instrument/subsystems.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache, lru_cache

from kmlbench.paths import INSTRUMENT

PATTERNS = INSTRUMENT / "subsystems.toml"

# What no pattern matches, and what is no function of the kernel.
UNKNOWN, USER_CODE = "other", "user code"

# What the compiler appends to the name of a part or a variant of a function.
_APPENDED = re.compile(r"\.(?:isra|constprop|part|cold)(?:\.\d+)?")


@lru_cache(maxsize=1 << 16)
def subsystem(function: str) -> str:
    """The subsystem of a kernel function, or UNKNOWN."""
    plain = _APPENDED.sub("", function)
    return next((name for name, pattern in _patterns().items() if pattern.fullmatch(plain)), UNKNOWN)


@cache
def _patterns() -> Mapping[str, re.Pattern[str]]:
    data = tomllib.loads(PATTERNS.read_text(encoding="utf-8"))
    return {item["name"]: re.compile("|".join(item["functions"])) for item in data["subsystem"]}
