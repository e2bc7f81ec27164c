"""The history as a stream: gone on with after any seq that it knows, never with a gap."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core import event_stream, old_events
from hive_core.event_stream import is_kept, stretch
from hive_core.events import emit, newest
from hive_core.store import Store
from tests.properties import thorough

# Nothing is there, and nothing is kept of what is written while it is read.
_EMPTY = Store(Path("/nonexistent/hive.db"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "hive.db")
    yield made
    made.close()


def told(store: Store, count: int, kind: str = "started", **fields: str) -> None:
    with store.write() as db:
        for _ in range(count):
            emit(db, kind, agent="coder", **fields)


def forget(store: Store, *seqs: int) -> None:
    with store.write() as db:
        assert old_events.forget(db, list(seqs)) == len(seqs)


def kept(store: Store) -> list[int]:
    """Every seq that can be gone on with, and some that cannot."""
    with store.read() as db:
        return [seq for seq in range(-2, newest(db) + 3) if is_kept(db, seq)]


def test_a_history_can_be_gone_on_with_from_its_beginning_to_its_end_and_no_further(store: Store) -> None:
    assert kept(store) == [0]
    told(store, 3)
    assert kept(store) == [0, 1, 2, 3]


def test_what_was_forgotten_is_not_passed_over_in_silence(store: Store) -> None:
    told(store, 6)
    forget(store, 1, 2)
    assert kept(store) == [2, 3, 4, 5, 6]
    # Of an older clock, in the midst of the others: what comes before it has a gap now.
    forget(store, 5)
    assert kept(store) == [5, 6]
    with store.read() as db:
        found = stretch(db, 3)
    assert (found.events, found.known, found.end) == ([], False, 6)


def test_a_history_of_which_nothing_is_left_goes_on_behind_its_last_event(store: Store) -> None:
    told(store, 3)
    forget(store, 1, 2, 3)
    assert kept(store) == [3]
    told(store, 1)
    assert kept(store) == [3, 4]


def test_much_is_read_in_stretches_none_of_which_leaves_anything_out(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "MOST_EVENTS", 4)
    told(store, 10)
    seen, at = [], 0
    with store.read() as db:
        for _ in range(3):
            found = stretch(db, at)
            seen.append([event.seq for event in found.events])
            at = found.end
        assert (at, stretch(db, at).events) == (10, [])
    assert seen == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]


def test_large_events_are_read_few_at_once_and_one_that_is_larger_still_fits(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "MOST_EVENT_BYTES", 1000)
    told(store, 1, note="x" * 5000)
    told(store, 5, note="x" * 400)
    with store.read() as db:
        first = stretch(db, 0)
        assert ([event.seq for event in first.events], first.end) == ([1], 1)
        second = stretch(db, 1)
        assert ([event.seq for event in second.events], second.end) == ([2, 3], 3)


def test_of_some_kinds_alone_a_stretch_ends_where_everything_was_looked_at(store: Store) -> None:
    told(store, 2)
    told(store, 1, "killed")
    told(store, 2)
    with store.read() as db:
        found = stretch(db, 0, ["killed"])
        assert ([event.kind for event in found.events], found.end) == (["killed"], 5)
        assert stretch(db, 5, ["killed"]).end == 5


@thorough
@given(st.lists(st.sampled_from(["tell", "tell", "forget", "look"]), max_size=16), st.integers(1, 4))
def test_who_follows_in_stretches_sees_every_event_once_or_is_told_that_some_are_gone(
    steps: list[str], at_once: int
) -> None:
    with _EMPTY.read() as db, pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_stream, "MOST_EVENTS", at_once)
        db.execute("begin")
        seen: list[int] = []
        at = 0
        for step in steps:
            oldest = db.execute("select min(seq) from events").fetchone()[0]
            if step == "tell":
                emit(db, "started", agent="coder")
            elif step == "forget" and oldest is not None:
                old_events.forget(db, [oldest])
            elif step == "look":
                found = stretch(db, at)
                if not found.known:
                    assert oldest is None or oldest > at + 1
                    return
                seen += [event.seq for event in found.events]
                at = found.end
        assert seen == list(range(1, at + 1))
