# SPDX-License-Identifier: MIT
"""The report is made of the stored campaign alone, shows its holes and believes none of its texts."""

from __future__ import annotations

import hashlib
import html
import json
import re
import shutil
from base64 import b64encode
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from support.synthetic_campaigns import Recipe, build

import kmlbench
from kmlbench.errors import InputError
from kmlbench.model import Stopping
from kmlbench.plan import stopping
from kmlbench.report import write

MEGABYTE = 2**20


class Page(HTMLParser):
    """The text of a page, its tags, and every address it refers to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.texts: list[str] = []
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "srcset", "href")]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] not in (["script"], ["style"]):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


SMALL = Recipe(blocks=2, workloads=("getpid", "wisconsin"))

# Every metric that a report has.
EACH = Recipe(workloads=("getpid", "oltp_point_select", "wisconsin"))


def page(root: Path, recipe: Recipe = SMALL) -> Page:
    return Page(write.write_report(build(root, recipe)))


@pytest.fixture(scope="module")
def small_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the campaign that is linked to as the latest."""
    root = tmp_path_factory.mktemp("small")
    build(root, SMALL)
    return write.write_report(root / "latest")


@pytest.fixture(scope="module")
def small(small_report: Path) -> Page:
    return Page(small_report)


@pytest.fixture(scope="module")
def failing_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a campaign whose second trial failed and left output."""
    path = build(tmp_path_factory.mktemp("failing"), replace(SMALL, failing={1}))
    (path / "raw" / "0001-stock-trusted-getpid").mkdir()
    return write.write_report(path)


@pytest.fixture(scope="module")
def of_control(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return page(tmp_path_factory.mktemp("control"), replace(SMALL, control=True, blocks=4))


@pytest.fixture(scope="module")
def of_real_hosts(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return page(tmp_path_factory.mktemp("real"), replace(SMALL, platform="real hosts"))


@pytest.fixture(scope="module")
def of_one_block(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return page(tmp_path_factory.mktemp("one"), replace(EACH, blocks=1))


@pytest.mark.slow
def test_everything_is_derived_beside_the_record(small_report: Path, tmp_path: Path) -> None:
    path, untouched = small_report.parent, build(tmp_path, SMALL)

    assert small_report == path.with_name(untouched.name) / "report.html"
    for name in ("campaign.json", "outcomes.jsonl"):
        assert (path / name).read_bytes() == (untouched / name).read_bytes()
    pd.testing.assert_frame_equal(pd.read_parquet(path / "samples.parquet"), kmlbench.load(path))
    assert (path / "figures" / "wisconsin-cpu_total.svg").read_text().startswith("<?xml")
    assert (path / "figures" / "wisconsin-cpu_total-change-dark.svg").exists()


@pytest.mark.slow
def test_the_page_is_small_and_needs_nothing_else(tmp_path: Path) -> None:
    written = page(tmp_path, Recipe())
    assert len(written.source.encode()) < 5 * MEGABYTE
    beside = [address for address in written.addresses if not address.startswith(("#", "data:"))]
    assert not any(re.match(r"[a-z]+:|/|\.\.", address) for address in beside)
    assert written.tags.count("script") == 1
    assert "url(" not in written.source
    assert "@import" not in written.source


@pytest.mark.slow
def test_what_the_page_links_to_is_there(failing_report: Path) -> None:
    path, written = failing_report.parent, Page(failing_report)
    beside = {address for address in written.addresses if not address.startswith(("#", "data:"))}
    assert [address for address in beside if not (path / address).exists()] == []
    assert {"campaign.json", "outcomes.jsonl", "samples.parquet"} <= beside
    assert {"raw/0001-stock-trusted-getpid/", "raw/boot-0000/", "figures/wisconsin-cpu_total.csv"} <= beside
    assert "raw/0000-stock-usr-getpid/" not in beside
    failed = written.source.partition('id="holes"')[2].partition("</section>")[0]
    assert '<a href="raw/0001-stock-trusted-getpid/">1</a>' in failed


@pytest.mark.slow
def test_each_figure_has_its_data(small: Page) -> None:
    assert small.tags.count("figure") == small.tags.count("img") == small.source.count(" download ") > 0
    linked = {address for address in small.addresses if address.startswith("figures/")}
    assert len(linked) == small.tags.count("figure")


def test_the_policy_names_the_pages_own_script_and_style_alone(small: Page) -> None:
    result = small.source
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', result)
    directives = dict(each.split(" ", 1) for each in html.unescape(policy).split("; "))
    assert directives["default-src"] == "'none'"
    for tag in ("script", "style"):
        ((text,),) = [re.findall(rf"<{tag}>(.*?)</{tag}>", result, re.DOTALL)]
        digest = b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert directives[f"{tag}-src"] == f"'sha256-{digest}'"


@pytest.mark.slow
def test_the_answer_and_its_verdict_come_first(failing_report: Path) -> None:
    written = Page(failing_report).source
    places = [
        written.index(text)
        for text in ("Verdict: ", "kml:/trusted against stock:/usr. wisconsin", "is incomplete", "Contents")
    ]
    assert places == sorted(places)


@pytest.mark.slow
def test_the_same_campaign_gives_the_same_page_and_no_stale_figures(
    small_report: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "elsewhere" / small_report.parent.name
    shutil.copytree(small_report.parent, moved)
    (moved / "figures" / "of-another-day.svg").write_text("<svg/>")

    assert write.write_report(moved).read_bytes() == small_report.read_bytes()
    assert not (moved / "figures" / "of-another-day.svg").exists()


@pytest.mark.slow
def test_the_title_names_the_platform(of_real_hosts: Page) -> None:
    assert "<title>KML benchmark on real hosts: the default campaign</title>" in of_real_hosts.source


def test_the_figures_of_2005_stand_beside_ours(small: Page) -> None:
    text = small.text
    for figure in (
        "753.86",
        "611.78",
        "142.08",
        "728.61",
        "605.95",
        "122.66",
        "−3.35 %",
        "−0.95 %",
        "−13.7 %",
    ):
        assert figure in text
    assert "no error bars" in text


def part_of(written: Page, workload: str, identifier: str) -> str:
    """The mark-up of a part of a workload's section."""
    _, begin, rest = written.source.partition(f'<div id="workload-{workload}-{identifier}"')
    assert begin
    return rest.partition('<div id="workload-')[0]


