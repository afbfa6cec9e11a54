# SPDX-License-Identifier: MIT
"""Which worker runs which block."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from kmlbench.cluster.dispatch import MOST_LOSSES, Dispatcher


def test_a_block_and_its_reverse_go_to_one_worker() -> None:
    dispatcher = Dispatcher(range(6))
    assert [dispatcher.assign(worker) for worker in "abc"] == [0, 2, 4]
    dispatcher.finish("b")
    assert dispatcher.assign("b") == 3


def test_at_the_end_a_free_worker_takes_the_reverse_of_another() -> None:
    dispatcher = Dispatcher(range(4))
    assert [dispatcher.assign(worker) for worker in "abc"] == [0, 2, 1]


def test_a_lost_block_goes_to_another_worker() -> None:
    dispatcher = Dispatcher(range(4))
    dispatcher.assign("a")
    dispatcher.assign("b")
    dispatcher.lose("a")
    dispatcher.finish("b")
    # Its own reverse first.
    assert dispatcher.assign("b") == 3
    dispatcher.finish("b")
    assert dispatcher.assign("b") == 0


def test_a_block_that_loses_every_worker_is_given_up() -> None:
    dispatcher = Dispatcher([7])
    for attempt in range(MOST_LOSSES):
        assert not dispatcher.is_done
        assert dispatcher.assign(f"worker {attempt}") == 7
        dispatcher.lose(f"worker {attempt}")
    assert dispatcher.is_done
    assert dispatcher.given_up == [7]


def test_nothing_begins_after_a_stop() -> None:
    dispatcher = Dispatcher(range(2))
    dispatcher.assign("a")
    assert dispatcher.stop()
    assert dispatcher.assign("b") is None
    assert not dispatcher.is_done
    dispatcher.finish("a")
    assert dispatcher.is_done


@given(some.integers(0, 40), some.lists(some.tuples(some.integers(0, 4), some.booleans()), max_size=200))
def test_every_block_ends_once_whatever_ends_when(blocks: int, events: list[tuple[int, bool]]) -> None:
    dispatcher = Dispatcher(range(blocks))
    finished: list[int] = []
    for name, lost in [*events, *((0, False) for _ in range(6 * blocks + 5))]:
        worker = f"worker {name}"
        if worker not in dispatcher.running:
            dispatcher.assign(worker)
        elif lost:
            dispatcher.lose(worker)
        else:
            finished.append(dispatcher.running[worker])
            dispatcher.finish(worker)
    for worker in tuple(dispatcher.running):
        finished.append(dispatcher.running[worker])
        dispatcher.finish(worker)
    assert sorted([*finished, *dispatcher.given_up]) == list(range(blocks))
