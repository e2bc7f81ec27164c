"""Reading the record for the page: turns and their events as JSON, from a connection that cannot write."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

Row = dict[str, Any]

# What a page opens with, and what one step of a stream carries: older turns stay in the record.
TURNS = 30
EVENTS = 500
_BUSY_SECONDS = 10.0


class RecordReader:
    """The record, opened to be read. For one thread, and a `with` block."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)
        self._db.row_factory = sqlite3.Row

    def __enter__(self) -> RecordReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def newest(self) -> int:
        """The number of the newest event there ever was; 0 when there was none."""
        row = self._db.execute("select seq from sqlite_sequence where name = 'turn_events'").fetchone()
        return int(row["seq"]) if row else 0

    def turns(self) -> list[Row]:
        """The newest turns, oldest first."""
        rows = self._db.execute(
            "select id, sender, substr(body, 1, 20000) as body, redelivered, model, started, ended, outcome,"
            " substr(detail, 1, 20000) as detail from turns"
            " order by id desc limit ?",
            (TURNS,),
        )
        return [dict(row) for row in reversed(rows.fetchall())]

    def step(self, after: int) -> tuple[list[Row], list[Row]]:
        """`events` and `turns` of one moment: no turn is over of which an event is still to come, but by its limit."""
        self._db.execute("begin")
        try:
            return self.events(after), self.turns()
        finally:
            self._db.rollback()

    def events(self, after: int) -> list[Row]:
        """The events that follow number `after`, oldest first, as many as one step carries."""
        rows = self._db.execute("select * from turn_events where seq > ? order by seq limit ?", (after, EVENTS))
        return [_event(row) for row in rows]

    def last_events(self, count: int = EVENTS) -> list[Row]:
        """The newest events, oldest first."""
        rows = self._db.execute("select * from turn_events order by seq desc limit ?", (count,))
        return [_event(row) for row in reversed(rows.fetchall())]


def _event(row: sqlite3.Row) -> Row:
    """An event. What the agent's own programs have put into the record in place of one is told, and keeps no other."""
    try:
        return {**dict(row), "data": json.loads(row["data"])}
    except (ValueError, TypeError, RecursionError):
        return {**dict(row), "kind": "note", "data": {"text": "(something that cannot be read)"}}
