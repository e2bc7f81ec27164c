"""Old messages, questions and events, and the room that they leave in the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice

from hive_core import database_file, old_events
from hive_core.context import Hive
from hive_core.errors import Refused
from hive_core.events import emit
from hive_core.slices import OnItems, Slicer, shorten_log
from hive_fleet.messages import old
from hive_fleet.upkeep.swept import DAY, Swept, contained

_AT_ONCE = 1000
# Segments of the index of words that are merged: where little was removed only where several have come together, since
# all of them are written anew; after much was, down to one.
FEW, SEVERAL, MANY = 2, 8, 10_000
# Blocks of it that are written at once: how many there are to be written is not known before.
BLOCKS = 200


def sweep(hive: Hive, dry: bool) -> Iterator[Swept]:
    """Remove what is old, in slices, so that nobody who writes waits; then give back the room that this leaves."""
    rows = list(contained("history", partial(_rows, hive, dry)))
    yield from rows
    yield from contained("database", partial(_give_back, hive, dry))
    if not dry:
        gone = sum(row.count or 0 for row in rows if row.what.startswith("messages"))
        yield from contained("index of words", partial(_merge, hive, FEW if gone > MANY else SEVERAL))


def _rows(hive: Hive, dry: bool) -> Iterator[Swept]:
    now, choices = hive.clock(), hive.settings.choices.values
    read, happened = (now - choices[f"retention.{name}"] * DAY for name in ("messages", "events"))
    messages = _Kind(
        lambda: old.old_messages(hive.store, read),
        lambda db, ids: old.forget_messages(db, ids, read),
        old.measure_messages,
        merges=True,
    )
    orphans = _Kind(
        lambda: old.messages_of_the_purged(hive.store, read), messages.forget, old.measure_messages, merges=True
    )
    questions = _Kind(lambda: old.questions_of_the_purged(hive.store), partial(_forget_questions, hive))
    events = _Kind(lambda: old_events.old(hive.store, happened), old_events.forget, old_events.measure)
    yield (said := messages.swept(hive, dry, "messages", f"read, and older than {choices['retention.messages']} d"))
    yield (theirs := orphans.swept(hive, dry, "messages of the purged", "sent or got by agents that were purged"))
    yield (asked := questions.swept(hive, dry, "questions", "of agents that were purged"))
    yield events.swept(hive, dry, "events", f"older than {choices['retention.events']} d")
    gone = (said.count or 0) + (theirs.count or 0)
    if not dry and (gone or asked.count):
        with hive.store.write() as db:
            emit(db, "vacuumed", messages=gone, questions=asked.count or 0)


def _forget_questions(hive: Hive, db: sqlite3.Connection, ids: list[int]) -> int:
    return old.forget_questions(hive, db, ids)


class _Kind:
    """One kind of rows.

    find: which are old. forget: removes some. measure: how many bytes they hold, where that is told. merges: whether
    the index of words has to be kept in order meanwhile.
    """

    def __init__(
        self,
        find: Callable[[], Iterable[int]],
        forget: OnItems,
        measure: Callable[[sqlite3.Connection, list[int]], int] | None = None,
        *,
        merges: bool = False,
    ) -> None:
        self._find, self.forget, self._measure, self._merges = find, forget, measure, merges

    def swept(self, hive: Hive, dry: bool, what: str, detail: str) -> Swept:
        if not dry:
            between = _Merging(hive).between if self._merges else None
            return Swept(what, True, Slicer(hive.store).each(self._find(), self.forget, between), 0, detail)
        count = size = 0
        found = iter(self._find())
        while ids := list(islice(found, _AT_ONCE)):
            count += len(ids)
            if self._measure is not None:
                with hive.store.read() as db:
                    size += self._measure(db, ids)
        return Swept(what, True, count, size, detail)


class _Merging:
    """Keeps the index of words in order while much of it is removed."""

    def __init__(self, hive: Hive) -> None:
        self._hive, self._slices, self._since = hive, Slicer(hive.store), 0

    def between(self) -> None:
        """Called after each slice of what is removed."""
        self._since += 1
        if self._since < SEVERAL // 2:
            return
        self._since = 0
        try:
            self.merge(SEVERAL)
        except sqlite3.OperationalError as error:
            # It takes more room than to remove does: that goes on, and makes some.
            if error.sqlite_errorname != "SQLITE_FULL":
                raise

    def merge(self, segments: int) -> None:
        """Merge wherever so many segments have come together."""
        while self._slices.once(partial(self._some, segments)):
            pass

    def _some(self, segments: int, blocks: int) -> bool:
        with self._hive.store.write() as db:
            return old.merge_words(db, min(blocks, BLOCKS), segments)


def _give_back(hive: Hive, dry: bool) -> Iterator[Swept]:
    """Make the database's file as small as what it holds."""
    before = database_file.space(hive.store)
    if dry:
        more = "" if before.gives else "; it is rewritten once before, where that takes a moment"
        yield Swept("database", True, None, before.free, f"free in its file now{more}")
        return
    # Without room for it everything goes on as before.
    with suppress(Refused):
        database_file.rewrite(hive.store, most=database_file.MOMENT_BYTES)
    database_file.give_back(hive.store, Slicer(hive.store))
    shorten_log(hive.store)
    after = database_file.space(hive.store)
    held = "" if after.gives else "; `hive vacuum --rewrite` has it become smaller, who writes waits meanwhile"
    yield Swept("database", True, None, max(0, before.total - after.total), f"given back to the disk{held}")


def _merge(hive: Hive, segments: int) -> Iterator[Swept]:
    """Make the index of words as small as what it holds: of a removed message it is only noted that it is gone."""
    _Merging(hive).merge(segments)
    given = database_file.give_back(hive.store, Slicer(hive.store))
    shorten_log(hive.store)
    yield Swept("index of words", True, None, given, "given back to the disk")
