"""How agents were last seen. Every process compares with this one picture, so that each change is told once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from hive_agent import MANAGER
from hive_core import wire
from hive_core.changes import Recorder
from hive_core.containers.base import Container
from hive_core.context import Hive
from hive_core.events import emit
from hive_core.human import natural
from hive_fleet.agents import desired, table, troubles
from hive_fleet.agents.ends import RunEnd, end_of, restarted_outside
from hive_fleet.agents.observation import Observation, observe, overtaken
from hive_fleet.agents.status import AgentStatus, as_observed
from hive_fleet.needs import needs


@dataclass(frozen=True, slots=True)
class Seen:
    """One agent at one look. The watch compares running, logged_in and up_to_date.

    instance: which start of the container was seen. busy: an operation is in progress. wanted: the operator wants it
    to run. end: how its last run ended, where it does not run; or how one must have ended that runs again.
    """

    running: bool
    instance: str | None
    logged_in: bool
    up_to_date: bool
    busy: bool = False
    wanted: bool = True
    end: RunEnd | None = None


Picture = dict[str, Seen]


def picture(hive: Hive, db: sqlite3.Connection, observation: Observation) -> tuple[Picture, list[AgentStatus]]:
    """The picture of the observed agents, and their status."""
    rows = as_observed(hive, db, observation)
    return {row.name: _seen(hive, db, observation, row) for row in rows}, rows


def _seen(hive: Hive, db: sqlite3.Connection, observation: Observation, row: AgentStatus) -> Seen:
    container, agent = observation.agents[row.name].container, table.one(db, row.name)
    return Seen(
        running=container is not None and container.running,
        instance=container.instance if container else None,
        logged_in=not row.needs_login,
        up_to_date=not row.needs_update,
        busy=row.operation is not None,
        wanted=agent["desired"] == desired.RUNNING,
        end=_end(container, agent["state"], hive.clock()),
    )


def _end(container: Container | None, said: str | None, now: float) -> RunEnd | None:
    if container is None:
        return None
    if container.ended is not None:
        return end_of(container.ended, said, container.started_at, now)
    return restarted_outside(container.started_at, now) if container.running else None


def last(db: sqlite3.Connection) -> Picture:
    """The last picture, whichever process took it."""
    return {
        row["name"]: Seen(bool(row["running"]), row["instance"], bool(row["logged_in"]), bool(row["up_to_date"]))
        for row in db.execute("select * from pictures")
    }


def shown(db: sqlite3.Connection) -> list[dict[str, Any]]:
    """What was last shown of every agent, as `container_state_changed` tells it; the manager first, then by name."""
    rows = [json.loads(row["view"]) for row in db.execute("select view from pictures")]
    return sorted(rows, key=lambda row: (row["name"] != MANAGER, natural(row["name"])))


def record(db: sqlite3.Connection, picture: Picture, rows: list[AgentStatus]) -> None:
    """Make this the last picture of these agents, in the caller's transaction, with an event for each that changed."""
    for row in rows:
        _record_one(db, row, picture[row.name])


def forget_the_gone(db: sqlite3.Connection) -> None:
    """Remove destroyed agents from the picture, in the caller's transaction."""
    for name in last(db).keys() - set(table.names(db)):
        _forget(db, name)


def forget_all(db: sqlite3.Connection) -> None:
    """Forget the picture, in the caller's transaction: the next look has nothing to compare with, and tells nothing."""
    db.execute("delete from pictures")
    needs.resolve_of_agents(db, troubles.KINDS)


@contextmanager
def showing(hive: Hive, name: str) -> Iterator[sqlite3.Connection]:
    """A transaction that changes how an agent is shown; the event that shows it is emitted at its end.

    What the watch compares with (running, logged in, up to date) stays as it was: only the watch draws conclusions.
    An agent that was never looked at is added to the picture.
    """
    while True:
        observation = observe(hive, [name])
        with hive.store.write() as db:
            if not overtaken(db, observation):
                yield db
                now, rows = picture(hive, db, observation)
                before = last(db)
                record(db, {**now, **({name: before[name]} if name in before else {})}, rows)
                return


def inconclusive(db: sqlite3.Connection, name: str) -> bool:
    """Whether a change was shown of an agent from which the watch has still to draw its conclusion."""
    query = (
        "select 1 from pictures where name = ? and (json_extract(view, '$.needs_login') = logged_in"
        " or json_extract(view, '$.needs_update') = up_to_date)"
    )
    return db.execute(query, (name,)).fetchone() is not None


def is_news(db: sqlite3.Connection, picture: Picture, rows: list[AgentStatus]) -> bool:
    """Whether `record` and `forget_the_gone` would change anything."""
    known = {row["name"]: tuple(row) for row in db.execute("select * from pictures")}
    return any(known.get(row.name) != _row(row, picture[row.name]) for row in rows) or bool(
        known.keys() - set(table.names(db))
    )


def after_operation(hive: Hive, name: str) -> Recorder:
    """Look at the agent when an operation on it ends, and return what records that with the operation's end.

    Other agents are left alone: if one has crashed meanwhile, the watch is to find that. If the operation has started
    this agent and it has already ended again, it is recorded as running, so that the next look finds the crash; in
    the same way a login that got lost stays recorded, so that the next look finds the loss.
    """
    observation = observe(hive, [name])

    def record_it(db: sqlite3.Connection) -> None:
        now, rows = picture(hive, db, observation)
        if not rows:
            _forget(db, name)
            return
        seen = now[name]
        logged_in = seen.logged_in or last(db).get(name, seen).logged_in
        _record_one(db, rows[0], replace(seen, running=seen.running or seen.wanted, logged_in=logged_in))

    return record_it


def _record_one(db: sqlite3.Connection, row: AgentStatus, seen: Seen) -> None:
    old = db.execute("select * from pictures where name = ?", (row.name,)).fetchone()
    new = _row(row, seen)
    shown = new[-1]
    if old is None or old["view"] != shown:
        view = json.loads(shown)
        emit(db, "container_state_changed", about=row.name, container=view)
        needs.hold(db, row.name, troubles.KINDS, troubles.troubles(view))
    if old is None or tuple(old) != new:
        db.execute("insert or replace into pictures values (?, ?, ?, ?, ?, ?)", new)


def _row(row: AgentStatus, seen: Seen) -> tuple[str, bool, str | None, bool, bool, str]:
    """The agent's row of the table."""
    return (row.name, seen.running, seen.instance, seen.logged_in, seen.up_to_date, _settled(row))


def _forget(db: sqlite3.Connection, name: str) -> None:
    if db.execute("delete from pictures where name = ?", (name,)).rowcount:
        emit(db, "container_removed", name=name)
        needs.hold(db, name, troubles.KINDS, [])


@lru_cache(maxsize=4096)
def _settled(row: AgentStatus) -> str:
    """The status as JSON, without the operation in progress, which has events of its own."""
    fields = wire.plain(row)
    return wire.line({name: value for name, value in fields.items() if not name.startswith("operation")})
