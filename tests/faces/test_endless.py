"""What goes on and on, for the operator's clients."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing

from hive_faces.gate.endless import Streams


async def written() -> list[str]:
    """The names of the threads in which the items of a stream are written."""
    items = (number for number in (1, 2))
    async with aclosing(Streams().follow(items, lambda _: threading.current_thread().name)) as stream:
        return [name async for name in stream]


def test_what_takes_long_to_write_keeps_nobody_else_waiting() -> None:
    assert asyncio.run(written()) == ["stream", "stream"]
