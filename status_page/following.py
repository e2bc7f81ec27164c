"""What goes on and on, passed on to one tab: a line of JSON for each thing, for as long as the tab is there."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from hive_core.errors import Refused

# Streams at once, of all tabs together: each is a thread here, and one of hive's.
MOST = 24

Item = dict[str, Any]


class Following:
    """The streams that tabs read."""

    def __init__(self) -> None:
        self._room = threading.Semaphore(MOST)

    def lines(self, begin: Callable[[], Iterator[Item]]) -> Iterator[bytes]:
        """Begin a stream, and give its lines. Raises Refused where there are too many, and whatever `begin` raises."""
        if not self._room.acquire(blocking=False):
            raise Refused("Too many tabs follow turns or logs.", "Close some of them.")
        try:
            items = begin()
        except BaseException:
            self._room.release()
            raise
        return self._lines(items)

    def _lines(self, items: Iterator[Item]) -> Iterator[bytes]:
        try:
            with closing(items):  # type: ignore[type-var]
                # The head of the answer goes out with the first line.
                yield b'{"kind":"heartbeat"}\n'
                for item in items:
                    yield json.dumps(item).encode() + b"\n"
        except (OSError, ValueError):
            yield b'{"kind":"end","error":"hive has gone away."}\n'
        finally:
            self._room.release()