def test_the_changes_of_2005_stand_in_the_cells_of_the_same_comparison(small: Page) -> None:
    rows = re.findall(r"<tr class=\"cell\">.*?</tr>", small.source, re.DOTALL)
    beside = [row for row in rows if "2005:" in row]
    changes = [re.findall(r'class="change main">.*?2005: (.*?)</small></td>', row) for row in beside]
    assert changes == [["−3.35 %"], ["−0.95 %"], ["−13.7 %"], ["−3.35 %"]]
    assert '<th scope="col">kml:/trusted against stock:/usr</th>' in part_of(small, "wisconsin", "table-2")


def test_table_2_has_cpu_user_and_system_of_both_and_apart_in_four_cells(small: Page) -> None:
    section = part_of(small, "wisconsin", "table-2").partition("Linux Journal, 2005</caption>")[0]
    for heading in ("CPU", "User", "System"):
        assert section.count(f'<th scope="row">{heading}, 10⁹ instructions</th>') == 3
    for group in ("server and client together", "server", "client"):
        assert f">{group}</th>" in section
    columns = re.findall(r'<th scope="col">(.*?)</th>', section)
    assert columns[1:5] == ["stock:/usr", "stock:/trusted", "kml:/usr", "kml:/trusted"]
    assert len(columns) == 1 + 4 + 4


@pytest.mark.slow
def test_it_is_said_how_few_ticks_tell_system_from_user(tmp_path: Path) -> None:
    """1.3 s at 250 ticks a second: 325 of them, 65 into System, give or take 1.96 times their root."""
    text = page(tmp_path, replace(SMALL, noise=0.0)).text
    assert "At 250 ticks a second, as in Debian's and the project's kernels" in text
    assert "a run of wisconsin (stock:/usr) has about 325 ticks, 65 of them in System" in text
    assert "by chance alone that number varies by ±24 % (95 %)" in text


@pytest.mark.slow
def test_a_difference_is_one_however_small_it_is_and_the_page_says_so(tmp_path: Path) -> None:
    text = page(tmp_path, replace(SMALL, blocks=4, effect=0.9994, noise=0.00001)).text
    assert "Verdict: a difference" in text
    assert "took 0.06 % fewer instructions" in text
    assert "Verdicts “A difference”: the interval excludes zero, however small the change." in text
    assert "“No difference larger than 1 %”: it contains zero and lies within ±1 %." in text
    assert "“Exact”: the same change in every block, of three or more." in text
    assert "“Undecided”: none of these." in text
    assert "taken for none" not in text


RULE = stopping.stopping_rule(0.005, workload="wisconsin", served=True)


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "by_chance"), [(None, 0.05), (RULE, 0.03)])
def test_it_is_said_how_many_measures_differ_where_nothing_should(
    tmp_path: Path, rule: Stopping | None, by_chance: float
) -> None:
    path = build(tmp_path, replace(SMALL, blocks=4, seed=13, stopping=rule))
    text = Page(write.write_report(path)).text
    frame = kmlbench.effects(path)
    same = frame[(frame["comparison"] == "stock:/trusted against stock:/usr") & frame["low"].notna()]
    differ = int((same["verdict"] == "difference").sum())
    assert differ > 1
    assert (
        f"Of {len(same)} measures that vary, {differ} differ between stock:/usr and stock:/trusted, where "
        f"none should; by chance about {by_chance * len(same):.1f} would."
    ) in text


@pytest.mark.slow
def test_nothing_is_counted_where_nothing_can_differ(of_control: Page, of_one_block: Page) -> None:
    for written in (of_control, of_one_block):
        assert "where none should" not in written.text


