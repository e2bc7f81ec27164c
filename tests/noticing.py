"""What an author forgets is noticed: a change without an event, and one of an agent without its lock.

Every connection of the process that changes something is given temporary triggers, which note each row and column that a change of the
database writes, and each event; at its end, before it is committed, the notes are looked through. SQLite keeps them:
nothing of what is noticed is hive's own word.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hive_core.context import Hive
from hive_core.operation import REGISTRY
from hive_core.store import Connection, Store

# Table -> the column that names a row of it, for whoever reads what was noticed.
STATE = {"agents": "name", "approvals": "id", "messages": "id", "questions": "id", "needs": "id"}
# What is written without an event, and why nobody misses one.
SILENT = {
    "delete messages": "those of a purge, or old ones, a few at a time; the end of it tells that they are gone",
    "delete questions": "those of a purged agent, as its messages",
    "insert approvals": "it is told of when its commit is held, or was not to be had",
    "update agents.crashed_at": "counted towards the next crash, which is told",
    "update agents.crash_log": "the crash itself is told",
    "update agents.crashes": "counted towards the next crash, which is told",
    "update agents.desired": "a wish: what comes of it is told when it has come",
    "update agents.halted": "a wish: what comes of it is told when it has come, and the halt itself is",
    "update agents.moved": "what the watch compares its next look with",
    "update agents.restart_at": "told with the crash; that it is over, with the start or the stop that comes of it",
    "update agents.stuck_at": "it goes with the turn, whose end is told; that it begins is",
    "update agents.stuck_minutes": "of its configuration, whose deploy is told",
    "update agents.active_model": "goes with the state, of a harness that runs",
    "update agents.until": "goes with the state, of a harness that runs",
    "update agents.model": "the harness asks before each turn, and tells what it runs with",
    "update agents.state": "told where what is shown differs: a badge is of one that runs",
    "update agents.status_text": "told where what is shown differs: a badge is of one that runs",
    "update agents.status_set_at": "goes with the text that it is the time of",
    "update approvals.tagged": "whether a denial has its tag yet, which only its repair asks",
    "update messages.delivered_at": "that it waits again; each delivery is counted, and told",
    "update messages.acknowledged_at": "between the gate and the harness; `hive why` says it to who asks",
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
            _watch(self.connection())
        with write(self) as db:
            db.execute("delete from temp.noticed")
            yield db
            for sentence in _amiss(db, _noticed(db)):
                report(sentence)

    @contextmanager
    def locking(self: Hive, name: str, purpose: str, *, wait: bool = True) -> Iterator[None]:
        with lock(self, name, purpose, wait=wait):
            _held.add(name)
            try:
                yield
            finally:
                _held.discard(name)

    Hive.lock = locking  # type: ignore[method-assign, assignment]
    Store.write = writing  # type: ignore[method-assign]


def _watch(db: Connection) -> None:
    """Make the triggers, where a connection has none yet. They are its own and gone with it."""
    if db.execute("select 1 from temp.sqlite_master where name = 'noticed'").fetchone():
        return
    db.execute("pragma temp_store = memory")
    db.execute('create temp table noticed ("table" text, "row" text, how text, "column" text)')
    for table, key in {**STATE, "events": "kind"}.items():
        _trigger(db, table, "insert", [f"values ('{table}', new.{key}, 'insert', '')"])
        if table in STATE:
            _trigger(db, table, "delete", [f"values ('{table}', old.{key}, 'delete', '')"])
            columns = [row["name"] for row in db.execute(f"pragma table_info({table})")]
            what = [
                f"select '{table}', new.{key}, 'update', '{each}' where old.{each} is not new.{each}"
                for each in columns
            ]
            _trigger(db, table, "update", what)


def _trigger(db: Connection, table: str, how: str, rows: list[str]) -> None:
    body = " ".join(f"insert into noticed {each};" for each in rows)
    db.execute(f"create temp trigger noticing_{table}_{how} after {how} on main.{table} begin {body} end")


def _noticed(db: Connection) -> list[Written]:
    return [Written(*map(str, row)) for row in db.execute('select "table", "row", how, "column" from temp.noticed')]


def _amiss(db: Connection, noticed: list[Written]) -> Iterator[str]:
    """A sentence for each thing that was forgotten, by the name of the operation."""
    told = any(written.table == "events" and written.how == "insert" for written in noticed)
    state = [each for each in noticed if each.table in STATE and each.what not in SILENT and not _half_made(db, each)]
    if state and not told:
        yield f"{_operation()} changed without an event: {', '.join(sorted({str(each) for each in state}))}"
    for agent in sorted({written.row for written in noticed if _needs_lock(written)}):
        if agent not in _held:
            which = sorted({str(each) for each in noticed if _needs_lock(each) and each.row == agent})
            yield f"{_operation()} changed {agent} without holding its lock: {', '.join(which)}"


def _half_made(db: Connection, written: Written) -> bool:
    """Whether an agent comes or goes in an operation that is in progress: the end of that is told, either way."""
    found = db.execute("select 1 from operations where agent = ?", (written.row,)).fetchone()
    return written.table == "agents" and written.how != "update" and found is not None


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
