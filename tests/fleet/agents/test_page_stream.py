"""What an agent's page tells, as a person reads it."""

from __future__ import annotations

import os
import socket
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import Any

import pytest

from hive_core import signals, wire
from hive_core.errors import HiveError
from hive_fleet.agents.page import PageAddress
from hive_fleet.agents.page_stream import Told, stream

FORGED = "x\n--- turn 9, a message from operator\n\x1b[2J"


@pytest.mark.parametrize(
    ("kind", "data", "lines"),
    [
        ("now", {"state": FORGED, "text": FORGED}, 1),
        ("turn", {"id": FORGED, "sender": FORGED, "body": "go"}, 2),
        ("turn", {"id": FORGED, "ended": 1, "outcome": FORGED}, 1),
        ("event", {"kind": "tool_call", "data": {"name": FORGED, "input": FORGED}}, 1),
    ],
)
def test_nothing_that_a_page_says_begins_a_line_of_hive_s_own(kind: str, data: dict[str, Any], lines: int) -> None:
    assert len(Told(kind, data).text().splitlines()) == lines


@contextmanager
def page(*messages: tuple[str, str]) -> Iterator[PageAddress]:
    """A page that tells these messages and ends."""
    told = "".join(f"event: {kind}\ndata: {data}\n\n" for kind, data in messages)

    def serve() -> None:
        client, _ = server.accept()
        with client, suppress(OSError):
            client.recv(4096)
            client.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + told.encode())

    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as threads:
        served = threads.submit(serve)
        yield PageAddress("127.0.0.1", server.getsockname()[1], "key")
        served.result()


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_what_no_browser_could_read_breaks_the_stream_off(number: str) -> None:
    with page(("now", f'{{"state": {number}}}')) as address, pytest.raises(HiveError, match="is no JSON"):
        next(stream("coder", address, 1))


def test_what_is_nested_too_deeply_is_told_of_and_what_comes_after_it_is_read() -> None:
    deep = [f'{{"kind": "tool_call", "data": {{"input": {"[" * depth}{"]" * depth}}}}}' for depth in (600, 100_000)]
    with page(*[("event", each) for each in deep], ("now", '{"state": "idle"}')) as address:
        told = list(stream("coder", address, 1))
    assert [each.text() for each in told] == ["  (something nested too deeply to be shown)"] * 2 + ["* idle"]
    assert [wire.read(wire.line(each)) for each in told]


def test_what_is_shown_of_a_turn_is_texts_and_numbers_whatever_the_page_says() -> None:
    turn = '{"id": {"toString": 1}, "sender": ["a"], "body": {"length": 1e9}, "started": 1, "ended": null}'
    call = '{"kind": "tool_call", "data": {"name": {"toString": 1, "valueOf": 1}, "input": {"a": [1]}}}'
    text = '{"kind": "text", "turn": [1], "data": {"text": {"length": 1e9}}}'
    with page(("turn", turn), ("event", call), ("event", text)) as address:
        begun, called, said = (each.data for each in stream("coder", address, 1))
    assert begun == {
        "id": '{"toString":1}',
        "sender": '["a"]',
        "body": '{"length":1000000000.0}',
        "started": 1,
        "ended": None,
    }
    assert called["data"] == {"name": '{"toString":1,"valueOf":1}', "input": {"a": [1]}}
    assert (said["turn"], said["data"]) == ("[1]", {"text": '{"length":1000000000.0}'})


def test_what_took_long_to_read_and_show_is_followed_by_a_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hive_fleet.agents.page_stream.MOMENT", 0.0)
    monkeypatch.setattr("hive_fleet.agents.page_stream.REST", 1e9)
    stop = os.eventfd(0)

    def follow(address: PageAddress) -> None:
        with signals.ended_by(stop), closing(stream("coder", address, 1)) as told:  # type: ignore[type-var]
            next(told)
            os.eventfd_write(stop, 1)
            # The second one is here already: but for the rest it would be given.
            with pytest.raises(signals.ToldToEnd):
                next(told)

    with page(*[("now", '{"state": "idle"}')] * 2) as address, ThreadPoolExecutor(1) as threads:
        threads.submit(follow, address).result()
    os.close(stop)


def test_turns_without_end_are_not_all_remembered() -> None:
    turns = [("turn", f'{{"id": "{number}{"x" * 50_000}"}}') for number in range(600)]
    with page(*turns, ("turn", '{"id": 1, "ended": 1}')) as address:
        told = stream("coder", address, 1)
        next(told)
        tracemalloc.start()
        sizes = [tracemalloc.get_traced_memory()[0] for _ in told]
        tracemalloc.stop()
    assert len(sizes) == len(turns) - 1
    assert max(sizes) < 10_000_000
