"""The list of what needs the operator: changed in the transaction of its cause, each change with an event.

Whoever changes what a row follows from says here what there is now; nothing of others is looked at for it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Iterable
from dataclasses import replace

from hive_core.errors import NotFound
from hive_core.events import emit
from hive_fleet.needs.need import Need


def every(db: sqlite3.Connection) -> list[Need]:
    """All there is, acknowledged or not, oldest first."""
    return [Need.from_row(row) for row in db.execute("select * from needs order by since, id")]


def waiting(db: sqlite3.Connection) -> list[Need]:
    """What the operator has not acknowledged, oldest first."""
    query = "select * from needs indexed by needs_waiting where acknowledged_at is null order by since, id"
    return [Need.from_row(row) for row in db.execute(query)]


def put(db: sqlite3.Connection, need: Need) -> None:
    """Have this in the list, in the caller's transaction. One that is there already keeps its age.

    What the operator has acknowledged comes back when anything of it is another.
    """
    old = _find(db, need.id)
    if old is not None and old.content == need.content:
        return
    since = old.since if old is not None else need.since or int(time.time())
    new = replace(need, since=since, acknowledged_at=None)
    _write(db, new)
    emit(db, "need_added" if old is None else "need_changed", about=new.agent, need=new.wire())


def resolve(db: sqlite3.Connection, id: str) -> None:
    """Have this no longer in the list, in the caller's transaction."""
    if (old := _find(db, id)) is not None:
        db.execute("delete from needs where id = ?", (id,))
        emit(db, "need_resolved", about=old.agent, need=old.wire())


def hold(db: sqlite3.Connection, agent: str, kinds: Collection[str], needs: Iterable[Need]) -> None:
    """Have exactly these of these kinds about an agent in the list, in the caller's transaction."""
    now = {need.id: need for need in needs}
    query = "select id from needs indexed by needs_about where agent = ?"
    for (id,) in db.execute(query, (agent,)).fetchall():
        if id not in now and id.partition("/")[0] in kinds:
            resolve(db, id)
    for need in now.values():
        put(db, need)


def resolve_of_agents(db: sqlite3.Connection, kinds: Collection[str]) -> None:
    """Have nothing of these kinds in the list, whoever it is about, in the caller's transaction."""
    for old in every(db):
        if old.kind in kinds:
            resolve(db, old.id)


def replace_all(db: sqlite3.Connection, needs: Iterable[Need]) -> None:
    """Have exactly these in the list, in the caller's transaction."""
    now = {need.id: need for need in needs}
    for old in every(db):
        if old.id not in now:
            resolve(db, old.id)
    for need in now.values():
        put(db, need)


def agrees(db: sqlite3.Connection, needs: Iterable[Need]) -> bool:
    """Whether `replace_all` would change nothing."""
    return {need.id: need.content for need in every(db)} == {need.id: need.content for need in needs}


def acknowledge(db: sqlite3.Connection, id: str, at: int) -> Need:
    """Take note, in the caller's transaction, that the operator knows of it. Raises NotFound."""
    old = _find(db, id)
    if old is None:
        raise NotFound(f"Nothing that needs you has the id {id}.", "`hive needs-you` shows what does.")
    if old.acknowledged_at is not None:
        return old
    new = replace(old, acknowledged_at=at)
    _write(db, new)
    emit(db, "need_changed", about=new.agent, need=new.wire())
    return new


def _find(db: sqlite3.Connection, id: str) -> Need | None:
    row = db.execute("select * from needs where id = ?", (id,)).fetchone()
    return None if row is None else Need.from_row(row)


def _write(db: sqlite3.Connection, need: Need) -> None:
    row = (need.id, need.agent, need.since, need.said, need.quote, need.command, need.weight, need.acknowledged_at)
    db.execute("insert or replace into needs values (?, ?, ?, ?, ?, ?, ?, ?)", row)
