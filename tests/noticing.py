"""What an author forgets is noticed: a change without an event, and one of an agent without its lock.

Every connection of the process that changes something is given temporary triggers, which note each row and column that a change of the
database writes, and each event; at its end, before it is committed, the notes are looked through. SQLite keeps them:
nothing of what is noticed is hive's own word. A table has its triggers before the first statement that may write to it: most
changes write to two or three, and most processes change little.
"""

from __future__ import annotations

import json
import re
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import compress
from typing import Any

from hive_core.context import Hive
from hive_core.event_stream import BREAKS
from hive_core.operation import REGISTRY
from hive_core.store import Connection, Store
from hive_core.wire import moment
from hive_fleet.agents.restarts import LOOP

# Table -> the column that names a row of it, and the events of which one tells of each change of it, in its transaction.
STATE = {
    "agents": ("name", {"container_state_changed", "container_removed"}),
    "approvals": ("id", {"approval_added", "approval_resolved"}),
    "messages": ("id", {"sent", "delivered"}),
    "questions": ("id", {"question_added", "question_resolved"}),
    "needs": ("id", {"need_added", "need_changed", "need_resolved"}),
    "operations": ("agent", {"transient_set", "operation_step", "transient_cleared"}),
    "fan_outs": ("agent", {"fan_out_changed"}),
    "halts": ("one", {"halted", "resumed"}),
}
# What is written without an event, because nothing that follows the events shows it, and why that is right.
SILENT = {
    "delete messages": "a few at a time; the event at the end (`inbox_forgotten`, `vacuumed`) has all ask anew, also of one that was killed",
    "delete questions": "those of a purged agent, as its messages",
    "insert approvals": "a commit that is still being fetched; `approval_added` or `approval_resolved` tells how that ended",
    "update approvals.base_sha": "what a diff is made from; whoever asks for the request (`show`) is told",
    "update approvals.tagged": "whether a denial has its tag in the repository yet: only what makes it asks",
    "update messages.delivered_at": "a message that is put back; what is shown of it is how often it was delivered",
    "update messages.acknowledged_at": "between the gate and the harness; whoever asks for the message (`why`) is told",
    "update operations.detail": "what a recovery goes by, and that somebody waits; of an operation its steps are shown",
}
# Columns of an agent's row, and what its row in the `state` shows of them: there it has to be as it was told last. What
# stands in no other column is shown of nobody: what the next crash, build, look or turn goes by.
SHOWN = {
    "desired": ("failed", "crash_loop", "restart_at"),
    "paused": ("paused",),
    "parent": ("parent",),
    "active_model": ("active_model",),
    "status_text": ("status_text", "status_set_at"),
    "status_set_at": ("status_set_at",),
    "state": ("turn",),
    "until": ("turn_until",),
    "restart_at": ("restart_at",),
    "crashes": ("crash_loop",),
    "halted": ("halted",),
    "stuck_at": ("stuck_since",),
}
# What of an agent's row only who holds its lock may change: what it is built with, and that there is one.
LOCKED = {"hive_rev", "runner", "restart", "allowed_recipients", "given", "parent", "uid"}


@dataclass(frozen=True, slots=True)
class Written:
    """A row that a change has written. how: insert, update or delete. column: of an update, which."""

    table: str
    row: str
    how: str
    column: str

    @property
    def what(self) -> str:
        return f"{self.how} {self.table}{'.' if self.column else ''}{self.column}"

    def __str__(self) -> str:
        return f"{self.what} ({self.row})"


Report = Callable[[str], None]
# The agents whose locks this process holds.
_held: set[str] = set()
# The tables whose triggers this thread's change has, while one is watched.
_watched = threading.local()
_WRITING = {"insert", "replace", "update", "delete"}


def refuse(sentence: str) -> None:
    """Have the change undone, and whoever made it fail with the sentence."""
    raise AssertionError(sentence)


