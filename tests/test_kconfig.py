# SPDX-License-Identifier: MIT
"""Kernel configurations: lost options and differences between the two kernels are told by name."""

import pytest

from kmlbench import kconfig
from kmlbench.errors import BuildError

STOCK = 'CONFIG_SMP=y\n# CONFIG_XEN is not set\nCONFIG_HZ=250\nCONFIG_LOCALVERSION="-stock"\n'
KML = STOCK.replace("-stock", "-kml") + "CONFIG_KERNEL_MODE_LINUX=y\n"


def test_options_reads_values_and_what_is_not_set() -> None:
    assert kconfig.parse_options(STOCK) == {
        "CONFIG_SMP": "y",
        "CONFIG_XEN": "n",
        "CONFIG_HZ": "250",
        "CONFIG_LOCALVERSION": '"-stock"',
    }


def test_comments_are_not_options() -> None:
    assert kconfig.parse_options("# CONFIG_SMP=y\n# a note on CONFIG_SMP is not set here\n") == {}


def test_an_option_that_got_lost_is_named() -> None:
    with pytest.raises(BuildError, match=r"CONFIG_NUMA=y \(is n\)"):
        kconfig.require_asked_for("CONFIG_SMP=y\nCONFIG_NUMA=y\n", STOCK)


def test_an_option_with_another_value_is_named() -> None:
    with pytest.raises(BuildError, match=r"CONFIG_HZ=1000 \(is 250\)"):
        kconfig.require_asked_for("CONFIG_HZ=1000\n", STOCK)


def test_an_option_asked_to_be_off_may_be_absent() -> None:
    kconfig.require_asked_for("CONFIG_FRED=n\nCONFIG_XEN=n\n", STOCK)


def test_the_kernels_may_differ_in_kml_alone() -> None:
    kconfig.require_same_but_kml(STOCK, KML)


@pytest.mark.parametrize("extra", ["CONFIG_NUMA=y\n", "CONFIG_KERNEL_MODE_LINUXES=y\n"])
def test_any_other_difference_between_the_kernels_is_named(extra: str) -> None:
    with pytest.raises(BuildError, match=extra.split("=", maxsplit=1)[0]):
        kconfig.require_same_but_kml(STOCK, KML + extra)
