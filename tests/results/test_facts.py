# SPDX-License-Identifier: MIT
"""Which facts must agree between boots, and how disagreement is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from kmlbench.errors import ProofError
from kmlbench.model import BootFacts, Kernel
from kmlbench.results import facts
from kmlbench.results.facts import Expectation

COMMON = {"cpu_model": "QEMU TCG CPU version 2.5+", "memory_kib": "2036364"}
OWN = {
    Kernel.STOCK: {"kernel_release": "6.12.117-stock", "config_kml": 'CONFIG_LOCALVERSION="-stock"'},
    Kernel.KML: {"kernel_release": "6.12.117-kml", "config_kml": "CONFIG_KERNEL_MODE_LINUX=y"},
}

STOCK_CONFIG = """\
#
# Linux/x86 6.12.117 Kernel Configuration
#
CONFIG_LOCALVERSION="-stock"
CONFIG_SMP=y
# CONFIG_MODULES is not set
"""
KML_CONFIG = """\
CONFIG_LOCALVERSION="-kml"
CONFIG_KERNEL_MODE_LINUX=y
CONFIG_KERNEL_MODE_LINUX_COUNTERS=y
CONFIG_SMP=y
# CONFIG_MODULES is not set
"""


def boot(index: int, kernel: Kernel, changed: Mapping[str, str] | None = None) -> BootFacts:
    return BootFacts(boot=index, kernel=kernel, facts={**COMMON, **OWN[kernel], **(changed or {})})


def agreement(*boots: BootFacts) -> dict[str, bool]:
    return {row.name: row.agrees for row in facts.compare_boots(boots)}


def test_boots_that_differ_in_the_kernel_alone_agree() -> None:
    boots = [boot(0, Kernel.STOCK), boot(1, Kernel.KML), boot(2, Kernel.KML), boot(3, Kernel.STOCK)]
    assert all(agreement(*boots).values())
    facts.require_agreement(boots)


def test_a_fact_that_must_be_equal() -> None:
    boots = [boot(0, Kernel.STOCK), boot(1, Kernel.KML, {"cpu_model": "Opteron 850"})]
    assert agreement(*boots) == {
        "cpu_model": False,
        "memory_kib": True,
        "kernel_release": True,
        "config_kml": True,
    }
    with pytest.raises(ProofError, match=r"cpu_model \(equal\): stock: QEMU TCG .*; kml: Opteron 850"):
        facts.require_agreement(boots)


@pytest.mark.parametrize(("memory", "agrees"), [("2036000", True), ("1990000", False)])
def test_memory_is_equal_to_a_percent(memory: str, agrees: bool) -> None:
    boots = [boot(0, Kernel.STOCK), boot(1, Kernel.KML, {"memory_kib": memory})]
    assert agreement(*boots)["memory_kib"] is agrees


def test_the_release_must_differ_between_the_kernels_and_only_there() -> None:
    same = {"kernel_release": "6.12.117-stock"}
    assert not agreement(boot(0, Kernel.STOCK), boot(1, Kernel.KML, same))["kernel_release"]
    other = {"kernel_release": "6.12.118-stock"}
    assert not agreement(boot(0, Kernel.STOCK), boot(1, Kernel.STOCK, other))["kernel_release"]


def test_a_fact_that_one_boot_lacks_does_not_agree() -> None:
    assert not agreement(boot(0, Kernel.STOCK, {"image": "abc"}), boot(1, Kernel.KML))["image"]


def test_pairs_of_hosts_may_be_other_machines() -> None:
    other = {"cpu_model": "another"}
    here = [boot(0, Kernel.STOCK), boot(1, Kernel.KML)]
    there = [replace(boot(2 + n, kernel, other), pair=1) for n, kernel in enumerate(Kernel)]
    assert all(agreement(*here, *there).values())
    assert not agreement(*here, *[replace(each, pair=0) for each in there])["cpu_model"]
    assert not agreement(*here, there[0], replace(boot(3, Kernel.KML), pair=1))["cpu_model"]


def test_one_boot_agrees_with_itself_and_none_with_nothing() -> None:
    assert all(agreement(boot(0, Kernel.STOCK)).values())
    assert facts.compare_boots([]) == ()


def test_a_row_shows_the_values_of_each_kernel() -> None:
    boots = [boot(0, Kernel.STOCK), boot(1, Kernel.KML), boot(2, Kernel.STOCK, {"cpu_model": "other"})]
    row = facts.compare_boots(boots)[1]
    assert row == facts.FactRow(
        name="cpu_model",
        expectation=Expectation.EQUAL,
        values={Kernel.STOCK: (COMMON["cpu_model"], "other"), Kernel.KML: (COMMON["cpu_model"],)},
        agrees=False,
    )


def test_configurations_that_differ_by_kml_alone_have_one_common_half() -> None:
    stock, kml = facts.configuration_facts(STOCK_CONFIG), facts.configuration_facts(KML_CONFIG)
    assert stock["config_common_sha256"] == kml["config_common_sha256"]
    assert stock["config_kml"] == 'CONFIG_LOCALVERSION="-stock"'
    assert kml["config_kml"].startswith("CONFIG_KERNEL_MODE_LINUX=y CONFIG_KERNEL_MODE_LINUX_COUNTERS=y")


def test_any_other_difference_of_the_configurations_shows() -> None:
    other = KML_CONFIG.replace("CONFIG_SMP=y", "CONFIG_SMP=y\nCONFIG_PREEMPT=y")
    assert (
        facts.configuration_facts(other)["config_common_sha256"]
        != (facts.configuration_facts(KML_CONFIG)["config_common_sha256"])
    )


def test_an_option_that_is_not_set_is_as_good_as_absent() -> None:
    absent = STOCK_CONFIG.replace("# CONFIG_MODULES is not set\n", "")
    assert facts.configuration_facts(absent) == facts.configuration_facts(STOCK_CONFIG)
