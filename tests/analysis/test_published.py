# SPDX-License-Identifier: MIT
"""Published figures: each has a source and its words or a calculation, each fault its file and line."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st
from support.paths import DATA

from kmlbench.analysis import published
from kmlbench.analysis.published import Amounts, Bounds, Figure, Peer, Range
from kmlbench.errors import InputError, MachineError
from kmlbench.prices.pricelist import MOST, Source
from kmlbench.stats.intervals import Interval, independent_ratio

FIGURES = [
    pytest.param(peer, figure, id=f"{peer.name}: {figure.load}, {figure.against}")
    for peer in published.peers()
    for figure in peer.figure
]

HEAD = """format = 1
name = "A project"
about = "what it is"

[[source]]
id = "article"
title = "An article"

"""

FIGURE = """[[figure]]
workloads = ["redis_get"]
load = "GET"
measure = "requests a second"
against = "Linux"
platform = "a machine"
source = "article"
quote = "7 % better"
percent = 7

"""


@pytest.mark.parametrize(("peer", "figure"), FIGURES)
def test_every_figure_can_be_looked_up_and_says_what_its_source_says(peer: Peer, figure: Figure) -> None:
    assert peer.source_of(figure).url
    if figure.computed is None:
        assert figure.quote
        # "36 times faster" says 432 and 12 by their ratio.
        said = {*numbers(figure)} <= {*words(figure.quote)}
        ratio = figure.amounts and figure.amounts.control / figure.amounts.treated
        assert said or (ratio and f"{ratio:g} times faster" in figure.quote)


def numbers(figure: Figure) -> list[str]:
    """What the source has to have said."""
    if figure.amounts:
        return [f"{figure.amounts.control:g}", f"{figure.amounts.treated:g}"]
    if figure.range:
        return [f"{figure.range.low:g}", f"{figure.range.high:g}"]
    return [f"{abs(figure.percent or figure.at_most or 0):g}"]


def words(quote: str) -> list[str]:
    """Its numbers, as `numbers` writes them."""
    separated = "".join(letter if letter.isdigit() or letter == "." else " " for letter in quote)
    return [f"{float(part):g}" for part in separated.split() if part.strip(".")]


METRICS = {
    "redis_get": "get_rps",
    "redis_set": "set_rps",
    "nginx_keepalive": "keepalive_rps",
    "nginx_connections": "connection_rps",
}

ARMS = {
    "vm.kml.notiny.redis.log": "lupine-kml",
    "redis.lupine-nokml.log": "lupine-nokml",
    "redis.lupine-kml-tiny.log": "lupine-kml-tiny",
    "redis.lupine-nokml-tiny.log": "lupine-nokml-tiny",
    "redis.microvm.log": "microvm",
    **{f"nginx{kind}.{arm}.log": arm for kind in ("conn", "sess") for arm in ("lupine-kml", "lupine-nokml")},
}


@pytest.mark.parametrize(
    "figure",
    [
        pytest.param(figure, id=f"{figure.load}, {figure.against}")
        for peer in published.peers()
        for figure in peer.figure
        if figure.interval
    ],
)
def test_the_intervals_of_lupine_are_those_of_its_boots(figure: Figure) -> None:
    assert figure.interval
    assert figure.place
    metric = METRICS[figure.workloads[0]]
    control, treated = (boots(ARMS[log], metric) for log in figure.place.split(", "))
    ratio = independent_ratio(treated, control, confidence=figure.interval.level / 100)
    assert isinstance(ratio, Interval)
    assert ratio.low is not None
    assert ratio.high is not None
    assert figure.computed == f"ratio of the means of {len(treated)} and {len(control)} boots"
    computed = [(end - 1) * 100 for end in (ratio.estimate, ratio.low, ratio.high)]
    written = [figure.percent, figure.interval.low, figure.interval.high]
    assert computed == pytest.approx(written, abs=0.005)


def boots(arm: str, metric: str) -> Mapping[int, list[float]]:
    rows = [
        row
        for name in ("boots.csv", "nginx.csv")
        for row in csv.DictReader((DATA / "lupine" / name).read_text().splitlines())
        if (row["arm"], row["metric"]) == (arm, metric)
    ]
    return {int(row["boot"]): [float(row["value"])] for row in rows}


def test_a_figure_is_that_of_its_workload_at_any_level_of_threads() -> None:
    peer = published.parse(HEAD + FIGURE, name="f.toml")
    assert peer.of("redis_get") == peer.of("redis_get_4_threads") == peer.figure
    assert peer.of("redis_get_pipelined") == peer.of("redis") == ()


def test_what_table_2_has_is_no_figure_of_elsewhere() -> None:
    assert [*published.elsewhere("wisconsin")] == []
    seconds = published.beside("cpu_total")
    assert seconds
    assert (seconds.control, seconds.treated) == (753.86, 728.61)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (HEAD + "[[figure]\n", "f.toml:9: not TOML: Expected"),
        (HEAD + FIGURE.replace("percent = 7\n", ""), 'f.toml:9: field "figure[0]"'),
        (HEAD + FIGURE.replace("= 7", "= 7\nat_most = 8"), 'f.toml:9: field "figure[0]"'),
        (HEAD + FIGURE.replace("percent = 7", 'percent = "7"'), 'f.toml:17: field "figure[0].percent"'),
        (HEAD + FIGURE.replace("= 7", "= -101"), 'f.toml:17: field "figure[0].percent"'),
        (HEAD + FIGURE.replace("= 7", "= nan"), 'f.toml:17: field "figure[0].percent"'),
        (HEAD + FIGURE.replace('quote = "7 % better"', ""), 'f.toml:9: field "figure[0]"'),
        (
            HEAD + FIGURE.replace('source = "article"', 'source = "rumour"'),
            "f.toml:15: a figure has the source",
        ),
        (
            HEAD + FIGURE + FIGURE.replace("platform", "place"),
            'f.toml:19: field "figure[1].platform" is missing',
        ),
        (HEAD + FIGURE.replace("load", "loads"), 'f.toml:9: field "figure[0]'),
        (HEAD + FIGURE.replace('["redis_get"]', "[]"), 'f.toml:10: field "figure[0].workloads"'),
        (HEAD + FIGURE.replace("redis_get", "redis get"), 'f.toml:10: field "figure[0].workloads'),
        (HEAD + FIGURE + "interval = { low = 8, high = 9, level = 95 }", 'f.toml:9: field "figure[0]"'),
        (
            HEAD + FIGURE + "interval = { low = 9, high = 6, level = 95 }",
            'f.toml:19: field "figure[0].interval"',
        ),
        (HEAD + FIGURE + 'beside = "cpu_total"', 'f.toml:9: field "figure[0]"'),
        (HEAD.replace("format = 1", "format = 2") + FIGURE, 'f.toml:1: field "format"'),
        (HEAD, 'f.toml:1: field "figure" is missing'),
    ],
)
def test_a_fault_is_named_with_its_file_and_line(text: str, fault: str) -> None:
    with pytest.raises(InputError) as raised:
        published.parse(text, name="f.toml")
    assert str(raised.value).startswith(fault), str(raised.value)
    assert "data/published/README.md" in raised.value.remedy


def test_a_package_without_its_data_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("kmlbench.analysis.published.PUBLISHED", tmp_path)
    published.peers.cache_clear()
    try:
        with pytest.raises(MachineError, match="has no published figures"):
            published.peers()
    finally:
        published.peers.cache_clear()


percents = st.floats(-100, 1e6)
amounts = st.floats(min_value=0, max_value=MOST, exclude_min=True)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40)
names = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)


@st.composite
def effects(draw: st.DrawFn) -> dict[str, object]:
    low, middle, high = sorted(draw(st.lists(percents, min_size=3, max_size=3)))
    interval = Bounds(low=low, high=high, level=draw(st.floats(1, 99)))
    return draw(
        st.sampled_from(
            [
                {"percent": middle},
                {"percent": middle, "interval": interval},
                {"range": Range(low=low, high=high)},
                {"at_most": middle},
                {"amounts": Amounts(control=draw(amounts), treated=draw(amounts), unit=draw(texts))},
            ]
        )
    )


@st.composite
def peers(draw: st.DrawFn) -> Peer:
    sources = draw(st.lists(texts, min_size=1, max_size=3, unique=True))
    figures = tuple(
        msgspec.convert(
            {
                "workloads": draw(st.lists(names, min_size=1, max_size=3)),
                **{name: draw(texts) for name in ("load", "measure", "against", "platform", "quote")},
                "source": draw(st.sampled_from(sources)),
                **msgspec.to_builtins(effect),
            },
            Figure,
        )
        for effect in draw(st.lists(effects(), min_size=1, max_size=4))
    )
    return Peer(
        format=1,
        name=draw(texts),
        about=draw(texts),
        source=tuple(Source(id=name, title=draw(texts)) for name in sources),
        figure=figures,
    )


@given(peers())
def test_what_is_written_is_what_is_read(peer: Peer) -> None:
    assert published.parse(tomli_w.dumps(msgspec.to_builtins(peer)), name="written") == peer


@given(
    line=st.integers(0, 30),
    replacement=st.text(st.characters(codec="utf-8"), max_size=20)
    | st.sampled_from(["[[figure]]", "[figure]", "= 1", "[" * 99, "percent = inf"]),
)
def test_whatever_a_line_is_replaced_by_a_fault_is_an_input_error_with_a_line(
    line: int, replacement: str
) -> None:
    lines = (HEAD + FIGURE + FIGURE).split("\n")
    lines[line % len(lines)] = replacement
    try:
        published.parse("\n".join(lines), name="f.toml")
        message = "f.toml:1: none"
    except InputError as error:
        message = str(error)
    number = message.removeprefix("f.toml:").partition(":")[0]
    assert 1 <= int(number) <= "\n".join(lines).count("\n") + 1