@pytest.mark.slow
def test_a_percentile_is_not_called_like_an_interval(tmp_path: Path) -> None:
    text = page(tmp_path, Recipe(blocks=2, workloads=("oltp_point_select",))).text
    for name in ("mean", "median", "95th percentile", "99th percentile", "longest"):
        assert f" {name}, guest ms " in text


@pytest.mark.slow
def test_the_articles_fifty_function_calls_stand_below_the_measured_ratio(tmp_path: Path) -> None:
    text = page(tmp_path, Recipe(blocks=2, workloads=("syscalls",), noise=0.0, effect=1.0)).text
    above, _, rest = text.partition("getpid in function calls")
    assert "System calls, by the clock" in above
    assert "pread, 4 KiB, instructions" in above
    assert "by rdtsc" not in text
    measured, fifty, _ = rest.partition("2005: about 50")
    assert fifty
    assert measured.strip().startswith("111 ")


def test_an_instruction_is_never_called_a_second(small: Page) -> None:
    text = small.text
    assert "CPU, 10⁹ instructions" in text
    assert "wall, guest s" in text
    assert "CPU, s " not in text
    assert "not a speed-up" in text


@pytest.mark.slow
def test_a_real_host_measures_seconds(of_real_hosts: Page) -> None:
    text = of_real_hosts.text
    assert "CPU, s " in text
    assert "instructions" not in text.replace("counted: instructions", "")


def test_a_whole_campaign_says_that_nothing_is_missing(small: Page) -> None:
    text = small.text
    assert "every planned trial completed" in text
    assert "is incomplete" not in text


@pytest.mark.slow
def test_the_holes_are_shown(tmp_path: Path) -> None:
    text = page(tmp_path, Recipe(blocks=1, failing={1}, missing={7, 8})).text
    assert "Of 16 planned trials 13 completed, 1 failed and 2 never ended" in text
    assert "failed: measure" in text
    assert text.count("the campaign ended before it") == 2
    assert "no completed trial" in text


@pytest.mark.slow
def test_texts_from_a_guest_stay_texts(tmp_path: Path) -> None:
    options = {"<i>": '"><script>x</script>'}
    hostile = replace(SMALL, failing={1}, title="<b>bold</b>", options=options)
    written = page(tmp_path, hostile)
    assert '<script>alert("cause")</script><img src=x onerror=alert(1)> & \\udcff' in written.text
    assert not {"b", "i"} & set(written.tags)
    assert written.tags.count("script") == 1
    assert "x" not in written.addresses


@pytest.mark.slow
def test_one_block_has_no_interval_anywhere(of_one_block: Page) -> None:
    text = of_one_block.text
    assert "one block: no interval" in text
    assert "undecided" in text
    assert not re.search(r"\[[−+]?[0-9]", text)


def test_a_campaign_without_any_number_is_told_as_such(tmp_path: Path) -> None:
    written = page(tmp_path, Recipe(blocks=1, missing=range(16)))
    assert "No answer" in written.text
    assert "Of 16 planned trials 0 completed, 0 failed and 16 never ended" in written.text
    assert "img" not in written.tags
    assert "753.86" not in written.text


@pytest.mark.slow
def test_a_control_campaign_is_called_one(of_control: Page, small: Page) -> None:
    assert "A/A control." in of_control.text
    assert "A/A control." not in small.text


@pytest.mark.slow
def test_facts_that_do_not_agree_are_marked(tmp_path: Path) -> None:
    path = build(tmp_path, SMALL)
    facts = path / "raw" / "boot-0001" / "facts.json"
    record = json.loads(facts.read_text())
    del record["crc32"]
    record["facts"]["cpus"] = "2"
    facts.write_text(json.dumps(record))
    row = re.search(
        r"<tr><th scope=\"row\">cpus</th>.*?</tr>", write.write_report(path).read_text(), re.DOTALL
    )
    assert row is not None
    assert '<span class="wrong">no</span>' in row[0]


def test_a_damaged_campaign_makes_no_report(tmp_path: Path) -> None:
    path = build(tmp_path, SMALL)
    outcomes = path / "outcomes.jsonl"
    outcomes.write_bytes(outcomes.read_bytes().replace(b"1", b"7", 1))
    with pytest.raises(InputError, match="checksum"):
        write.write_report(path)
    assert not (path / "report.html").exists()


@pytest.mark.slow
def test_a_cut_off_line_is_told_in_the_report(tmp_path: Path) -> None:
    path = build(tmp_path, SMALL)
    outcomes = path / "outcomes.jsonl"
    outcomes.write_bytes(outcomes.read_bytes()[:-5])
    text = Page(write.write_report(path)).text
    assert "outcomes.jsonl:16: the line is cut off" in text
    assert "Of 16 planned trials 15 completed, 0 failed and 1 never ended" in text


def test_headings_and_tables_are_marked_up_for_everybody(small: Page) -> None:
    assert small.tags.count("h1") == 1
    assert small.tags.count("caption") == small.tags.count("table")
    assert "<th>" not in small.source
    assert all(match for match in re.findall(r'<img [^>]*alt="([^"]*)"', small.source))
