"""The users that agents run as: where hive is root, each agent has one of its own."""

from __future__ import annotations

import os
import sqlite3

from hive_core.context import Hive
from hive_fleet.agents import table

# As root every agent runs as a user of its own, from here upward; the numbers belong to no account.
FIRST_UID = 700_000


def allot(hive: Hive, db: sqlite3.Connection, name: str) -> int | None:
    """The user that a new agent's processes run as; None where hive is not root and cannot switch users.

    The files of a destroyed agent still belong to its user, so no other agent is given that user; an agent that is
    revived is given it again, and nothing has to change owner.
    """
    if os.geteuid() != 0:
        return None
    living = {uid for uid in table.users(db).values() if uid is not None}
    kept = {path.parent.name: path.stat(follow_symlinks=False).st_uid for path in hive.settings.agents.glob("*/state")}
    ours = range(FIRST_UID, FIRST_UID + 1_000_000)
    if kept.get(name) in ours and kept[name] not in living:
        return kept[name]
    return 1 + max([FIRST_UID - 1, *living, *(uid for uid in kept.values() if uid in ours)])
