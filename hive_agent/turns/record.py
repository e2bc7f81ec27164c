"""The agent's own record of its turns, live: `events.sqlite` in its state folder. hive trims it from outside."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hive_agent.errors import AgentError

RECORD_FILE = "events.sqlite"
_SCHEMA = """
create table if not exists turns (
    id integer primary key autoincrement,
    message text not null,      -- the message's id and time: the same for every delivery of it
    sender text not null,
    body text not null,
    redelivered integer not null,
    model text,
    started real not null,      -- unix seconds
    ended real,                 -- null while it runs
    outcome text,               -- how: done, failed, died, stopped, or another of runners.base.End
    detail text
);
create index if not exists turns_message on turns (message);
create table if not exists turn_events (
    seq integer primary key autoincrement,
    turn integer not null,
    at real not null,
    kind text not null,
    data text not null          -- a JSON object
);
create index if not exists turn_events_turn on turn_events (turn);
"""
# An event's JSON beyond this is cut: the page shows turns, it does not archive them.
LARGEST_EVENT = 64 * 1024
_BUSY_SECONDS = 30.0


class Record:
    """The file, opened. A page may read it while a turn writes: it is in WAL mode.

    wrote: called after each change.
    """

    def __init__(self, state: Path, wrote: Callable[[], None] = lambda: None) -> None:
        self.path = state / RECORD_FILE
        self._wrote = wrote
        try:
            self._db = _open(self.path)
        except sqlite3.OperationalError as error:
            raise AgentError(f"{self.path} cannot be opened: {error}.", "Is the folder there, and writable?") from error
        except sqlite3.DatabaseError:
            # Not a database any more. It is a record, not a queue: keep it aside, and let the agent work.
            self._set_aside()
            self._db = _open(self.path)

    def _set_aside(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            broken = Path(f"{self.path}{suffix}")
            if broken.exists():
                broken.rename(f"{self.path}.broken{suffix}")

    def begin(self, message: str, sender: str, body: str, *, redelivered: bool, model: str | None) -> int:
        """A turn begins; returns its id."""
        with self._db:
            row = self._db.execute(
                "insert into turns (message, sender, body, redelivered, model, started) values (?, ?, ?, ?, ?, ?)",
                (message, sender, _storable(body), redelivered, model, time.time()),
            )
        assert row.lastrowid is not None
        self._wrote()
        return row.lastrowid

    def add(self, turn: int, kind: str, data: dict[str, Any]) -> None:
        """Keep an event of a turn."""
        text = json.dumps(data)
        if len(text) > LARGEST_EVENT:
            text = json.dumps({"cut": True, "start": text[: LARGEST_EVENT // 2]})
        with self._db:
            self._db.execute(
                "insert into turn_events (turn, at, kind, data) values (?, ?, ?, ?)", (turn, time.time(), kind, text)
            )
        self._wrote()

    def end(self, turn: int, outcome: str, detail: str) -> None:
        """A turn ended."""
        with self._db:
            self._db.execute(
                "update turns set ended = ?, outcome = ?, detail = ? where id = ?",
                (time.time(), outcome, _storable(detail), turn),
            )
        self._wrote()

    def bury(self) -> None:
        """Mark the turns of a harness that died in them."""
        with self._db:
            self._db.execute(
                "update turns set ended = ?, outcome = 'died', detail = 'the harness died' where ended is null",
                (time.time(),),
            )

    def failures(self, message: str) -> list[str]:
        """Why the turns on this message failed, oldest first; those that say nothing about it left out."""
        rows = self._db.execute(
            "select detail from turns where message = ? and outcome in ('failed', 'died') order by id", (message,)
        )
        return [str(detail) for (detail,) in rows]

    def close(self) -> None:
        self._db.close()


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_BUSY_SECONDS)
    try:
        # Counts in a new file alone: what is free in it can be given back to the disk.
        db.execute("pragma auto_vacuum = incremental")
        db.execute("pragma journal_mode = wal")
        # A power cut may lose the last events, never the file.
        db.execute("pragma synchronous = normal")
        db.executescript(_SCHEMA)
    except BaseException:
        db.close()
        raise
    return db


def _storable(text: str) -> str:
    """SQLite takes no lone surrogates, which JSON can carry."""
    return text.encode("utf-8", "replace").decode("utf-8")
