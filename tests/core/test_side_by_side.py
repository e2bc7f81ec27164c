"""Work side by side: begun in order, with results in order, and none begun after one that failed."""

from __future__ import annotations

import threading

import pytest

from hive_core import side_by_side as module
from hive_core.side_by_side import side_by_side


def test_pieces_are_begun_in_order_and_waited_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 4)
    # Each waits until all four are there: one after the other they would wait for ever.
    together, begun = threading.Barrier(4, timeout=60), iter(range(8))
    assert side_by_side(8, lambda: next(begun), lambda number: (together.wait(), number * number)[1]) == [
        number * number for number in range(8)
    ]


def test_after_one_that_fails_none_is_begun_and_the_others_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    failed, ended, begun = threading.Event(), [], iter(range(100))

    def work(number: int) -> None:
        if number == 1:
            failed.set()
            raise ValueError("the second")
        failed.wait(60)
        ended.append(number)

    with pytest.raises(ValueError, match="the second"):
        side_by_side(100, lambda: next(begun), work)
    # The first was begun, and the one that failed.
    assert (ended, next(begun)) == ([0], 2)


def test_the_thread_that_has_failed_begins_none_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 1)
    begun = iter(range(100))
    with pytest.raises(ZeroDivisionError):
        side_by_side(100, lambda: next(begun), lambda number: 1 // number)
    assert next(begun) == 1


def test_nothing_to_do_is_done() -> None:
    assert side_by_side(0, lambda: 1, str) == []
