"""The users that agents run as: one of its own for each, where the backend has any for them."""

from __future__ import annotations

import sqlite3

from hive_core.context import Hive
from hive_fleet.agents import table


def allot(hive: Hive, db: sqlite3.Connection, name: str, pool: range | None) -> int | None:
    """The user that a new agent's processes run as; None where they all run as one.

    The files of a destroyed agent still belong to its user, so no other agent is given that user; an agent that is
    revived is given it again, and nothing has to change owner. pool: the users that the backend has for them.
    """
    if pool is None:
        return None
    living = {uid for uid in table.users(db).values() if uid is not None}
    kept = {path.parent.name: path.stat(follow_symlinks=False).st_uid for path in hive.settings.agents.glob("*/state")}
    # Only a number is looked for at once in a range: None would be compared with each of its users.
    own = kept.get(name, -1)
    if own in pool and own not in living:
        return own
    return pool.step + max([pool.start - pool.step, *(uid for uid in (*living, *kept.values()) if uid in pool)])
