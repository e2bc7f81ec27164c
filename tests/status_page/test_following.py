"""What goes on and on, passed on to a tab: never more of it at once than there is room for, and it says how it ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hive_core.errors import Refused
from status_page.following import MOST, Following


class Source:
    """Items as a client of hive's gives them: it is to be closed however it ends."""

    def __init__(self, *items: dict[str, Any] | Exception) -> None:
        self._items, self.closed = iter(items), False

    def begin(self) -> Iterator[dict[str, Any]]:
        return self  # type: ignore[return-value]

    def __iter__(self) -> Source:
        return self

    def __next__(self) -> dict[str, Any]:
        item = next(self._items)
        if isinstance(item, Exception):
            raise item
        return item

    def close(self) -> None:
        self.closed = True


def read(lines: Iterator[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


def test_each_thing_is_a_line_and_the_first_comes_before_there_is_any() -> None:
    source = Source({"kind": "line", "text": "a\nb"})
    lines = Following().lines(source.begin)
    assert next(lines) == b'{"kind":"heartbeat"}\n'
    assert next(lines) == b'{"kind": "line", "text": "a\\nb"}\n'
    assert not source.closed
    assert list(lines) == []
    assert source.closed


@pytest.mark.parametrize("error", [ConnectionResetError("gone"), ValueError("no JSON"), TimeoutError("too slow")])
def test_a_stream_that_breaks_off_says_so_to_the_tab(error: Exception) -> None:
    source = Source({"kind": "line"}, error)
    assert read(Following().lines(source.begin))[1:] == [
        {"kind": "line"}, {"kind": "end", "error": "hive has gone away."},
    ]  # fmt: skip
    assert source.closed


def test_there_is_room_for_so_many_and_a_tab_that_is_closed_makes_some() -> None:
    following = Following()
    begun = [following.lines(Source({"kind": "line"}).begin) for _ in range(MOST)]
    for lines in begun:
        next(lines)
    with pytest.raises(Refused, match="Too many tabs") as refused:
        following.lines(Source().begin)
    assert refused.value.hint == "Close some of them."
    begun[0].close()  # type: ignore[attr-defined]
    begun[1] = following.lines(Source().begin)
    list(begun[1])
    following.lines(Source().begin)


def test_what_cannot_be_begun_takes_no_room_and_its_error_is_the_tabs() -> None:
    following = Following()

    def fail() -> Iterator[dict[str, Any]]:
        raise Refused("There is no agent.")

    for _ in range(2 * MOST):
        with pytest.raises(Refused, match="There is no agent"):
            following.lines(fail)
    assert len(read(following.lines(Source().begin))) == 1
