# SPDX-License-Identifier: MIT
"""The conversation about when to count, with a plugin that answers well, badly, late or not at all."""

from __future__ import annotations

import threading

import pytest
from support.instrument import played_plugin

from kmlbench.errors import HostError, TrialError
from kmlbench.hosts.counting import conversation, counted

GOOD = {"count": "counting", "sleep": "asleep"}


def test_instructions_are_counted_within_the_block_only() -> None:
    heard: list[str] = []
    with played_plugin(GOOD, heard.append) as control:
        with counted(control):
            assert heard == ["count"]
        assert heard == ["count", "sleep"]


def test_no_answer_in_time_names_the_deadline() -> None:
    late = "did not answer 'count' within 0.05 s"
    with (
        played_plugin({}) as control,
        pytest.raises(HostError, match=late),
        counted(control, deadline_s=0.05),
    ):
        pytest.fail("nothing may be measured")


def test_what_the_plugin_objects_is_named() -> None:
    kept = "QEMU kept its translated code"
    with (
        played_plugin({"count": kept}) as control,
        pytest.raises(HostError, match=kept),
        counted(control),
    ):
        pytest.fail("nothing may be measured")


def test_the_end_of_qemu_is_an_error() -> None:
    ours, theirs = conversation()
    theirs.close()
    with ours, pytest.raises(HostError, match="the instrument does not hear 'count'"), counted(ours):
        pytest.fail("nothing may be measured")


def test_the_end_of_qemu_while_it_is_asked_is_an_error() -> None:
    ours, theirs = conversation()

    def end() -> None:
        theirs.recv(100)
        theirs.close()

    thread = threading.Thread(target=end)
    thread.start()
    with ours, pytest.raises(HostError, match="answered 'nothing' to 'count'"), counted(ours):
        pytest.fail("nothing may be measured")
    thread.join()


def test_counting_ends_with_a_failed_step_whose_error_goes_first() -> None:
    heard: list[str] = []
    with (
        played_plugin({"count": "counting"}, heard.append) as control,
        pytest.raises(TrialError, match="its own"),
        counted(control, deadline_s=0.05),
    ):
        raise TrialError("its own", stage="run")
    assert heard == ["count", "sleep"]


def test_an_interrupt_asks_for_nothing() -> None:
    heard: list[str] = []
    with (
        played_plugin(GOOD, heard.append) as control,
        pytest.raises(KeyboardInterrupt),
        counted(control),
    ):
        raise KeyboardInterrupt
    assert heard == ["count"]
