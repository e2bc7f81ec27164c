"""Several streams as one."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from hive_core.merged import merged
from hive_core.signals import readable


def test_everything_of_each_comes_in_its_own_order_until_the_last_has_ended() -> None:
    def numbers(most: int) -> Iterator[int]:
        yield from range(most)

    found = list(merged({"a": lambda: numbers(1000), "b": lambda: numbers(500), "c": lambda: numbers(0)}))
    assert [item for name, item in found if name == "a"] == list(range(1000))
    assert [item for name, item in found if name == "b"] == list(range(500))
    assert len(found) == 1500


def test_closed_it_ends_what_waits_and_what_runs_ahead() -> None:
    never, _end = os.pipe()
    ended = []

    def waiting() -> Iterator[int]:
        try:
            yield 1
            readable([never])
        finally:
            ended.append("waiting")

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 2
        finally:
            ended.append("endless")

    with closing(merged({"waiting": waiting, "endless": endless})) as stream:  # type: ignore[type-var]
        while next(stream) != ("waiting", 1):
            continue
    assert sorted(ended) == ["endless", "waiting"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("stream of")]
    for descriptor in (never, _end):
        os.close(descriptor)


def test_an_error_of_one_is_raised() -> None:
    def fails() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        list(merged({"fails": fails}))
