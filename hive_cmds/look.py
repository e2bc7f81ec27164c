"""The last look at the containers: what every process compares with, so that one change is told once."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, replace

from hive_cmds.agents import AgentView, views
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
    rows = views(hive)
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
    shown = {row["name"]: tuple(row) for row in db.execute("select * from pictures")}
    for row in rows:
        seen, view = picture[row.name], _settled(row)
        new = (row.name, seen.running, seen.instance, seen.logged_in, seen.up_to_date, view)
        old = shown.get(row.name)
        if old is None or old[-1] != view:
            emit(db, "container_state_changed", about=row.name, container=json.loads(view))
        if old != new:
            db.execute("insert or replace into pictures values (?, ?, ?, ?, ?, ?)", new)
    for name in shown.keys() - picture.keys():
        db.execute("delete from pictures where name = ?", (name,))
        emit(db, "container_removed", name=name)


def update(hive: Hive, db: sqlite3.Connection) -> None:
    """Look again and record it, in the caller's transaction."""
    picture, rows = take(hive)
    record(db, picture, rows)


@progress.at_the_end
def after_operation(hive: Hive, db: sqlite3.Connection, name: str) -> None:
    """Record how everything is when an operation ends, with the operation's end.

    An agent that the operation has started and that has ended already counts as seen running: the next look is to
    find that it crashed.
    """
    picture, rows = take(hive)
    seen = picture.get(name)
    if seen is not None and seen.wanted and not seen.running:
        picture[name] = replace(seen, running=True)
    record(db, picture, rows)


def _settled(row: AgentView) -> str:
    """The row without the operation in progress: that has events of its own."""
    fields = wire.plain(row)
    return wire.line({name: value for name, value in fields.items() if not name.startswith("operation")})
