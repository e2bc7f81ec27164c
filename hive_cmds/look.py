"""The last look at the containers: what every process compares with, so that one change is told once."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, replace

from hive_cmds.agents import AgentView, names, view, views
from hive_core import progress, wire
from hive_core.context import Hive
from hive_core.events import emit


@dataclass(frozen=True, slots=True)
class Seen:
    """One agent at one look: the three axes of the watch, and which start of it was seen.

    busy: an operation is in progress on it. cause: why it does not run; code: its exit code, if known.
    """

    running: bool
    instance: str | None
    logged_in: bool
    up_to_date: bool
    busy: bool = False
    wanted: bool = True
    cause: str | None = None
    code: int | None = None


Picture = dict[str, Seen]


def take(hive: Hive) -> tuple[Picture, list[AgentView]]:
    """Look at every agent as it is now."""
    return _take(hive, views(hive))


def _take(hive: Hive, rows: list[AgentView]) -> tuple[Picture, list[AgentView]]:
    containers = hive.host.containers() if rows else {}
    with hive.store.read() as db:
        desired = {row["name"]: row["desired"] == "running" for row in db.execute("select name, desired from agents")}
    picture = {}
    for row in rows:
        container = containers.get(row.name)
        picture[row.name] = Seen(
            running=container is not None and container.running,
            instance=container.instance if container else None,
            logged_in=not row.needs_login,
            up_to_date=not row.needs_update,
            busy=row.operation is not None,
            wanted=desired.get(row.name, False),
            cause=row.cause or (container.ended.cause if container and container.ended else None),
            code=container.ended.code if container and container.ended else None,
        )
    return picture, rows


def last(db: sqlite3.Connection) -> Picture:
    """The picture of the last look, whoever took it."""
    return {
        row["name"]: Seen(bool(row["running"]), row["instance"], bool(row["logged_in"]), bool(row["up_to_date"]))
        for row in db.execute("select * from pictures")
    }


def record(db: sqlite3.Connection, picture: Picture, rows: list[AgentView]) -> None:
    """Make this the last look, in the caller's transaction, and emit an event for each row that differs from before."""
    for row in rows:
        _record_one(db, row, picture[row.name])
    for name in last(db).keys() - picture.keys():
        _forget(db, name)


def show(hive: Hive, db: sqlite3.Connection, name: str) -> None:
    """Make known how an agent is, in the caller's transaction.

    What the next look compares with stays as it was: to conclude something from a change is the watch's alone. An
    agent that was never looked at takes its place in the picture.
    """
    picture, (row,) = _take(hive, [view(hive, name)])
    _record_one(db, row, last(db).get(name, picture[name]))


def inconclusive(db: sqlite3.Connection) -> bool:
    """Whether something was shown from which the watch has still to conclude something."""
    query = (
        "select 1 from pictures where json_extract(view, '$.needs_login') = logged_in"
        " or json_extract(view, '$.needs_update') = up_to_date limit 1"
    )
    return db.execute(query).fetchone() is not None


@progress.at_the_end
def after_operation(hive: Hive, db: sqlite3.Connection, name: str) -> None:
    """Record how the agent is when an operation on it ends, with the operation's end.

    Of the others nothing is recorded: one that crashed meanwhile is the watch's to find. An agent that the operation
    has started and that has ended already counts as seen running: the next look is to find that it crashed. So is a
    login that the operation's result lacks.
    """
    if name not in names(db):
        _forget(db, name)
        return
    picture, (row,) = _take(hive, [view(hive, name)])
    seen = picture[name]
    logged_in = seen.logged_in or last(db).get(name, seen).logged_in
    _record_one(db, row, replace(seen, running=seen.running or seen.wanted, logged_in=logged_in))


def _record_one(db: sqlite3.Connection, row: AgentView, seen: Seen) -> None:
    old = db.execute("select * from pictures where name = ?", (row.name,)).fetchone()
    shown = _settled(row)
    new = (row.name, seen.running, seen.instance, seen.logged_in, seen.up_to_date, shown)
    if old is None or old["view"] != shown:
        emit(db, "container_state_changed", about=row.name, container=json.loads(shown))
    if old is None or tuple(old) != new:
        db.execute("insert or replace into pictures values (?, ?, ?, ?, ?, ?)", new)


def _forget(db: sqlite3.Connection, name: str) -> None:
    if db.execute("delete from pictures where name = ?", (name,)).rowcount:
        emit(db, "container_removed", name=name)


def _settled(row: AgentView) -> str:
    """The row without the operation in progress: that has events of its own."""
    fields = wire.plain(row)
    return wire.line({name: value for name, value in fields.items() if not name.startswith("operation")})
