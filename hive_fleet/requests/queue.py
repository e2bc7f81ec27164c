"""The rows of the approval queue: what was asked for, and what became of it, decided exactly once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hive_core import disk, migrations
from hive_core.caller import THE_OPERATOR
from hive_core.context import Hive
from hive_core.errors import HiveError, NotFound, Refused
from hive_core.events import emit
from hive_core.text import one_line
from hive_fleet.messages import messages
from hive_fleet.needs import needs
from hive_fleet.needs.need import Need

# Requests that one asker may have waiting: the operator reads every one of them.
MOST_WAITING = 100
# Requests of one asker that may fail in a day, each in a way of its own: all of them are kept.
MOST_FAILED, DAY = 100, 86400.0
# Requests of one asker that it may take back in a day: all of them are kept as well.
MOST_CANCELLED = 100
INTERRUPTED = "The request was interrupted while its commit was fetched."


def require(db: sqlite3.Connection, id: int) -> sqlite3.Row:
    """The row of a request. Raises NotFound."""
    row: sqlite3.Row | None = db.execute("select * from approvals where id = ?", (id,)).fetchone()
    if row is None:
        raise NotFound(f"There is no request {id}.", "`hive approvals --all` shows every request.")
    return row


def require_pending(db: sqlite3.Connection, id: int) -> sqlite3.Row:
    """The row of a request that is still to be decided. Raises NotFound, or Refused saying what it already is."""
    row = require(db, id)
    if row["status"] != "pending":
        raise Refused(f"Request {id} is already {row['status']}.", f"`hive show {id}` tells its history.")
    return row


def pending(db: sqlite3.Connection, agent: str, kind: str) -> list[sqlite3.Row]:
    """The requests of one kind that wait for a decision about an agent, oldest first."""
    query = (
        "select * from approvals indexed by approvals_pending"
        " where agent = ? and kind = ? and status = 'pending' order by id"
    )
    return db.execute(query, (agent, kind)).fetchall()


def waiting(db: sqlite3.Connection) -> list[sqlite3.Row]:
    """Every request that waits for a decision, oldest first."""
    query = "select * from approvals indexed by approvals_pending where status = 'pending' order by id"
    return db.execute(query).fetchall()


def newest_ids(db: sqlite3.Connection, most: int) -> list[int]:
    """The ids of the newest requests, the newest first."""
    return [row["id"] for row in db.execute("select id from approvals order by id desc limit ?", (most,))]


def every(db: sqlite3.Connection) -> list[sqlite3.Row]:
    """Every request there has been, oldest first."""
    return db.execute("select * from approvals order by id").fetchall()


def about(db: sqlite3.Connection, agent: str, most: int) -> list[sqlite3.Row]:
    """The newest requests about an agent, whatever became of them, the newest first."""
    query = "select * from approvals indexed by approvals_about where agent = ? order by id desc limit ?"
    return db.execute(query, (agent, most)).fetchall()


def deployed(db: sqlite3.Connection, agent: str) -> list[sqlite3.Row]:
    """The requests that an agent was deployed with, the last one first; also those of an agent of that name before."""
    query = "select * from approvals where agent = ? and status = 'approved' order by resolved_at desc, id desc"
    return db.execute(query, (agent,)).fetchall()


def begin_from(db: sqlite3.Connection, id: int, base: str) -> None:
    """Remember what `main` is as a request is approved: its deploy leads from there."""
    db.execute("update approvals set base_sha = ? where id = ?", (base, id))


def add(hive: Hive, db: sqlite3.Connection, *, agent: str, kind: str, commit_ref: str, description: str | None) -> int:
    """Add a request for a commit that is yet to be fetched, or for a spawn, and return its id.

    A request for a commit starts out as failed: if this process is killed while it fetches, that is what it is.
    """
    require_room(hive, db)
    now = hive.clock()
    waits = kind == "spawn"
    cursor = db.execute(
        "insert into approvals (agent, kind, commit_ref, requested_by, requested_at, status, resolved_at, note,"
        " description) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            agent,
            kind,
            commit_ref,
            hive.caller.name,
            now,
            "pending" if waits else "failed",
            None if waits else now,
            None if waits else INTERRUPTED,
            description,
        ),
    )
    id = int(cursor.lastrowid or 0)
    if waits:
        row = require(db, id)
        emit(db, "approval_added", **event_fields(row))
        needs.put(db, need_of(row))
    return id


def need_of(row: sqlite3.Row) -> Need:
    """A request that waits, as what needs the operator."""
    by, agent, sha = row["requested_by"], row["agent"], row["fetched_sha"]
    said = f"{by} asks to deploy {sha[:12]} on {agent}" if sha else f"{by} asks to make {agent}"
    quote, since = one_line(row["description"] or ""), int(row["requested_at"])
    return Need("request", str(row["id"]), agent, said, f"hive show {row['id']}", quote or None, since)


def _settle(db: sqlite3.Connection, id: int) -> None:
    """A request that is decided needs nobody."""
    needs.resolve(db, f"request/{id}")


def event_fields(row: sqlite3.Row) -> dict[str, Any]:
    """What every event of a request tells of it; times are unix seconds, as in all events."""
    sha = row["fetched_sha"]
    return {
        "id": row["id"],
        "agent": row["agent"],
        "approval_kind": row["kind"],
        "sha_short": sha[:12] if sha else None,
        "sha": sha,
        "commit_ref": row["commit_ref"],
        "description": row["description"],
        "requested_by": row["requested_by"],
        "requested_at": int(row["requested_at"]),
    }


def outcome_fields(row: sqlite3.Row) -> dict[str, Any]:
    """What the event of a decision tells of it."""
    return {**event_fields(row), "status": row["status"], "resolved_at": int(row["resolved_at"]), "note": row["note"]}


def newest_decided(db: sqlite3.Connection, most: int) -> list[sqlite3.Row]:
    """The requests that were decided last, the last at the end; without those whose fetch is under way, or was cut off.

    Nobody was told of them: they become pending, or are asked for again.
    """
    query = (
        "select * from approvals indexed by approvals_decided where status != 'pending' and note is not ?"
        " and resolved_at is not null order by cast(resolved_at as integer) desc, id desc limit ?"
    )
    return db.execute(query, (INTERRUPTED, most)).fetchall()[::-1]


# Its name, for whoever counts on beside all other tables.
TABLE = "approvals"


def number_after(db: sqlite3.Connection, highest: int) -> None:
    """Have the next request be numbered after `highest`, in the caller's transaction, and after every one before."""
    migrations.number_after(db, highest, TABLE)


