"""What an agent knows messages and questions by: ids of its own, which tell nothing of what others say.

The operator knows everything by its id in the database. To an agent the first message that it has sent or got is 1,
the next is 2, whatever others have sent in between: ids that count everybody's would tell it how much that was.
"""

from __future__ import annotations

import sqlite3


def known_as(row: sqlite3.Row, name: str, one: str, other: str) -> int:
    """The id that `name` knows a row by; `one` and `other` are the columns of its two sides."""
    for side in (one, other):
        if row[side] == name and row[f"{side}_number"] is not None:
            return int(row[f"{side}_number"])
    return int(row["id"])


def key_of(db: sqlite3.Connection, name: str) -> int | None:
    """The key behind which the index keeps an agent's words; None for one that has neither sent nor got anything."""
    row = db.execute("select key from readers where name = ?", (name,)).fetchone()
    return None if row is None else int(row["key"])


def forget(db: sqlite3.Connection, name: str) -> None:
    """Begin anew, in the caller's transaction: another agent of this name finds nothing that this one sent or asked."""
    db.execute("update questions set asker_number = null where asker = ?", (name,))
    db.execute("update questions set target_number = null where target = ?", (name,))
    db.execute("delete from readers where name = ?", (name,))