def install(report: Report, wanted: Callable[[], bool] = lambda: True) -> None:
    """Have every change of this process looked through; `report` is given a sentence for whatever is amiss.

    wanted: whether the change that begins is to be.
    """
    write, lock = Store.write, Hive.lock

    @contextmanager
    def writing(self: Store) -> Iterator[Connection]:
        if self.connection().in_transaction or not wanted():
            with write(self) as db:
                yield db
            return
        with self._naming_damage():
            _begin(self.connection())
        try:
            with write(self) as db:
                db.execute("delete from temp.noticed")
                yield db
                for sentence in _amiss(db, _noticed(db)):
                    report(sentence)
        finally:
            _watched.tables = None

    @contextmanager
    def locking(self: Hive, name: str, purpose: str, *, wait: bool = True) -> Iterator[None]:
        with lock(self, name, purpose, wait=wait):
            _held.add(name)
            try:
                yield
            finally:
                _held.discard(name)

    for name in ("execute", "executemany"):
        setattr(Connection, name, _watching(getattr(sqlite3.Connection, name)))
    Hive.lock = locking  # type: ignore[method-assign, assignment]
    Store.write = writing  # type: ignore[method-assign]


def _watching(execute: Callable[..., sqlite3.Cursor]) -> Callable[..., sqlite3.Cursor]:
    """The same method of a connection, that first makes the triggers of what a statement may write to."""

    def executing(self: Connection, sql: str, *arguments: Any) -> sqlite3.Cursor:
        watched = getattr(_watched, "tables", None)
        for table in _may_write(sql) if watched is not None else ():
            if table not in watched:
                # Before the triggers: they are made by statements that name the table, too.
                watched.add(table)
                for trigger in _triggers(self, table):
                    self.execute(trigger)
        return execute(self, sql, *arguments)

    return executing


def _begin(db: Connection) -> None:
    """Have this thread's next change watched. What is noted is the connection's own and gone with it."""
    if not db.execute("select 1 from temp.sqlite_master where name = 'noticed'").fetchone():
        db.execute("pragma temp_store = memory")
        db.execute('create temp table noticed ("table" text, "row" text, how text, "column" text)')
    _watched.tables = set()


@cache
def _may_write(sql: str) -> list[str]:
    """The tables that a statement may write to, of those that are watched."""
    words = set(re.findall(r"\w+", sql.lower()))
    return [table for table in ("events", *STATE) if table in words] if words & _WRITING else []


_columns: dict[str, list[str]] = {}


def _triggers(db: Connection, table: str) -> Iterator[str]:
    if table == "events":
        yield _trigger(table, "insert", "values ('events', new.kind, 'insert', new.data)")
        return
    key = STATE[table][0]
    if table not in _columns:
        _columns[table] = [row["name"] for row in db.execute(f"pragma table_info({table})")]
    yield _trigger(table, "insert", f"values ('{table}', new.{key}, 'insert', '')")
    yield _trigger(table, "delete", f"values ('{table}', old.{key}, 'delete', '')")
    # For each column whether it is another now: a statement for each takes twice as long to be made a trigger of.
    differs = " || ".join(f"(old.{each} is not new.{each})" for each in _columns[table])
    yield _trigger(table, "update", f"values ('{table}', new.{key}, 'update', {differs})")


def _trigger(table: str, how: str, row: str) -> str:
    # One that was made in a change that was undone is gone with that.
    name = f"noticing_{table}_{how}"
    return f"create temp trigger if not exists {name} after {how} on main.{table} begin insert into noticed {row}; end"


def _noticed(db: Connection) -> list[Written]:
    found = []
    for table, row, how, column in db.execute('select "table", "row", how, "column" from temp.noticed'):
        columns = compress(_columns[table], map(int, column)) if how == "update" else [column]
        found += [Written(table, str(row), how, each) for each in columns]
    return found


def _amiss(db: Connection, noticed: list[Written]) -> Iterator[str]:
    """A sentence for each thing that was forgotten, by the name of the operation."""
    told = {(each.row, name) for each in noticed if each.table == "events" for name in _named(each.row, each.column)}
    state = [each for each in noticed if each.table in STATE and each.what not in SILENT and not _half_made(db, each)]
    missed = [each for each in state if not (_is_told(told, each) or _is_shown_right(db, each) or _is_mail(db, each))]
    if missed and not BREAKS & {kind for kind, _ in told}:
        yield f"{_operation()} changed without an event: {', '.join(sorted({str(each) for each in missed}))}"
    for agent in sorted({written.row for written in noticed if _needs_lock(written)}):
        if agent not in _held:
            which = sorted({str(each) for each in noticed if _needs_lock(each) and each.row == agent})
            yield f"{_operation()} changed {agent} without holding its lock: {', '.join(which)}"


