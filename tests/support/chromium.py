# SPDX-License-Identifier: MIT
"""A page in headless Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--disable-dev-shm-usage",
)


@contextmanager
def chromium(profile: Path) -> Iterator[Chrome]:
    """A browser without a page."""
    options = ChromeOptions()
    options.binary_location = _program("chromium")
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with Chrome(options=options, service=Service(_program("chromedriver"))) as driver:
        yield driver


@contextmanager
def browser(driver: Chrome, page: Path, *, width: int, scheme: str = "light") -> Iterator[Chrome]:
    """The page, in a tab of its own. The width is set by the debugger: a window has a least width."""
    driver.get_log("browser")
    empty = driver.current_window_handle
    driver.switch_to.new_window("tab")
    try:
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        driver.get(page.as_uri())
        yield driver
    finally:
        driver.close()
        driver.switch_to.window(empty)


def _program(name: str) -> str:
    result = shutil.which(name)
    assert result, f"{name} is not installed: run `make setup`"
    return result
