# SPDX-License-Identifier: MIT
"""The report in a real browser: it fits a desk and a telephone, by day and by night, without a complaint."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from support.chromium import browser
from support.synthetic_campaigns import Recipe, build, stored_campaign

from kmlbench.plan.comparisons import STOCK_USR
from kmlbench.report import write

HOLES = Recipe(
    blocks=2, workloads=("getpid", "wisconsin"), failing={1}, missing={7, 8}, title="with <i>holes"
)

# Beside the campaign with holes, whose effects it stands beside.
CONTROL = Recipe(blocks=3, workloads=("getpid", "wisconsin"), control=True, cells=(STOCK_USR,), seed=2)

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("results")
    control = build(root / "holes", CONTROL)
    return {
        "control": write.write_report(control),
        "stored": write.write_report(stored_campaign(root / "stored")),
        "holes": write.write_report(build(root / "holes", HOLES)),
    }


@pytest.mark.parametrize("name", ["stored", "holes", "control"])
@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_fits_and_nothing_complains(
    chrome: Chrome, pages: dict[str, Path], name: str, width: int
) -> None:
    with browser(chrome, pages[name], width=width) as driver:
        assert driver.execute_script("return innerWidth") == width
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        assert driver.get_log("browser") == []
        assert "QEMU TCG, instruction clock" in driver.title
        broken = "return [...document.images].filter(image => !image.complete || !image.naturalWidth).length"
        assert driver.execute_script(broken) == 0
        assert driver.execute_script("return document.images.length") > 0


@pytest.mark.parametrize("name", ["stored", "holes", "control"])
def test_on_a_desk_no_table_scrolls_sideways(chrome: Chrome, pages: dict[str, Path], name: str) -> None:
    with browser(chrome, pages[name], width=1280) as driver:
        wide = (
            "for (const fold of document.querySelectorAll('details')) fold.open = true;"
            "return [...document.querySelectorAll('.scroll')].filter(one => one.querySelector('.numbers') &&"
            " one.scrollWidth > one.clientWidth).map(one => one.ariaLabel)"
        )
        assert driver.execute_script(wide) == []


def test_a_wide_table_scrolls_in_its_own_box(chrome: Chrome, pages: dict[str, Path]) -> None:
    with browser(chrome, pages["holes"], width=400) as driver:
        scrolling = (
            "return [...document.querySelectorAll('.scroll')].some(e => e.scrollWidth > e.clientWidth)"
        )
        assert driver.execute_script(scrolling)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_figures_follow_the_scheme(chrome: Chrome, pages: dict[str, Path], scheme: str) -> None:
    with browser(chrome, pages["holes"], width=1280, scheme=scheme) as driver:
        ground, ink = driver.execute_script(
            "const style = getComputedStyle(document.body); return [style.backgroundColor, style.color]"
        )
        assert (brightness(ground) > brightness(ink)) == (scheme == "light")
        assert abs(brightness(ground) - brightness(ink)) > 150
        shown, dark = driver.execute_script(
            "return [document.images[0].currentSrc, document.querySelector('picture source').srcset]"
        )
        assert (shown == dark) == (scheme == "dark")


def brightness(colour: str) -> float:
    """The mean of "rgb(27, 31, 36)"."""
    parts = [float(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    return sum(parts) / len(parts)
