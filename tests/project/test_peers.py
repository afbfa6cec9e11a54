# SPDX-License-Identifier: MIT
"""The page about peers says what the published figures and the results say."""

from __future__ import annotations

import re

import pytest
from support.paths import REPOSITORY

from kmlbench.analysis import published
from kmlbench.analysis.published import Peer
from kmlbench.report import elsewhere

PAGE = (REPOSITORY / "docs" / "peers.md").read_text(encoding="utf-8")

RESULTS = (REPOSITORY / "docs" / "results.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("peer", [pytest.param(peer, id=peer.name) for peer in published.peers()])
def test_every_figure_of_a_peer_stands_in_its_row_and_its_sources_are_linked(peer: Peer) -> None:
    first = f"| {peer.name.partition(',')[0]}"
    rows = "\n".join(line for line in section("What they gain").split("\n") if line.startswith(first))
    for figure in peer.figure:
        cell = elsewhere.change(figure)
        assert cell.text in rows, figure.load
        assert not figure.interval or f"{cell.text} {cell.aside}" in rows, figure.load
    used = {peer.source_of(figure).url for figure in peer.figure}
    assert all(url and f"({url})" in PAGE for url in used)


def test_where_the_project_stands_is_what_the_suite_measured() -> None:
    stands = section("Where this project stands")
    numbers = re.findall(r"−\d+\.\d+ %(?: \[[^\]]*\])?", stands)
    assert len(numbers) > 5
    assert [number for number in numbers if number.removesuffix(" %") not in RESULTS] == []
