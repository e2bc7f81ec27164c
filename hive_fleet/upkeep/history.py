"""Old messages, questions and events, and the room that they leave in the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice

from hive_core import database_file, old_events
from hive_core.context import Hive
from hive_core.errors import Refused
from hive_core.events import emit
from hive_core.slices import OnItems, Slicer, shorten_log
from hive_fleet.messages import old
from hive_fleet.upkeep.swept import DAY, Swept

_AT_ONCE = 1000


def sweep(hive: Hive, dry: bool) -> Iterator[Swept]:
    """Remove what is old, the oldest first; in slices, so that nobody who writes waits."""
    now, choices = hive.clock(), hive.settings.choices.values
    read, happened = (now - choices[f"retention.{name}"] * DAY for name in ("messages", "events"))
    messages = _Kind(
        lambda: old.old_messages(hive.store, read),
        lambda db, ids: old.forget_messages(db, ids, read),
        old.measure_messages,
    )
    orphans = _Kind(lambda: old.messages_of_the_purged(hive.store, read), messages.forget, old.measure_messages)
    questions = _Kind(
        lambda: old.questions_of_the_purged(hive.store), lambda db, ids: old.forget_questions(hive, db, ids), None
    )
    events = _Kind(lambda: old_events.old(hive.store, happened), old_events.forget, old_events.measure)
    days = "read, and older than {} d"
    yield (said := messages.swept(hive, dry, "messages", days.format(choices["retention.messages"])))
    yield (theirs := orphans.swept(hive, dry, "messages of the purged", "sent or got by agents that were purged"))
    yield (asked := questions.swept(hive, dry, "questions", "of agents that were purged"))
    yield events.swept(hive, dry, "events", f"older than {choices['retention.events']} d")
    if not dry and (gone := said.count + theirs.count) + asked.count:
        with hive.store.write() as db:
            emit(db, "vacuumed", messages=gone, questions=asked.count)


class _Kind:
    """One kind of rows: which are old, how they are removed, and how many bytes they hold where that is told."""

    def __init__(
        self,
        find: Callable[[], Iterable[int]],
        forget: OnItems,
        measure: Callable[[sqlite3.Connection, list[int]], int] | None,
    ) -> None:
        self._find, self.forget, self._measure = find, forget, measure

    def swept(self, hive: Hive, dry: bool, what: str, detail: str) -> Swept:
        if not dry:
            return Swept(what, True, Slicer(hive.store).each(self._find(), self.forget), 0, detail)
        count = size = 0
        found = iter(self._find())
        while ids := list(islice(found, _AT_ONCE)):
            count += len(ids)
            if self._measure is not None:
                with hive.store.read() as db:
                    size += self._measure(db, ids)
        return Swept(what, True, count, size, detail)


def give_back(hive: Hive, dry: bool) -> Iterator[Swept]:
    """Make the database's file as small as what it holds."""
    before = database_file.space(hive.store)
    if dry:
        more = "" if before.gives else "; it is rewritten once before, where that takes a moment"
        yield Swept("database", True, 0, before.free, f"free in its file now{more}")
        return
    # Without room for it everything goes on as before.
    with suppress(Refused):
        database_file.rewrite(hive.store, most=database_file.MOMENT_BYTES)
    database_file.give_back(hive.store, Slicer(hive.store))
    shorten_log(hive.store)
    after = database_file.space(hive.store)
    given = max(0, before.total - after.total)
    held = "" if after.gives else "; `hive vacuum --rewrite` has it become smaller, who writes waits meanwhile"
    yield Swept("database", True, 0, given, f"given back to the disk{held}")


def merge(hive: Hive, dry: bool) -> Iterator[Swept]:
    """Make the index of words as small as what it holds: of a removed message it is only noted that it is gone."""
    if dry:
        return
    slices = Slicer(hive.store)
    while slices.once(lambda blocks: _merged(hive, blocks)):
        pass
    given = database_file.give_back(hive.store, Slicer(hive.store))
    shorten_log(hive.store)
    yield Swept("index of words", True, 0, given, "given back to the disk")


def _merged(hive: Hive, blocks: int) -> int:
    with hive.store.write() as db:
        return old.merge_words(db, blocks)