# Who asked for what is known by its tags alone.
UNKNOWN = "?"


def number_on(db: sqlite3.Connection, highest: int) -> None:
    """Have the next request be numbered after `highest`, in the caller's transaction, if there is none yet."""
    if db.execute("select 1 from approvals limit 1").fetchone() is None:
        db.execute("update sqlite_sequence set seq = ? where name = 'approvals'", (highest,))


def take_back(db: sqlite3.Connection, id: int, agent: str, sha: str, at: float) -> bool:
    """Add a request for a commit that only its tag tells of; False when its id is there already."""
    return bool(
        db.execute(
            "insert or ignore into approvals (id, agent, kind, commit_ref, fetched_sha, requested_by, requested_at,"
            " status, note) values (?, ?, 'apply_commit', ?, ?, ?, ?, 'failed', ?)",
            (id, agent, sha, sha, UNKNOWN, at, INTERRUPTED),
        ).rowcount
    )


def close_quietly(db: sqlite3.Connection, id: int, status: str, note: str | None, at: float) -> None:
    """Record what became of a request long ago: nobody is told again."""
    db.execute("update approvals set status = ?, note = ?, resolved_at = ? where id = ?", (status, note, at, id))
    _settle(db, id)


def require_room(hive: Hive, db: sqlite3.Connection) -> None:
    """Raises Refused when the caller has as many requests waiting, failed or taken back as one may have."""
    if hive.caller != THE_OPERATOR:
        _require_few(hive, db)
        _require_few_of_the_day(hive, db, _FAILED, MOST_FAILED, "have failed")
        _require_few_of_the_day(hive, db, _CANCELLED, MOST_CANCELLED, "were taken back")


def _require_few(hive: Hive, db: sqlite3.Connection) -> None:
    query = "select count(*) from approvals indexed by approvals_pending where requested_by = ? and status = 'pending'"
    waiting = db.execute(query, (hive.caller.name,)).fetchone()[0]
    if waiting >= MOST_WAITING:
        raise Refused(
            f"{waiting} requests of {hive.caller.name} wait for the operator, which is the most.",
            "Wait for a decision, or take one back: cancel ID.",
        )


