"""Who follows the events: each reads on from where it is, as fast as it can, and costs nobody else anything."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from hive_core import event_stream
from hive_core.context import Hive
from hive_core.event_stream import Stretch
from hive_core.events import before_moment, before_newest, before_newest_about, newest
from hive_faces.gate.calls import Render, Slices, document, line
from hive_fleet.events.feed import with_words
from hive_fleet.events.sentences import sentence

# Seconds of quiet after which a follower is told that there is nothing new: who hears nothing for longer knows that
# nobody is at the other end.
HEARTBEAT = 10.0
# Events that are told of to whoever does not say since when.
RECENT = 50

Send = Callable[[Slices], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Language:
    """How events are told. kinds: of the events that are; of all, where none are named.

    tell: the lines that a stretch becomes, in the transaction it was read in. quiet: the line that says that there is
    nothing new after a seq, or None for silence.
    """

    kinds: frozenset[str]
    tell: Callable[[sqlite3.Connection, Stretch], Iterator[Any]]
    quiet: Callable[[int], Any] | None


def events(kinds: Collection[str], agents: Collection[str] = (), *, said: bool = False) -> Language:
    """The events of these kinds and about these agents, or all.

    Where they do not tell all that has changed, a `resync` says so. said: with what a person is told of each.
    """

    def tell(_db: sqlite3.Connection, stretch: Stretch) -> Iterator[Any]:
        if not stretch.known:
            yield _resync(stretch.end)
        for event in stretch.events:
            if (not kinds or event.kind in kinds) and (not agents or event.agent in agents):
                yield with_words(event, sentence(event)) if said else event
            if event.kind in event_stream.BREAKS:
                yield _resync(event.seq)

    looked_at = frozenset({*kinds, *event_stream.BREAKS}) if kinds else frozenset[str]()
    return Language(looked_at, tell, lambda seq: {"kind": "heartbeat", "seq": seq})


def _resync(seq: int) -> dict[str, Any]:
    """What a follower is told who has to look at everything anew; the events after `seq` follow."""
    return {"kind": "resync", "seq": seq}


class Followers:
    """All who follow. They read in a thread of their own: what else is done for the operator never holds them up."""

    def __init__(self, hive: Hive) -> None:
        self._hive = hive
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="events")
        self._woken: set[asyncio.Event] = set()

    def wake(self) -> None:
        """Somebody has committed something."""
        for woken in self._woken:
            woken.set()

    def close(self) -> None:
        """Begin nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def before(self, at: float) -> int:
        """The seq after which the events come that were told at this moment or later."""
        return int(await self._read(lambda db: before_moment(db, at)))

    async def before_newest_about(self, agents: Collection[str], kinds: Collection[str]) -> int:
        """The seq after which the newest RECENT events come that are about these agents."""
        return int(await self._read(lambda db: before_newest_about(db, RECENT, agents, kinds)))

    async def newest(self) -> int:
        """The seq after which everything is still to come."""
        return int(await self._read(newest))

    async def answer(self, seq: int | None, language: Language, render: Render) -> Slices:
        """An answer with the next of them after `seq`, as many as are read at once; without a seq the newest RECENT."""

        def read(db: sqlite3.Connection) -> Slices:
            begin = before_newest(db, RECENT, sorted(language.kinds)) if seq is None else seq
            told = list(language.tell(db, event_stream.stretch(db, begin, language.kinds)))
            return document("".join(render(told)))

        found: Slices = await self._read(read)
        return found

    async def follow(self, seq: int, language: Language, send: Send) -> None:
        """Send everything after `seq` as it comes, until the peer is gone."""
        woken = asyncio.Event()
        self._woken.add(woken)
        try:
            while True:
                woken.clear()
                end, told = await self._read(partial(_told, seq, language))
                if told:
                    await send(told)
                if end != seq:
                    seq = end
                    continue
                try:
                    async with asyncio.timeout(HEARTBEAT):
                        await woken.wait()
                except TimeoutError:
                    if language.quiet is not None:
                        await send(line(language.quiet(seq)))
        finally:
            self._woken.discard(woken)

    async def _read(self, function: Callable[[sqlite3.Connection], Any]) -> Any:
        def read() -> Any:
            with self._hive.store.read() as db:
                return function(db)

        return await asyncio.get_running_loop().run_in_executor(self._thread, read)


def _told(seq: int, language: Language, db: sqlite3.Connection) -> tuple[int, Slices]:
    """The next stretch after `seq` as it is told, and where it ends."""
    stretch = event_stream.stretch(db, seq, language.kinds)
    return stretch.end, [part for told in language.tell(db, stretch) for part in line(told)]
