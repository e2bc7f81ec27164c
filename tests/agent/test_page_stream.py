"""What the agent's page is told: a cold load and one stream, in the order in which it happened, nothing twice."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_agent.live import Live
from hive_agent.page import reading as page_reading
from hive_agent.page import stream as page_stream
from hive_agent.page.controls import Controls
from hive_agent.page.reading import RecordReader
from hive_agent.page.stream import HEARTBEAT_STEPS, follow
from hive_agent.turns import record as record_of
from hive_agent.turns.record import Record
from tests.properties import thorough


class NoControls:
    """Looks at no gate."""

    looks = 0

    def look(self) -> None:
        self.looks += 1


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    with closing(Record(tmp_path)) as made:
        yield made


def turn_of(record: Record, *kinds: str, end: str | None = "done") -> int:
    turn = record.begin("1@1", "operator", "hello", redelivered=False, model=None)
    for kind in kinds:
        record.add(turn, kind, {"text": kind})
    if end is not None:
        record.end(turn, end, "")
    return turn


def told(record: Record, after: int = 0, live: Live | None = None) -> Iterator[tuple[str, Any]]:
    """What a stream tells, one by one; a step in which nothing is new does not wait."""
    known = live or Live()
    with RecordReader(record.path) as reader:
        stream = follow(reader, known, cast(Controls, NoControls()), after, known.snapshot)
        for kind, value in stream:
            yield kind, value
            known.poke()


def brief(kind: str, value: Any) -> str:
    """An item of the stream in a word."""
    if kind == "event":
        return f"{value['kind']} {value['seq']}"
    return f"turn {value['id']} {value['outcome']}" if kind == "turn" else kind


def first(count: int, items: Iterator[tuple[str, Any]]) -> list[str]:
    return [brief(*item) for item in itertools.islice(items, count)]


def test_what_happens_in_a_turn_stands_between_its_beginning_and_its_end(record: Record) -> None:
    turn_of(record, "text", "note")
    turn_of(record, "thinking", end=None)
    assert first(7, told(record)) == [
        "now", "turn 1 None", "text 1", "note 2", "turn 1 done", "turn 2 None", "thinking 3",
    ]  # fmt: skip


def test_who_has_seen_a_part_is_told_the_rest(record: Record) -> None:
    turn_of(record, "text", "note")
    assert first(4, told(record, after=1)) == ["now", "turn 1 None", "note 2", "turn 1 done"]


def test_who_has_seen_more_than_there_is_loads_anew(record: Record) -> None:
    turn_of(record, "text")
    assert first(5, told(record, after=99)) == ["reset", "now", "turn 1 None", "text 1", "turn 1 done"]


def test_what_cannot_be_read_in_the_record_keeps_nothing_else(record: Record) -> None:
    turn_of(record, "text", "text", "text", "text")
    with closing(sqlite3.connect(record.path)) as db, db:
        for seq, data in enumerate(["[" * 100_000, "rubbish", b"\xff"], 1):
            db.execute("update turn_events set data = ? where seq = ?", (data, seq))
    assert first(6, told(record))[2:] == ["note 1", "note 2", "note 3", "text 4"]


def test_a_change_of_what_is_live_is_told_once(record: Record) -> None:
    live = Live()
    stream = told(record, live=live)
    assert next(stream)[1]["state"] == "starting"
    live.say("thinking", model="m")
    kind, value = next(stream)
    assert (kind, value["state"], value["model"]) == ("now", "thinking", "m")
    turn_of(record, "text")
    assert first(1, stream) == ["turn 1 None"]


def test_while_nothing_happens_there_is_a_sign_of_life(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_stream, "INBOX_SECONDS", 0)
    controls = NoControls()
    with RecordReader(record.path) as reader:
        stream = follow(reader, Live(), cast(Controls, controls), 0, dict)
        assert [next(stream), next(stream)] == [("", {}), ("", {})]
    # It is told of the gate's news as long as somebody looks.
    assert controls.looks == 2 * HEARTBEAT_STEPS


@thorough
@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["done", "failed"])), min_size=1, max_size=5),
    st.integers(1, 3),
    st.integers(0, 4),
)
def test_however_few_a_step_carries_each_event_comes_once_in_order_and_within_its_turn(
    turns: list[tuple[int, str]], at_once: int, after: int
) -> None:
    with pytest.MonkeyPatch.context() as patch, closing(_in_memory(turns)) as reader:
        patch.setattr(page_stream, "EVENTS", at_once)
        patch.setattr(page_reading, "EVENTS", at_once)
        live = Live()
        seen: list[str] = []
        total = sum(count for count, _ in turns)
        last = f"turn {len(turns)} {turns[-1][1]}"
        for kind, value in follow(reader, live, cast(Controls, NoControls()), min(after, total), live.snapshot):
            seen.append(brief(kind, value))
            live.poke()
            assert len(seen) < 100
            if seen[-1] == last:
                break
    numbers = [int(each.split()[1]) for each in seen if each.startswith("text")]
    assert numbers == list(range(min(after, total) + 1, total + 1))
    at = 0
    for number, (count, outcome) in enumerate(turns, 1):
        events = [f"text {each}" for each in range(at + 1, at + count + 1) if each > min(after, total)]
        at += count
        end = seen.index(f"turn {number} {outcome}")
        if events:
            begin = seen.index(f"turn {number} None")
            assert all(begin < seen.index(event) < end for event in events)


class _Reader(RecordReader):
    """A reader of a record in memory: what is tried is what it reads, not the disk."""

    def __init__(self, db: Any) -> None:
        self._db = db

    def close(self) -> None:
        self._db.close()


def _in_memory(turns: list[tuple[int, str]]) -> _Reader:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.row_factory = sqlite3.Row
    db.executescript(record_of._SCHEMA)
    for number, (count, outcome) in enumerate(turns, 1):
        db.execute("insert into turns values (?, 'm', 's', 'b', 0, null, 1, 2, ?, '')", (number, outcome))
        db.executemany(
            "insert into turn_events (turn, at, kind, data) values (?, 0, 'text', '{}')", [(number,)] * count
        )
    return _Reader(db)
