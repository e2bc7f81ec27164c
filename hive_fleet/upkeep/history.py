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
    gone = {"messages": 0, "questions": 0}
    for kind in _kinds(hive):
        row = kind.swept(hive, dry)
        yield row
        if (noun := row.what.partition(" ")[0]) in gone:
            gone[noun] += row.count or 0
    if not dry and any(gone.values()):
        with hive.store.write() as db:
            emit(db, "vacuumed", messages=gone["messages"], questions=gone["questions"])


def _kinds(hive: Hive) -> Iterator[_Kind]:
    """What is old, kind by kind; of one it is looked up when those before it are done with."""
    now, choices, store = hive.clock(), hive.settings.choices.values, hive.store
    days, longer = choices["retention.messages"], choices["retention.events"]
    done, happened = now - days * DAY, now - longer * DAY
    messages = partial(_Kind, forget=partial(_forget_messages, done), measure=old.measure_messages, merges=True)
    questions = partial(_Kind, forget=partial(old.forget_questions, hive), measure=old.measure_questions)
    events = partial(_Kind, forget=old_events.forget, measure=old_events.measure)
    yield messages("messages", f"read, and older than {days} d", old.old_messages(store, done))
    theirs = old.messages_of_the_purged(store, done)
    yield messages("messages of the purged", "sent or got by agents that were purged", theirs)
    yield questions("questions", f"answered more than {days} d ago", old.old_questions(store, done))
    yield questions("questions of the purged", "of agents that were purged", old.questions_of_the_purged(store))
    yield events("events", f"older than {longer} d", old_events.old(store, happened))


def _forget_messages(before: float, db: sqlite3.Connection, ids: list[int]) -> int:
    return old.forget_messages(db, ids, before)


class _Kind:
    """One kind of rows.

    what, detail: as in `Swept`. found: the ids of those that are old. forget: removes some. measure: how many bytes
    they hold. merges: whether the index of words has to be kept in order meanwhile.
    """

    def __init__(
        self,
        what: str,
        detail: str,
        found: Iterable[int],
        *,
        forget: OnItems,
        measure: Callable[[sqlite3.Connection, list[int]], int],
        merges: bool = False,
    ) -> None:
        self._what, self._detail = what, detail
        self._found, self._forget, self._measure, self._merges = found, forget, measure, merges

    def swept(self, hive: Hive, dry: bool) -> Swept:
        if not dry:
            between = _Merging(hive).between if self._merges else None
            gone = Slicer(hive.store).each(self._found, self._forget, between)
            return Swept(self._what, True, gone, 0, self._detail)
        count = size = 0
        found = iter(self._found)
        while ids := list(islice(found, _AT_ONCE)):
            count += len(ids)
            with hive.store.read() as db:
                size += self._measure(db, ids)
        return Swept(self._what, True, count, size, self._detail)


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
