# SPDX-License-Identifier: MIT
"""Price lists: every figure has a source, every fault its line, and what is written is what is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmlbench.cli.main import main
from kmlbench.errors import InputError
from kmlbench.prices import pricelist
from kmlbench.prices.pricelist import (
    CycleKind,
    Figure,
    Ipc,
    Machine,
    Operation,
    Price,
    PriceList,
    Range,
    Source,
)
from kmlbench.workloads.metrics import COSTLY

HEAD = """format = 1
name = "A processor"
processor = "A processor, 2026"
cycles = "core"

[[source]]
id = "book"
title = "A book"

"""

SYSCALL = """[[price]]
of = "syscall"
source = "book"
cycles = { low = 27, high = 27 }

"""

SYSRET = SYSCALL.replace("syscall", "sysret")


@pytest.mark.parametrize("name", pricelist.published())
def test_every_published_price_is_read_and_has_a_source_that_can_be_looked_up(name: str) -> None:
    prices = pricelist.read(pricelist.find(name))
    for price in prices.price:
        source = prices.source_of(price)
        if prices.measured is None:
            assert source.url, f"{price.of}: {source.title}"
            assert price.quote, f"{price.of}: the source's own words"
            numbers = [figure for figure in (price.cycles, price.nanoseconds) if figure]
            assert all(f"{end:g}" in price.quote for figure in numbers for end in (figure.low, figure.high))
        else:
            assert source.date == prices.measured.measured_utc


def test_the_lists_that_come_with_the_program_are_listed_with_their_sources(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["costs", "--list"]) == 0
    listed = capsys.readouterr().out
    assert all(f"{name}: " in listed for name in pricelist.published())
    assert "syscall: 27 cycles (Advanced Micro Devices, Software Optimization Guide" in listed


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (HEAD + "[[price]\n", "f.toml:10: not TOML: Expected"),
        (HEAD + SYSCALL + SYSRET.replace("low = 27", "low = 28"), 'f.toml:18: field "price[1].cycles"'),
        (HEAD + SYSCALL.replace('"book"', '"rumour"'), "f.toml:11: the price of"),
        (HEAD + SYSCALL + SYSCALL, 'f.toml:11: "syscall" has two prices'),
        (HEAD + SYSCALL.replace("syscall", "sycall"), 'f.toml:10: field "price[0]"'),
        (HEAD + SYSCALL.replace("27, high", "-1, high"), 'f.toml:13: field "price[0].cycles.low" is -1'),
        (HEAD + SYSCALL.replace("27 }", '"27" }'), 'f.toml:13: field "price[0].cycles.high"'),
        (
            HEAD + SYSCALL.replace("27, high = 27", "nan, high = nan"),
            'f.toml:13: field "price[0].cycles.low"',
        ),
        (HEAD + SYSCALL.replace('source = "book"', ""), 'f.toml:10: field "price[0].source" is missing'),
        (HEAD + SYSCALL.replace("cycles", "clocks"), 'f.toml:10: field "price[0]"'),
        (HEAD.replace('"core"', '"days"') + SYSCALL, 'f.toml:4: field "cycles"'),
        (HEAD.replace("format = 1", "format = 2") + SYSCALL, 'f.toml:1: field "format"'),
        (HEAD.replace('title = "A book"', "") + SYSCALL, 'f.toml:6: field "source[0].title" is missing'),
        ("ipc = { low = 0, high = 1 }\n" + HEAD + SYSCALL, 'f.toml:1: field "ipc"'),
        (HEAD, 'f.toml:1: field "price" is missing'),
    ],
)
def test_a_fault_is_named_with_its_file_and_line(text: str, fault: str) -> None:
    with pytest.raises(InputError) as raised:
        pricelist.parse(text, name="f.toml")
    assert str(raised.value).startswith(fault), str(raised.value)
    assert "data/prices/README.md" in raised.value.remedy


def test_a_list_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file, and no list") as raised:
        pricelist.find("amd-k7")
    assert "amd-k8" in raised.value.remedy
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        pricelist.read(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe4"')
    with pytest.raises(InputError, match="not UTF-8 text"):
        pricelist.read(tmp_path / "latin.toml")


numbers = st.floats(min_value=0, max_value=pricelist.MOST)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40)


@st.composite
def figures(draw: st.DrawFn) -> Figure:
    least, low, median, high, most = sorted(draw(st.lists(numbers, min_size=5, max_size=5)))
    measured = {"median": median, "least": least, "most": most} if draw(st.booleans()) else {}
    return Figure(low=low, high=high, **measured)


@st.composite
def price_lists(draw: st.DrawFn, names: tuple[str, ...] = (*COSTLY, *Operation)) -> PriceList:
    sources = draw(st.lists(texts, min_size=1, max_size=3, unique=True))
    priced = draw(st.lists(st.sampled_from(names), min_size=1, max_size=8, unique=True))
    ends = sorted(draw(st.lists(st.floats(0.01, 100), min_size=2, max_size=2)))
    machine = Machine(
        measured_utc=draw(texts),
        kernel=draw(texts),
        processor_id=draw(texts),
        microcode=draw(texts),
        virtual_machine=draw(texts),
        compiler=draw(texts),
        mitigations=tuple(draw(st.lists(texts, max_size=3))),
    )
    prices = tuple(
        Price(
            of=name,
            source=draw(st.sampled_from(sources)),
            quote=draw(st.none() | texts),
            cycles=draw(figures()),
            nanoseconds=draw(st.none() | figures()),
            instructions=draw(st.none() | st.just(Range(low=1, high=2.5))),
        )
        for name in priced
    )
    return PriceList(
        format=1,
        name=draw(texts),
        processor=draw(texts),
        cycles=draw(st.sampled_from(CycleKind)),
        source=tuple(Source(id=name, title=draw(texts), url=draw(st.none() | texts)) for name in sources),
        price=prices,
        ipc=Ipc(low=ends[0], high=ends[1]),
        remark=draw(st.none() | texts),
        measured=draw(st.none() | st.just(machine)),
    )


@given(price_lists())
def test_what_is_written_is_what_is_read(prices: PriceList) -> None:
    assert pricelist.parse(pricelist.toml(prices), name="written") == prices


@given(
    line=st.integers(0, 30),
    words=st.text(st.characters(codec="utf-8"), max_size=20)
    | st.sampled_from(["[[price]]", "[price]", "= 1", "[" * 99]),
)
def test_whatever_a_line_is_replaced_by_a_fault_is_an_input_error_with_a_line(line: int, words: str) -> None:
    lines = (HEAD + SYSCALL + SYSRET).split("\n")
    lines[line % len(lines)] = words
    try:
        pricelist.parse("\n".join(lines), name="f.toml")
        message = "f.toml:1: none"
    except InputError as error:
        message = str(error)
    number = message.removeprefix("f.toml:").partition(":")[0]
    assert 1 <= int(number) <= "\n".join(lines).count("\n") + 1
