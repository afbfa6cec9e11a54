# SPDX-License-Identifier: MIT
"""The metadata of a field that people write in a file: what it is, and which values it may have.

config reads the files by these rules, and makes the JSON schemas for editors of them.
"""

from __future__ import annotations

from collections.abc import Mapping

PLAIN = r"[^\x00-\x1f\x7f]+"

PLAIN_WORDS = "text without control characters"

Rule = Mapping[str, object]

# The keys and list indices that lead to a value.
Location = tuple[str | int, ...]


def plain_field(about: str) -> Rule:
    """The metadata of a field that is a key of hosts.yaml: its description."""
    return {"description": about}


def number(about: str, minimum: float, maximum: float) -> Rule:
    """The metadata of a number in a closed range."""
    return {"description": about, "strict": True, "ge": minimum, "le": maximum}


def flag_field(about: str) -> Rule:
    """The metadata of a truth value."""
    return {"description": about, "strict": True}


def text_field(about: str, *, pattern: str = PLAIN, wanted: str = PLAIN_WORDS) -> Rule:
    """The metadata of a text that matches a regular expression as a whole; `wanted` says it in words.

    The expression must mean the same in Python, Rust and ECMA-262.
    """
    return {"description": about, "pattern": f"^(?:{pattern})$", "wanted": wanted}
