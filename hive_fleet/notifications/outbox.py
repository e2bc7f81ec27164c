"""The outbox: what is to be sent is written down before, and stays until a service has taken it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hive_agent.back_off import pause_after
from hive_core import wire
from hive_core.events import emit
from hive_fleet.needs.need import Need
from hive_fleet.notifications.decisions import HOUR, Past, Telling

# Seconds until a service that did not take a notification is tried again; doubled each time, up to the longest.
FIRST, LONGEST = 30.0, 3600.0
# Tries in vain after which the operator is told that a service takes nothing.
DOWN = 3


class Notice(NamedTuple):
    """One that a service has yet to take: what of which needs, and since when. id: a later one has a higher."""

    id: int
    made_at: float
    rows: Sequence[Mapping[str, Any]]


class Failing(NamedTuple):
    """A service that does not take what it is given. tries: how often in a row. due_at: when it is tried again."""

    service: str
    tries: int
    since: float
    due_at: float
    error: str


def history(db: sqlite3.Connection, service: str, now: float) -> Past:
    """What a service was told, or is about to be."""
    rows = db.execute("select need, content, at from tellings where service = ?", (service,))
    tellings = {row["need"]: Telling(row["content"], row["at"]) for row in rows}
    query = "select made_at, kinds, rows from notices where service = ? and made_at > ?"
    made = db.execute(query, (service, now - HOUR)).fetchall()
    alone: dict[str, list[float]] = {}
    for notice in made:
        agents = {each.get("agent") for each in json.loads(notice["rows"])}
        if len(agents) == 1 and (agent := agents.pop()):
            alone.setdefault(agent, []).append(notice["made_at"])
    return Past(tellings, [(row["made_at"], frozenset(json.loads(row["kinds"]))) for row in made], alone)


def put(
    db: sqlite3.Connection, service: str, rows: Sequence[Mapping[str, Any]], contents: Mapping[str, str], now: float
) -> None:
    """Write down what a service is to be told, in the caller's transaction. contents: of each need."""
    kinds = wire.line(sorted({row["kind"] for row in rows}))
    db.execute(
        "insert into notices (service, made_at, kinds, rows) values (?, ?, ?, ?)",
        (service, now, kinds, wire.line(rows)),
    )
    for need, content in contents.items():
        db.execute("insert or replace into tellings values (?, ?, ?, ?)", (need, service, content, now))


def unsent(db: sqlite3.Connection, service: str) -> list[Notice]:
    """What a service has yet to take, oldest first."""
    query = "select id, made_at, rows from notices indexed by notices_unsent where service = ? and sent_at is null"
    found = db.execute(f"{query} order by id", (service,))
    return [Notice(row["id"], row["made_at"], json.loads(row["rows"])) for row in found]


def failing(db: sqlite3.Connection) -> dict[str, Failing]:
    """The services that did not take what they were given last, by their names."""
    return {row["service"]: Failing(*row) for row in db.execute("select * from services order by service")}


def need_of(failing: Failing) -> Need:
    """A service that takes nothing, as what needs the operator."""
    said = f"the service {failing.service} takes no notifications"
    return Need("notification", failing.service, None, said, "hive notify --test", failing.error, int(failing.since))


def taken(db: sqlite3.Connection, service: str, notices: Sequence[Notice], now: float) -> None:
    """Note, in the caller's transaction, that a service has taken these."""
    for notice in notices:
        db.execute("update notices set sent_at = ? where id = ?", (now, notice.id))
    works(db, service)
    ids = sorted({row["id"] for notice in notices for row in notice.rows})
    emit(db, "notified", to=service, needs=ids)


def works(db: sqlite3.Connection, service: str) -> None:
    """Note, in the caller's transaction, that a service takes what it is given: what waits for it is due at once."""
    db.execute("delete from services where service = ?", (service,))


def refused(db: sqlite3.Connection, service: str, error: str, now: float) -> None:
    """Note, in the caller's transaction, that a service did not take what it was given; it is tried again later."""
    before = failing(db).get(service)
    tries = 1 if before is None else before.tries + 1
    since = now if before is None else before.since
    row = (service, tries, since, now + pause_after(tries, FIRST, LONGEST), error)
    db.execute("insert or replace into services values (?, ?, ?, ?, ?)", row)


def forget(db: sqlite3.Connection, services: Sequence[str], waiting: Sequence[str], now: float) -> None:
    """Remove, in the caller's transaction, what nobody asks for any more: of services that are no longer named too.

    waiting: the ids of the needs that there are.
    """
    known, needs = wire.line(services), wire.line(waiting)
    db.execute("delete from notices where sent_at < ?", (now - HOUR,))
    query = "delete from tellings where at < ? and need not in (select value from json_each(?))"
    db.execute(query, (now - HOUR, needs))
    for table in ("notices", "tellings", "services"):
        db.execute(f"delete from {table} where service not in (select value from json_each(?))", (known,))  # noqa: S608
