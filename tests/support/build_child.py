# SPDX-License-Identifier: MIT
"""A separate process that builds a cache entry, for tests/build/test_cache.py: CACHE FIFO COUNTER."""

from __future__ import annotations

import sys
from pathlib import Path

from kmlbench.build.cache import Cache


def main() -> None:
    root, fifo, counter = (Path(argument) for argument in sys.argv[1:])

    def build(directory: Path) -> None:
        (directory / "half").write_text("half")
        with counter.open("a") as count:
            count.write("built\n")
        # Opening a FIFO waits for the test at its other end.
        fifo.read_text()
        (directory / "whole").write_text("whole")

    Cache(root).ensure("thing", {"content": "1"}, build, need_gib=0)


if __name__ == "__main__":
    main()
