"""Several streams as one: each is made in a thread of its own, and what comes is given as it comes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from queue import SimpleQueue
from typing import Any

from hive_core import signals

# What may be made of all of them before it is read.
MOST_AHEAD = 256
_END = object()


def merged(sources: Mapping[str, Callable[[], Iterator[Any]]]) -> Iterator[tuple[str, Any]]:
    """What each source gives, with its name, until the last one has ended; closed, it ends them all.

    An error of a source ends everything, and is raised. The sources wait with `signals.readable` alone.
    """
    stream = _Merged(sources)
    try:
        yield from stream.items(len(sources))
    finally:
        stream.close()


class _Merged:
    def __init__(self, sources: Mapping[str, Callable[[], Iterator[Any]]]) -> None:
        self._made: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        self._room = threading.Semaphore(MOST_AHEAD)
        self._closed = threading.Event()
        # Never read: it stays readable for each of the threads.
        self._stop = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._threads = [
            threading.Thread(target=self._make, args=(name, begin), name=f"stream of {name}", daemon=True)
            for name, begin in sources.items()
        ]
        for thread in self._threads:
            thread.start()

    def items(self, left: int) -> Iterator[tuple[str, Any]]:
        """What is made, until so many of the sources have ended."""
        while left:
            signals.readable([self._bell])
            os.eventfd_read(self._bell)
            while not self._made.empty():
                name, item = self._made.get()
                if isinstance(item, BaseException):
                    raise item
                if item is _END:
                    left -= 1
                    continue
                self._room.release()
                yield name, item

    def close(self) -> None:
        """End every source, and wait until it has ended."""
        self._closed.set()
        os.eventfd_write(self._stop, 1)
        self._room.release(len(self._threads))
        for thread in self._threads:
            thread.join()
        os.close(self._stop)
        os.close(self._bell)

    def _make(self, name: str, begin: Callable[[], Iterator[Any]]) -> None:
        last: Any = _END
        try:
            with signals.ended_by(self._stop), closing(begin()) as items:  # type: ignore[type-var]
                for item in items:
                    self._room.acquire()
                    if self._closed.is_set():
                        return
                    self._put(name, item)
        except signals.ToldToEnd:
            return
        except Exception as error:  # noqa: BLE001 - raised by whoever reads
            last = error
        self._put(name, last)

    def _put(self, name: str, item: Any) -> None:
        self._made.put((name, item))
        os.eventfd_write(self._bell, 1)
