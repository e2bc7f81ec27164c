"""Denials: the tag that keeps a denied commit and says why, made up for where its maker was killed or failed."""

from __future__ import annotations

import sqlite3

from hive_core import repairs
from hive_core.context import Hive
from hive_core.events import emit


def tag_all(hive: Hive) -> None:
    """Tag what was denied and is not tagged yet; what has failed before is tried when it is due."""
    with hive.store.read() as db:
        rows = db.execute("select id, agent, fetched_sha, note from approvals where not tagged").fetchall()
        failed = repairs.all_failed(hive, db) if rows else {}
    for row in rows:
        before = failed.get(f"denied/{row['id']}")
        if before is None or before.due_at <= hive.clock():
            _tag(hive, row)


def tag(hive: Hive, id: int) -> None:
    """Tag what has just been denied. The denial stands whatever comes of it: a tag that fails is made up for later."""
    with hive.store.read() as db:
        rows = db.execute("select id, agent, fetched_sha, note from approvals where id = ? and not tagged", (id,))
        row = rows.fetchone()
    if row is not None:
        _tag(hive, row)


def _tag(hive: Hive, row: sqlite3.Row) -> None:
    tag = f"denied/{row['id']}"

    def mend() -> None:
        from hive_core.git.repository import Repository

        path = hive.applied_path(row["agent"])
        if path.exists():
            Repository(path).annotate(tag, row["fetched_sha"], row["note"] or "")
        with hive.store.write() as db:
            db.execute("update approvals set tagged = 1 where id = ?", (row["id"],))
            if repairs.done(hive, db, tag):
                emit(db, "recovered", name=row["agent"], transient_kind="denying", outcome=f"tagged {tag}")

    repairs.attempt(hive, tag, row["agent"], mend)
