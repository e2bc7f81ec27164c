"""What goes on and on, for the operator's clients: each stream in a thread of its own, for as long as it is read."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import closing
from typing import Any

from hive_core import signals
from hive_core.bucket import Bucket
from hive_core.errors import Refused

# Streams at once, of all clients together: each is a thread.
MOST_STREAMS = 32
# What may be made of a stream before it is read.
MOST_AHEAD = 64
# Seconds of a processor that one stream may use at once, and how many a second on and on: an agent may write to its
# journal without end, and whoever has that open in a tab is not to make everybody else wait.
AT_ONCE, ON_AND_ON = 0.25, 0.05
# Seconds that are worth a rest.
SHORTEST_REST = 0.05
# Seconds of quiet after which a follower is told that the stream still goes on.
HEARTBEAT = 10.0


class Streams:
    """The streams that are read. Belongs to the event loop's thread.

    rest: waits for so many seconds in which nothing is made, in the thread of a stream that has used too much.
    """

    def __init__(self, rest: Callable[[float], object] = lambda seconds: signals.readable([], seconds)) -> None:
        self._open = 0
        self._rest = rest

    async def follow(self, items: Iterator[Any], write: Callable[[Any], Any]) -> AsyncGenerator[Any, None]:
        """What comes of `items`, as it comes; None after each while of quiet. Raises Refused where there are too many.

        write: makes of an item what is given, in the stream's own thread: an agent's may take long to write,
        and be many times as large as what is written.
        An error of the items' own is raised when everything before it was read.
        """
        if self._open >= MOST_STREAMS:
            raise Refused("Too many streams are followed already.", "Close some tabs.")
        self._open += 1
        stream = _Stream(items, write, asyncio.get_running_loop(), self._rest)
        try:
            while (item := await stream.next()) is not _END:
                yield item
        finally:
            self._open -= 1
            stream.close()


_END = object()


class _Stream:
    """One stream, made in a thread of its own. Closed, it ends at the next sign of life of its source."""

    def __init__(
        self,
        items: Iterator[Any],
        write: Callable[[Any], Any],
        loop: asyncio.AbstractEventLoop,
        rest: Callable[[float], object],
    ) -> None:
        self._items, self._write, self._loop, self._rest = items, write, loop, rest
        self._made: asyncio.Queue[Any] = asyncio.Queue()
        self._room = threading.Semaphore(MOST_AHEAD)
        self._closed = threading.Event()
        self._ending = threading.Lock()
        self._stop = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        threading.Thread(target=self._make, name="stream", daemon=True).start()

    async def next(self) -> Any:
        """The next item; None after a while of quiet, _END after the last one."""
        try:
            async with asyncio.timeout(HEARTBEAT):
                item = await self._made.get()
        except TimeoutError:
            return None
        self._room.release()
        if isinstance(item, Exception):
            raise item
        return item

    def close(self) -> None:
        """Have no more made."""
        self._closed.set()
        self._room.release()
        with self._ending:
            if self._stop >= 0:
                os.eventfd_write(self._stop, 1)

    def _make(self) -> None:
        last: Any = _END
        try:
            with signals.ended_by(self._stop), closing(self._items):  # type: ignore[type-var]
                self._give_all()
        except signals.ToldToEnd:
            return
        except Exception as error:  # noqa: BLE001 - who reads the stream is told
            last = error
        finally:
            with self._ending:
                os.close(self._stop)
                self._stop = -1
        self._give(last)

    def _give_all(self) -> None:
        used, before = Bucket(AT_ONCE, ON_AND_ON), time.thread_time()
        for item in self._items:
            if not self._give(self._write(item)):
                return
            now = time.thread_time()
            used.take(now - before)
            before = now
            if (rest := used.seconds()) > SHORTEST_REST:
                self._rest(rest)

    def _give(self, item: Any) -> bool:
        """Have an item read; False when nobody wants it."""
        self._room.acquire()
        if self._closed.is_set():
            return False
        try:
            self._loop.call_soon_threadsafe(self._made.put_nowait, item)
        except RuntimeError:
            return False  # The loop has been closed.
        return True
