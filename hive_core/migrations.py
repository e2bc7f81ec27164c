"""The schema, as the ordered steps that made it; each runs once, in its own transaction, recorded by name."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping

from hive_core.errors import Outdated
from hive_core.first_migrations import FIRST

# Never edit a step that has been released: add another.
STEPS: Mapping[str, str] = {
    **FIRST,
    "m013_halt": """
        -- A row, one at the most, from `hive estop` on until `hive resume --all`.
        create table halts (one integer primary key check (one = 1), at real not null) strict;
        -- Whether it is stopped by the halt alone, and starts when that is lifted.
        alter table agents add column halted integer not null default 0;
    """,
    "m014_timelines": """
        -- What happened to one agent, the newest first.
        create index events_about on events (agent, kind, seq);
        -- What became of each: whether it was rebuilt, and why not. They stay until the next fan-out begins.
        alter table fan_outs add column ok integer;
        alter table fan_outs add column note text;
    """,
    "m015_needs": """
        create table needs (
            -- What needs the operator, kept as it changes: a prompt asks for it every time it is drawn. The watch
            -- fills it in a database that is older.
            id text primary key,          -- its kind, and after a '/' whose it is
            agent text,
            since integer not null,
            said text not null,
            quote text,                   -- words of somebody else than hive
            command text not null,
            weight integer not null,
            acknowledged_at integer       -- null again as soon as anything of it changes
        ) strict;
        create index needs_waiting on needs (since, id) where acknowledged_at is null;
        create index needs_about on needs (agent);
    """,
    "m016_crash_log": """
        -- JSON: its newest crashes as [at, cause], oldest first, none older than a day.
        alter table agents add column crash_log text not null default '[]';
    """,
    "m017_stuck": """
        -- Of one that is in a turn: what was seen of it when it last moved, as JSON; and since when it is stuck.
        alter table agents add column moved text;
        alter table agents add column stuck_at real;
        -- Minutes without a move after which it is stuck, of its configuration; null: as the settings have it.
        alter table agents add column stuck_minutes integer;
    """,
    "m018_notices": """
        create table notices (
            -- What a service is to be told, written down before it is sent. What was sent stays for an hour: there are
            -- so many an hour, and no more.
            id integer primary key autoincrement,
            service text not null,        -- its name in hive.toml: nothing secret of it is kept
            made_at real not null,
            kinds text not null,          -- JSON array: of which kinds of needs it tells
            rows text not null,           -- JSON array
            sent_at real
        ) strict;
        create index notices_unsent on notices (service, id) where sent_at is null;
        create index notices_made on notices (service, made_at);
        create table tellings (
            -- What a service was told last of a need: whether that is another now.
            need text not null,
            service text not null,
            content text not null,        -- a fingerprint
            at real not null,
            primary key (need, service)
        ) strict;
        create table services (
            -- Those that did not take what they were given last.
            service text primary key,
            tries integer not null,
            since real not null,
            due_at real not null,
            error text not null
        ) strict;
    """,
    "m019_history": """
        -- What was ever asked for about one agent.
        create index approvals_about on approvals (agent, id);
    """,
    "m020_cancelled": """
        -- What is asked of the history of requests when one more is made: how many were taken back lately.
        create index approvals_denied on approvals (requested_by, requested_at) where status = 'denied';
    """,
}


def up_to_date(db: sqlite3.Connection, steps: Mapping[str, str] = STEPS) -> bool:
    """Whether every step has run. Raises Outdated for a database made by a newer hive."""
    try:
        done = {row[0] for row in db.execute("select name from migrations")}
    except sqlite3.OperationalError:
        return False
    if unknown := done - steps.keys():
        raise Outdated(
            f"The database was made by a newer hive (it knows {', '.join(sorted(unknown))}).",
            "Run that newer hive, or point HIVE_HOME at another folder.",
        )
    return done == steps.keys()


def apply(db: sqlite3.Connection, steps: Mapping[str, str] = STEPS) -> None:
    """Run the steps that have not run yet, in order."""
    db.execute("create table if not exists migrations (name text primary key, applied_at real not null) strict")
    up_to_date(db, steps)
    for name, script in steps.items():
        db.execute("begin immediate")
        try:
            if not db.execute("select 1 from migrations where name = ?", (name,)).fetchone():
                for statement in _statements(script):
                    db.execute(statement)
                db.execute("insert into migrations values (?, ?)", (name, time.time()))
        except BaseException:
            db.rollback()
            raise
        db.commit()


def last_numbers(db: sqlite3.Connection) -> dict[str, int]:
    """The highest number that each table has given so far, of those that never use one twice."""
    return {row["name"]: row["seq"] for row in db.execute("select name, seq from sqlite_sequence")}


def number_after(db: sqlite3.Connection, number: int, tables: str = "%", *, but: str = "") -> None:
    """Have the tables that never use a number twice (those like `tables`) go on after `number`, in the caller's
    transaction; one that is further already stays as it is, and so does `but`."""
    numbered = (
        "select name from sqlite_master"
        " where type = 'table' and sql like '%autoincrement%' and name like ? and name != ?"
    )
    db.execute(f"update sqlite_sequence set seq = max(seq, ?) where name in ({numbered})", (number, tables, but))  # noqa: S608
    db.execute(
        f"insert into sqlite_sequence (name, seq) select name, ? from ({numbered})"  # noqa: S608
        " where name not in (select name from sqlite_sequence)",
        (number, tables, but),
    )


def _statements(script: str) -> list[str]:
    """Split a script: `executescript` would commit before it starts, which a step must not."""
    statements, pending = [], ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements
