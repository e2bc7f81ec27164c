"""What a process does beside its other work: begun with a block, over before its end, and its failure is told."""

from __future__ import annotations

import threading

import pytest

from hive_core.beside import beside
from hive_core.signals import readable
from tests.hives import PATIENCE


def test_it_runs_for_as_long_as_the_block() -> None:
    end, done = threading.Event(), []

    def work() -> None:
        end.wait(PATIENCE)
        done.append("work")

    with beside("work", work, end.set) as working:
        assert readable([working.fileno()], 0) == set()
        working.check()
        assert not done
    assert done == ["work"]
    assert not [thread for thread in threading.enumerate() if thread.name == "work"]


def test_what_it_fails_with_is_seen_at_once_and_raised_where_it_is_asked_for() -> None:
    def work() -> None:
        raise ValueError("no more")

    ended = []
    with beside("work", work, lambda: ended.append("asked to")) as working:
        assert readable([working.fileno()], PATIENCE) == {working.fileno()}
        with pytest.raises(ValueError, match="no more"):
            working.check()
    # It may have ended by itself; it is told all the same.
    assert ended == ["asked to"]


def test_a_block_that_fails_ends_it_too() -> None:
    end = threading.Event()
    with pytest.raises(KeyError), beside("work", lambda: end.wait(PATIENCE), end.set):  # type: ignore[arg-type]
        raise KeyError
    assert not [thread for thread in threading.enumerate() if thread.name == "work"]
