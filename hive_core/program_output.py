"""What a program writes, as far as it is kept: none can fill the memory of whoever runs it."""

from __future__ import annotations

import os
import selectors
import time
from subprocess import TimeoutExpired
from typing import TYPE_CHECKING

from hive_core.human import size

if TYPE_CHECKING:
    from subprocess import Popen

# Of what it says of itself; of what it gives, `read` is told how much.
MOST_WORDS = 2**20
_AT_ONCE = 2**16


class TooMuch(Exception):
    """A program gives more than is read of it."""


class HeadAndTail:
    """The head and the tail of a stream; what is between them and would be more than `most` bytes is left out."""

    def __init__(self, most: int) -> None:
        self.left_out = 0
        self._half = most // 2
        self._head, self._tail = bytearray(), bytearray()

    def add(self, data: bytes) -> None:
        room = self._half - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        # Not at each piece: what remains is moved every time.
        if len(self._tail) >= self._half + 16 * _AT_ONCE:
            self._cut()

    def text(self) -> str:
        self._cut()
        # A character may begin in the one and end in the other.
        parts = (self._head, self._tail) if self.left_out else (self._head + self._tail,)
        return f"\n[... {size(self.left_out)} left out ...]\n".join(part.decode(errors="ignore") for part in parts)

    def _cut(self) -> None:
        over = max(0, len(self._tail) - self._half)
        del self._tail[:over]
        self.left_out += over


def read(process: Popen[bytes], most: int, seconds: float) -> tuple[str, str]:
    """What a program writes to stdout and stderr, until it has ended.

    most: bytes of stdout; of stderr head and tail are kept. A program that writes more, that takes longer than
    `seconds`, or whose reader is broken off, is killed. Raises TooMuch, TimeoutExpired.
    """
    assert process.stdout is not None
    assert process.stderr is not None
    end = time.monotonic() + seconds
    out, words = HeadAndTail(most), HeadAndTail(MOST_WORDS)
    try:
        with process.stdout, process.stderr, selectors.DefaultSelector() as streams:
            streams.register(process.stdout, selectors.EVENT_READ, out)
            streams.register(process.stderr, selectors.EVENT_READ, words)
            while streams.get_map():
                _read_some(streams, end)
                if out.left_out:
                    raise TooMuch
        process.wait(max(0.0, end - time.monotonic()))
    except BaseException:
        process.kill()
        process.wait()
        raise
    return out.text(), words.text()


def _read_some(streams: selectors.BaseSelector, end: float) -> None:
    ready = streams.select(max(0.0, end - time.monotonic()))
    if not ready:
        raise TimeoutExpired("", 0)
    for key, _ in ready:
        data = os.read(key.fd, _AT_ONCE)
        key.data.add(data)
        if not data:
            streams.unregister(key.fileobj)
