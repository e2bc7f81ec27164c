"""Whom a caller may write to, and how much of it may wait there unread."""

from __future__ import annotations

import sqlite3
from typing import Annotated

from hive_core.arguments import Kind, agent_name
from hive_core.caller import THE_OPERATOR, Role
from hive_core.context import Hive
from hive_core.errors import Refused
from hive_fleet.agents import table
from hive_fleet.messages import inbox

EVERYBODY = "*"
# Unread messages of one sender that an inbox holds. Each sender is counted by itself, so that nobody can use up
# another's room, or learn how much others have written.
MOST_UNREAD_OF_ONE = 250


def recipient(value: object) -> str:
    """Check a recipient: an agent, the operator, or '*' for every agent."""
    if value in (THE_OPERATOR.name, EVERYBODY):
        return str(value)
    return agent_name(value)


Recipient = Annotated[str, Kind(recipient, {"type": "string"}, "TO", "recipients")]


def require_allowed(hive: Hive, db: sqlite3.Connection, name: str) -> None:
    """Raises Refused unless the caller's configuration lets it write to `name`, or to `*`.

    Everybody may write to itself.
    """
    if hive.caller.role is Role.OPERATOR or name == hive.caller.name:
        return
    allowed = table.allowed_recipients(db, hive.caller.name)
    if EVERYBODY not in allowed and name not in allowed:
        raise Refused(
            f"{hive.caller.name} may not write to {'everybody' if name == EVERYBODY else name}.",
            f"Its configuration allows: {', '.join(allowed) or 'nobody'} (allowed_recipients in agent.toml).",
        )


def require_inbox_room(hive: Hive, db: sqlite3.Connection, name: str) -> None:
    """Raises Refused when the caller is an agent, and the inbox of `name` holds too much unread of the caller's."""
    me = hive.caller
    if me.role is not Role.OPERATOR and inbox.unread_of(db, name, me.name) >= MOST_UNREAD_OF_ONE:
        raise Refused(
            f"{name} has {MOST_UNREAD_OF_ONE} unread messages of {me.name}, which is the most.",
            "Send it when some are read.",
        )
