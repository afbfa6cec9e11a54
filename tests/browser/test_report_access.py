# SPDX-License-Identifier: MIT
"""The report for everybody, in a real browser: WCAG 2.2 AA by axe-core, keyboard, sorting, print."""

from __future__ import annotations

import io
import re
import unicodedata
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium_axe_python.axe import Axe
from support.chromium import browser
from support.synthetic_campaigns import Recipe, build, stored_campaign

from kmlbench.report import write

WCAG_22_AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
WORKLOADS = ("getpid", "syscalls", "oltp_point_select", "wisconsin", "calls_wisconsin")
HOLES = Recipe(blocks=2, workloads=WORKLOADS, failing={1}, missing={7, 8}, title="with <i>holes")
SHORT = Recipe(blocks=1, workloads=("getpid",))
REACHABLE = "a, button, summary, [tabindex='0']"
UNFOLD = "for (const fold of document.querySelectorAll('details')) fold.open = true;"
WISCONSIN = "workload-wisconsin"
SCROLLING_PX = 1000  # narrow enough for a table to scroll in its box
A4_PX = 1032  # 297 mm less two margins of 12 mm, at 96 pixels an inch

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("results")
    return {
        "stored": write.write_report(stored_campaign(root / "stored")),
        "holes": write.write_report(build(root / "holes", HOLES)),
        "short": write.write_report(build(root / "short", SHORT)),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A page printed to PDF: the sizes of its sheets in points, and the letters on each."""

    sizes: set[tuple[int, int]]
    texts: list[str]


@pytest.fixture(scope="module")
def printed(chrome: Chrome, pages: dict[str, Path]) -> dict[str, Paper]:
    """By a reader who has the dark scheme on the screen."""
    return {name: on_paper(chrome, pages[name]) for name in ("stored", "holes")}


def on_paper(chrome: Chrome, page: Path) -> Paper:
    with browser(chrome, page, width=A4_PX, scheme="dark") as driver:
        # Figures have no text, and pypdf walks through every line of theirs; their room stays.
        driver.execute_script("for (const image of document.images) image.style.visibility = 'hidden'")
        result = driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    sheets = PdfReader(io.BytesIO(b64decode(result["data"]))).pages
    return Paper(
        sizes={(round(sheet.mediabox.width), round(sheet.mediabox.height)) for sheet in sheets},
        texts=[_letters(sheet.extract_text()) for sheet in sheets],
    )


def violations(driver: Chrome) -> dict[str, str]:
    """What breaks WCAG 2.2 AA, or may by its contrast: the rule, and the first place where."""
    driver.execute_script(UNFOLD)
    axe = injected(driver)
    rules = driver.execute_script(
        "return axe.getRules(arguments[0]).filter(rule => rule.ruleId !== 'color-contrast' &&"
        " !rule.tags.includes('experimental') && !rule.tags.includes('deprecated')).map(rule => rule.ruleId)",
        WCAG_22_AA,
    )
    result = axe.run(options={"runOnly": {"type": "rule", "values": rules}})
    assert {"image-alt", "target-size", "scrollable-region-focusable"} <= ruled(result)
    return {**first_places(result["violations"]), **poor_contrasts(driver, axe)}


def injected(driver: Chrome) -> Axe:
    driver.set_script_timeout(300)
    axe = Axe(driver)
    axe.inject()
    return axe


def poor_contrasts(driver: Chrome, axe: Axe) -> dict[str, str]:
    """The rule of contrasts and the first place that breaks it, or may."""
    driver.execute_script(UNFOLD)
    # Of what reaches out of its box or its window axe-core cannot tell the contrast.
    wide = {"width": 4000, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", wide)
    driver.execute_script(
        "document.body.style.maxWidth = 'none';"
        "for (const one of document.querySelectorAll('.scroll')) one.style.overflow = 'visible'"
    )
    result = axe.run(options={"runOnly": {"type": "rule", "values": ["color-contrast"]}})
    assert ruled(result) == {"color-contrast"}
    return first_places((*result["violations"], *result["incomplete"]))


def ruled(actual: Mapping[str, Any]) -> set[str]:
    """The rules that were applied to something."""
    return {rule["id"] for kind in ("passes", "violations", "incomplete") for rule in actual[kind]}


def first_places(rules: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {rule["id"]: rule["nodes"][0]["html"] for rule in rules}


@pytest.mark.parametrize("name", ["stored", "holes"])
def test_nothing_breaks_wcag_22_aa(chrome: Chrome, pages: dict[str, Path], name: str) -> None:
    with browser(chrome, pages[name], width=SCROLLING_PX) as driver:
        assert violations(driver) == {}


@pytest.mark.parametrize("name", ["stored", "holes"])
def test_by_night_contrasts_are_as_good(chrome: Chrome, pages: dict[str, Path], name: str) -> None:
    """What else the rules are about is no matter of the scheme."""
    with browser(chrome, pages[name], width=1280, scheme="dark") as driver:
        assert poor_contrasts(driver, injected(driver)) == {}


def test_a_page_that_breaks_it_is_told(chrome: Chrome, pages: dict[str, Path]) -> None:
    with browser(chrome, pages["short"], width=SCROLLING_PX) as driver:
        driver.execute_script(
            "document.images[0].removeAttribute('alt'); document.querySelector('h1').style.color = '#ddd';"
            "document.querySelector('nav ul').style.cssText = 'display: block; font-size: 9px';"
            "for (const one of document.querySelectorAll('nav a'))"
            " one.style.cssText = 'display: block; line-height: 1; padding: 0'"
        )
        assert set(violations(driver)) == {"image-alt", "color-contrast", "target-size"}


@pytest.mark.parametrize("width", [1280, 400])
def test_the_first_screen_is_the_answer(chrome: Chrome, pages: dict[str, Path], width: int) -> None:
    """Sentence, verdict, interval, platform and figure, above what 900 pixels show."""
    with browser(chrome, pages["stored"], width=width) as driver:
        answer = driver.find_element(By.CSS_SELECTOR, ".answer")
        assert "Verdict: " in answer.text
        assert re.search(
            r"Ratio of instructions executed \d\.\d{4} \[.*QEMU TCG, instruction clock", answer.text
        )
        image = answer.find_element(By.TAG_NAME, "img")
        assert image.rect["y"] + image.rect["height"] < 900


def test_sections_stand_in_the_order_of_a_reader(chrome: Chrome, pages: dict[str, Path]) -> None:
    with browser(chrome, pages["holes"], width=1280) as driver:
        result = [
            element.get_attribute("id") for element in driver.find_elements(By.CSS_SELECTOR, "main > section")
        ]
        parts = {
            section: [
                (element.get_attribute("id") or "").removeprefix(f"{section}-")
                for element in driver.find_elements(By.CSS_SELECTOR, f"#{section} > .part")
            ]
            for section in result
            if section
        }
        levels = [int(element.tag_name[1]) for element in driver.find_elements(By.CSS_SELECTOR, "h1, h2, h3")]
    assert result == [
        *("answer", "workload-wisconsin", "workload-oltp_point_select"),
        *("workload-getpid", "workload-syscalls"),
        *("what", "facts", "proofs", "holes", "again", "files"),
    ]
    assert parts["workload-wisconsin"] == ["table-2", "throughput", "counters", "explanation"]
    assert parts["workload-oltp_point_select"] == [
        *("throughput", "latency", "cpu", "counters", "explanation")
    ]
    assert parts["workload-getpid"] == ["getpid", "cpu", "counters", "published"]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_the_keyboard_reaches_everything_and_shows_where_it_is(
    chrome: Chrome, pages: dict[str, Path]
) -> None:
    with browser(chrome, pages["holes"], width=1280) as driver:
        reachable = driver.execute_script(
            f"{UNFOLD} window.focused = [];"
            f'const reachable = [...document.querySelectorAll("{REACHABLE}")];'
            "document.addEventListener('focusin', event => focused.push([reachable.indexOf(event.target),"
            " getComputedStyle(event.target).outlineStyle, event.target.outerHTML]));"
            "return reachable.length"
        )
        keys = ActionChains(driver)
        for _ in range(reachable):
            keys.send_keys(Keys.TAB)
        keys.perform()
        focused = driver.execute_script("return focused")
    assert [html for _, outline, html in focused if outline != "solid"] == []
    assert {number for number, _, _ in focused} == set(range(reachable))


def column(driver: Chrome, table: str, index: int) -> list[str]:
    """The first texts of a column's cells, in the first group."""
    return driver.execute_script(  # type: ignore[no-any-return]
        "const [table, index] = arguments;"
        "const rows = document.querySelector(table).tBodies[0].querySelectorAll('tr.cell');"
        "return [...rows].map(row => row.cells[index].firstChild.textContent)",
        *(table, index),
    )


def test_a_table_is_sorted_by_the_keyboard_and_says_so(chrome: Chrome, pages: dict[str, Path]) -> None:
    table = f"#{WISCONSIN}-table-2 table"
    with browser(chrome, pages["holes"], width=1280) as driver:
        before = column(driver, table, 1)
        heading = driver.find_element(By.CSS_SELECTOR, f"{table} thead th:nth-child(2)")
        button = heading.find_element(By.TAG_NAME, "button")
        for key, order in ((Keys.ENTER, "ascending"), (Keys.SPACE, "descending"), (Keys.ENTER, None)):
            button.send_keys(key)
            assert heading.get_attribute("aria-sort") == order
            numbers = sorted(before, key=float)
            wanted = {"ascending": numbers, "descending": numbers[::-1], None: before}[order]
            assert column(driver, table, 1) == wanted
        assert before != sorted(before, key=float)
        assert driver.execute_script(
            f"return document.querySelector('{table} tbody').rows[0].innerText"
        ).startswith("server and client together")
        assert driver.get_log("browser") == []


def test_without_scripts_the_tables_are_whole(chrome: Chrome, pages: dict[str, Path]) -> None:
    with browser(chrome, pages["holes"], width=1280) as driver:
        cells = "return [...document.querySelectorAll('td')].map(one => one.textContent)"
        texts = driver.execute_script(cells)
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        driver.refresh()
        assert not driver.find_elements(By.CSS_SELECTOR, "th button")
        # A driver's scripts run all the same.
        assert driver.execute_script(cells) == texts


def test_details_fold_and_unfold_for_paper_and_links_and_by_one_button(
    chrome: Chrome, pages: dict[str, Path]
) -> None:
    closed = "return [...document.querySelectorAll('details')].filter(fold => !fold.open).length"
    with browser(chrome, pages["holes"], width=1280) as driver:
        whole = len(driver.find_elements(By.TAG_NAME, "details"))
        assert driver.execute_script(closed) == whole > 5
        driver.execute_script("dispatchEvent(new Event('beforeprint'))")
        assert driver.execute_script(closed) == 0
        driver.execute_script("dispatchEvent(new Event('afterprint'))")
        assert driver.execute_script(closed) == whole
        driver.get(f"{pages['holes'].as_uri()}#{WISCONSIN}-counters")
        assert driver.execute_script(closed) == whole - 1
        for left in (0, whole):
            driver.find_element(By.CSS_SELECTOR, "nav button").send_keys(Keys.ENTER)
            assert driver.execute_script(closed) == left
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        driver.refresh()
        assert driver.execute_script(closed) == 0


def test_no_script_and_no_address_but_the_pages_own_is_used(chrome: Chrome, pages: dict[str, Path]) -> None:
    with browser(chrome, pages["holes"], width=1280) as driver:
        assert driver.find_elements(By.CSS_SELECTOR, "th button")
        driver.execute_script(
            "const script = document.createElement('script'); script.textContent = 'window.ran = true';"
            "document.body.append(script); document.body.setAttribute('onclick', 'window.ran = true');"
            "document.body.click()"
        )
        assert driver.execute_script("return window.ran") is None
        text = " ".join(row["message"] for row in driver.get_log("browser"))
        assert text.count("Content Security Policy") >= 2


def test_every_link_leads_somewhere(chrome: Chrome, pages: dict[str, Path]) -> None:
    for page in pages.values():
        with browser(chrome, page, width=1280) as driver:
            missing = (
                "return [...document.querySelectorAll('a')].map(one => one.getAttribute('href'))"
                ".filter(one => one.startsWith('#') && !document.getElementById(one.slice(1)))"
            )
            assert driver.execute_script(missing) == []


@pytest.mark.parametrize("name", ["stored", "holes"])
def test_printed_no_table_is_cut_off(
    chrome: Chrome, pages: dict[str, Path], printed: dict[str, Paper], name: str
) -> None:
    with browser(chrome, pages[name], width=A4_PX, scheme="dark") as driver:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        driver.execute_script(UNFOLD)
        wide = (
            "return [...document.querySelectorAll('table, img, pre, p, dl')].filter("
            "one => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1"
            ").map(one => one.innerText)"
        )
        assert driver.execute_script(wide) == []
        cells = driver.execute_script(
            "return [...document.querySelectorAll('th, td, caption')].map(one => one.innerText)"
        )
    assert 3 <= len(printed[name].texts) <= 40
    assert printed[name].sizes == {(842, 595)}
    text = "".join(printed[name].texts)
    assert [cell for cell in cells if _letters(cell) not in text] == []


def test_printed_a_table_has_its_headings_on_every_page(
    chrome: Chrome, pages: dict[str, Path], printed: dict[str, Paper]
) -> None:
    with browser(chrome, pages["stored"], width=A4_PX) as driver:
        longest = (
            "const tables = [...document.querySelectorAll('table')];"
            "const one = tables.sort((one, other) => other.rows.length - one.rows.length)[0];"
            "return [one.caption.innerText, one.tHead.textContent, one.tBodies[0].lastElementChild.innerText]"
        )
        caption, headings, last = driver.execute_script(longest)
    texts = printed["stored"].texts
    first = next(at for at, text in enumerate(texts) if _letters(caption) in text)
    end = next(at for at, text in enumerate(texts) if at > first and _letters(last) in text)
    assert all(_letters(headings).replace("↕", "") in text for text in texts[first : end + 1])


def _letters(text: str) -> str:
    """Without spaces and ligatures."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))
