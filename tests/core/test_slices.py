"""Slicer: much work on the database, done so that whoever else writes gets in between."""

from __future__ import annotations

import sqlite3

import pytest

from hive_core import slices
from hive_core.slices import Slicer
from tests.hives import TestHive

pytestmark = pytest.mark.remembered


def full() -> sqlite3.OperationalError:
    """What SQLite says of a full disk, as it says it."""
    with sqlite3.connect(":memory:", isolation_level=None) as db:
        db.execute("pragma max_page_count = 1")
        with pytest.raises(sqlite3.OperationalError) as raised:
            db.execute("create table t (a)"), db.execute("insert into t values (zeroblob(100000))")
    db.close()
    return raised.value


def test_after_each_slice_the_database_is_left_alone_for_as_long_as_it_took(hive: TestHive) -> None:
    rested: list[float] = []
    worked = Slicer(hive.inside().store, rested.append)
    assert worked.each(range(500), lambda _db, items: len(items)) == 500
    assert len(rested) > 1
    assert min(rested) >= slices.HOLD
    assert max(rested) >= worked.longest


def test_slices_that_take_no_time_become_larger_and_slow_ones_smaller(
    hive: TestHive, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(slices.time, "monotonic", lambda: clock[0])
    cost = 0.0001
    seen: list[int] = []

    def work(_db: sqlite3.Connection, items: list[int]) -> int:
        seen.append(len(items))
        clock[0] += len(items) * cost
        return 0

    Slicer(hive.inside().store, lambda _: None).each(range(2000), work)
    assert max(seen) == 200
    cost, seen = 1.0, []
    Slicer(hive.inside().store, lambda _: None).each(range(100), work)
    assert seen[0] == slices.FIRST
    assert seen[-1] == 1


def test_on_a_full_disk_a_slice_is_done_again_with_less_until_it_fits(hive: TestHive) -> None:
    error, done = full(), []

    def work(_db: sqlite3.Connection, items: list[int]) -> int:
        if len(items) > 3:
            raise error
        done.extend(items)
        return len(items)

    assert Slicer(hive.inside().store, lambda _: None).each(range(60), work) == 60
    assert done == list(range(60))


def test_where_not_even_the_least_fits_it_is_said(hive: TestHive) -> None:
    error = full()

    def work(_db: sqlite3.Connection, _items: list[int]) -> int:
        raise error

    with pytest.raises(sqlite3.OperationalError, match="full"):
        Slicer(hive.inside().store, lambda _: None).each(range(60), work)


def test_the_log_stays_short_also_while_others_write_all_the_time(
    hive: TestHive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "LONGEST_LOG", 100_000)
    store, other = hive.inside().store, hive.inside().store

    def rest(_seconds: float) -> None:
        with other.write() as db:
            db.execute("insert into events (at, kind, data) values (0, 'started', '{}')")

    def work(db: sqlite3.Connection, items: list[int]) -> int:
        row = "insert into events (at, kind, data) values (0, 'started', ?)"
        db.executemany(row, [("x" * 20_000,) for _ in items])
        return len(items)

    slicer = Slicer(store, rest)
    slicer.each(range(400), work)
    assert slices.log_size(store) < 1_000_000