_FAILED = """
    select requested_at from approvals indexed by approvals_failed
    where requested_by = :caller and status = 'failed' and fetched_sha is null and requested_at > :since
    order by requested_at desc limit 1 offset :most - 1
"""
_CANCELLED = """
    select requested_at from approvals indexed by approvals_denied
    where requested_by = :caller and status = 'denied' and note = :cancelled and requested_at > :since
    order by requested_at desc limit 1 offset :most - 1
"""


def _require_few_of_the_day(hive: Hive, db: sqlite3.Connection, query: str, most: int, what: str) -> None:
    caller, since = hive.caller.name, hive.clock() - DAY
    values = {"caller": caller, "since": since, "most": most, "cancelled": cancelled_by(caller)}
    oldest = db.execute(query, values).fetchone()
    if oldest is not None:
        minutes = int((oldest["requested_at"] - since) // 60) + 1
        raise Refused(
            f"{most} requests of {caller} {what} within a day, which is the most.", f"Try again in {minutes} minutes."
        )


def cancelled_by(caller: str) -> str:
    """The note of a request that whoever made it has taken back."""
    return f"cancelled by {caller}"


def add_failed(
    hive: Hive, db: sqlite3.Connection, agent: str, commit_ref: str, description: str | None, note: str
) -> None:
    """Add a request whose commit could not be fetched, unless one failed in the same way before: that stands for both.

    Who tries in vain again and again, fills neither the list nor the manager's inbox, and uses up no id.
    """
    query = (
        "select 1 from approvals where agent = ? and status = 'failed' and commit_ref = ? and requested_by = ?"
        " and note = ?"
    )
    if db.execute(query, (agent, commit_ref, hive.caller.name, note)).fetchone() is None:
        id = add(hive, db, agent=agent, kind="apply_commit", commit_ref=commit_ref, description=description)
        resolve(hive, db, id, "failed", note=note)


def fetched(db: sqlite3.Connection, id: int, sha: str, base: str, diff: str) -> None:
    """Make a request pending, now that its commit is held: from here on only this object counts."""
    db.execute(
        "update approvals set status = 'pending', fetched_sha = ?, base_sha = ?, note = null, resolved_at = null"
        " where id = ?",
        (sha, base, id),
    )
    row = require(db, id)
    emit(db, "approval_added", **event_fields(row), diff=diff)
    needs.put(db, need_of(row))


def resolve(
    hive: Hive, db: sqlite3.Connection, id: int, status: str, *, note: str | None = None, tag: str | None = None
) -> None:
    """Decide a request in the caller's transaction, and tell of it. Nothing happens when it has that status already.

    Raises Refused when it was decided otherwise.
    """
    row = require(db, id)
    if row["status"] == status and row["note"] != INTERRUPTED:
        return
    if row["status"] != "pending" and row["note"] != INTERRUPTED:
        raise Refused(f"Request {id} is already {row['status']}.")
    now = hive.clock()
    db.execute(
        "update approvals set status = ?, resolved_at = ?, note = ?, tagged = ? where id = ?",
        (status, now, note, status != "denied" or row["fetched_sha"] is None, id),
    )
    emit(db, "approval_resolved", **outcome_fields(require(db, id)))
    _settle(db, id)
    messages.tell_manager(
        hive,
        db,
        "approval_resolved",
        id=id,
        agent=row["agent"],
        approval_kind=row["kind"],
        status=status,
        sha=row["fetched_sha"],
        tag=tag,
        note=note,
    )


@contextmanager
def told_what_became_of(hive: Hive, id: int, more: str | None = None) -> Iterator[None]:
    """Have an error say what the request is now: failed by its own fault, or waiting, as the machine was to blame."""
    try:
        yield
    except (HiveError, OSError, sqlite3.Error) as error:
        told = disk.told(error)
        if told is None:
            raise
        try:
            with hive.store.read() as db:
                status = require(db, id)["status"]
        except (HiveError, sqlite3.Error):
            status = "as it was, as far as can be told"
        waits = "It can be approved again when that is mended." if status == "pending" else None
        told.hint = " ".join(filter(None, [told.hint, f"Request {id}: {status}.", waits, more]))
        if told is error:
            raise
        raise told from error
