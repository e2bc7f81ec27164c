"""What goes on and on, for the operator's clients."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest

from hive_core import signals
from hive_core.errors import Refused
from hive_faces.gate import endless
from hive_faces.gate.endless import MOST_AHEAD, MOST_STREAMS, Streams


class Source:
    """Numbers without end, and how many of them were made; who waits for its end waits until it is closed."""

    def __init__(self, most: int | None = None, error: Exception | None = None) -> None:
        self.made, self._most, self._error = 0, most, error
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        if self.made == self._most:
            raise self._error or StopIteration
        self.made += 1
        return self.made

    def close(self) -> None:
        self.closed.set()


def same(item: int) -> int:
    return item


async def all_of(source: Source, streams: Streams | None = None) -> list[Any]:
    async with aclosing((streams or Streams()).follow(source, same)) as stream:
        return [item async for item in stream]


async def written() -> list[str]:
    """The names of the threads in which the items of a stream are written."""
    items = (number for number in (1, 2))
    async with aclosing(Streams().follow(items, lambda _: threading.current_thread().name)) as stream:
        return [name async for name in stream]


def test_what_takes_long_to_write_keeps_nobody_else_waiting() -> None:
    assert asyncio.run(written()) == ["stream", "stream"]


def test_all_of_it_comes_in_its_order_and_the_source_is_closed() -> None:
    source = Source(most=10 * MOST_AHEAD)
    assert asyncio.run(all_of(source)) == list(range(1, 10 * MOST_AHEAD + 1))
    assert source.closed.is_set()


def test_an_error_comes_when_all_before_it_was_read() -> None:
    async def read() -> list[Any]:
        found = []
        with pytest.raises(Refused, match="It broke off"):
            async with aclosing(Streams().follow(Source(3, Refused("It broke off.")), same)) as stream:
                async for item in stream:
                    found.append(item)
        return found

    assert asyncio.run(read()) == [1, 2, 3]


def test_no_more_is_made_ahead_than_may_wait_and_none_for_who_has_gone() -> None:
    async def read() -> tuple[int, int]:
        source = Source()
        async with aclosing(Streams().follow(source, same)) as stream:
            first = await anext(stream)
        await asyncio.to_thread(source.closed.wait)
        return first, source.made

    first, made = asyncio.run(read())
    assert first == 1
    # One is in the reader's hand, and one in that of who makes them.
    assert made <= MOST_AHEAD + 2


def test_what_waits_for_something_that_does_not_come_ends_when_its_reader_goes() -> None:
    waiting, writing = os.pipe()
    ended, how = threading.Event(), []

    def items() -> Iterator[int]:
        try:
            yield 1
            signals.readable([waiting])
        except BaseException as error:
            how.append(type(error))
            raise
        finally:
            ended.set()

    async def read() -> None:
        async with aclosing(Streams().follow(items(), same)) as stream:
            assert await anext(stream) == 1
        await asyncio.to_thread(ended.wait)

    asyncio.run(read())
    assert how == [signals.ToldToEnd]
    os.close(waiting)
    os.close(writing)


def test_a_stream_that_keeps_a_processor_busy_rests_for_many_times_as_long() -> None:
    used: list[float] = []
    rests: list[float] = []

    def busy() -> Iterator[int]:
        begun = time.thread_time()
        while not rests:
            yield sum(range(1000))
        used.append(time.thread_time() - begun)

    async def read() -> None:
        async with aclosing(Streams(rests.append).follow(busy(), same)) as stream:
            async for _ in stream:
                continue

    asyncio.run(read())
    assert len(rests) == 1
    assert used[0] >= endless.AT_ONCE
    assert rests[0] > endless.SHORTEST_REST
    asyncio.run(all_of(Source(most=10), Streams(rests.append)))
    assert len(rests) == 1


def test_a_while_of_quiet_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endless, "HEARTBEAT", 0.01)
    go_on = threading.Event()

    def items() -> Iterator[int]:
        go_on.wait()
        yield 1

    async def read() -> list[Any]:
        found = []
        async with aclosing(Streams().follow(items(), same)) as stream:
            async for item in stream:
                go_on.set()
                found.append(item)
        return found

    found = asyncio.run(read())
    assert (found[0], found[-1], set(found)) == (None, 1, {None, 1})


def test_there_is_room_for_so_many_and_who_goes_makes_some() -> None:
    async def fill() -> None:
        streams = Streams()
        async with AsyncExitStack() as stack:
            followed = [
                await stack.enter_async_context(aclosing(streams.follow(Source(), same))) for _ in range(MOST_STREAMS)
            ]
            for stream in followed:
                await anext(stream)
            with pytest.raises(Refused, match="Too many streams are followed"):
                await all_of(Source(1), streams)
            await followed[0].aclose()
            assert await all_of(Source(1), streams) == [1]

    asyncio.run(fill())