def _named(kind: str, data: str) -> Iterator[str]:
    """The rows that an event tells of, by what names them in their tables."""
    event = json.loads(data)
    row = event.get("need") or event.get("container") or event
    yield str(row.get("id", row.get("name", "")))
    yield from (*event.get("gone", []), *(each["agent"] for each in event.get("rows", [])))
    # Whom a halt ends is shown with that, a moment later.
    yield from ("1", *event.get("agents", [])) if kind in STATE["halts"][1] else ()


def _is_told(told: set[tuple[str, str]], written: Written) -> bool:
    kinds = STATE[written.table][1] | ({"halted"} if written.table == "agents" else set())
    return any((kind, written.row) in told for kind in kinds)


def _is_shown_right(db: Connection, written: Written) -> bool:
    """Whether an agent's row is changed, and what was told of it last holds. The end of an operation tells it anew."""
    if written.table != "agents" or written.how != "update":
        return False
    row = db.execute("select * from agents where name = ?", (written.row,)).fetchone()
    told = db.execute("select view from pictures where name = ?", (written.row,)).fetchone()
    if row is None or told is None or _in_operation(db, written.row):
        return True
    view = json.loads(told["view"])
    now = _as_shown(row, view["running"])
    # One that is due is taken, and shown as due until the start that comes of it ends.
    if (due := view.get("restart_at")) is not None and due <= time.time():
        now["restart_at"] = due
    return all(now[name] == view.get(name) for name in SHOWN.get(written.column, ()))


def _is_mail(db: Connection, written: Written) -> bool:
    """Whether it is a question that was put to an agent: that is told to the two alone, by messages.

    One that was removed in the same change is told of with that.
    """
    if written.table != "questions":
        return False
    row = db.execute("select target from questions where id = ?", (written.row,)).fetchone()
    return row is None or row["target"] != "operator"


def _as_shown(row: Any, running: bool) -> dict[str, object]:
    """What is shown of an agent's row."""
    missing = row["desired"] == "running" and not running
    return {
        "failed": missing,
        "crash_loop": missing and row["crashes"] >= LOOP,
        "restart_at": int(row["restart_at"]) if row["restart_at"] and missing else None,
        "paused": bool(row["paused"]),
        "parent": row["parent"],
        "active_model": row["active_model"],
        "status_text": row["status_text"] or None,
        "status_set_at": moment(row["status_set_at"]) if row["status_text"] else None,
        "turn": row["state"] if running else None,
        "turn_until": int(row["until"]) if row["until"] and running else None,
        "halted": True if row["halted"] else None,
        "stuck_since": int(row["stuck_at"]) if row["stuck_at"] and running else None,
    }


def _half_made(db: Connection, written: Written) -> bool:
    """Whether an agent comes or goes in an operation that is in progress: the end of that is told, either way."""
    return written.table == "agents" and written.how != "update" and _in_operation(db, written.row)


def _in_operation(db: Connection, agent: str) -> bool:
    return db.execute("select 1 from operations where agent = ?", (agent,)).fetchone() is not None


def _needs_lock(written: Written) -> bool:
    return written.table == "agents" and (written.how != "update" or written.column in LOCKED)


def _operation() -> str:
    """The operation that runs; else the function of the product that has opened the change."""
    codes = {each.function.__code__: name for name, each in REGISTRY.items()}
    frame, outermost = sys._getframe(), ""
    while frame is not None:
        if frame.f_code in codes:
            return codes[frame.f_code]
        if frame.f_code.co_filename.rpartition("/hive_")[1]:
            outermost = f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_code.co_name}"
        frame = frame.f_back  # type: ignore[assignment]
    return outermost or "a test"
