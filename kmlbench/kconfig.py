# SPDX-License-Identifier: MIT
"""Kernel configurations as text: options requested, options lost, and how the two kernels differ."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kmlbench.errors import BuildError

KML_OPTION = re.compile(r"CONFIG_KERNEL_MODE_LINUX(_\w+)?|CONFIG_LOCALVERSION")

_SET = re.compile(r"(CONFIG_\w+)=(.*)")

_UNSET = re.compile(r"# (CONFIG_\w+) is not set")


def parse_options(text: str) -> dict[str, str]:
    """The options of a kernel configuration or of a fragment; an option that is not set is "n"."""
    options: dict[str, str] = {}
    for line in text.splitlines():
        if match := _SET.fullmatch(line.strip()):
            options[match[1]] = match[2]
        elif match := _UNSET.fullmatch(line.strip()):
            options[match[1]] = "n"
    return options


def lost_options(wanted: Mapping[str, str], got: Mapping[str, str]) -> tuple[str, ...]:
    """The wanted options that a configuration lacks, each as "OPTION=wanted (is got)"."""
    return tuple(
        f"{name}={value} (is {got.get(name, 'n')})"
        for name, value in wanted.items()
        if got.get(name, "n") != value
    )


def differences(first: Mapping[str, str], second: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the options that differ between two configurations, sorted; absent is "n"."""
    names = sorted(first.keys() | second.keys())
    return tuple(name for name in names if first.get(name, "n") != second.get(name, "n"))


def unexpected_differences(stock: Mapping[str, str], kml: Mapping[str, str]) -> tuple[str, ...]:
    """The differences between the two kernels' configurations that are not Kernel Mode Linux itself."""
    return tuple(name for name in differences(stock, kml) if not KML_OPTION.fullmatch(name))


def require_asked_for(fragment: str, built: str) -> None:
    """Raises BuildError naming each option of `fragment` that the full configuration `built` lost."""
    if missing := lost_options(parse_options(fragment), parse_options(built)):
        raise BuildError(
            "options got lost while the kernel was configured:\n  " + "\n  ".join(missing),
            remedy="an option with unmet dependencies is dropped: add these to kernel/common/configs",
        )


def require_same_but_kml(stock: str, kml: str) -> None:
    """Raises BuildError naming each option in which the kernels differ, other than KML's own."""
    if names := unexpected_differences(parse_options(stock), parse_options(kml)):
        raise BuildError(
            "the configurations of the two kernels differ in more than Kernel Mode Linux: "
            + ", ".join(names),
            remedy="move what both need to kernel/common/configs/common.config",
        )
