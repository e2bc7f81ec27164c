"""What is done to an agent as somebody has seen it: refused when something else was done to it since."""

from __future__ import annotations

import sqlite3
from typing import Annotated

from hive_core import events
from hive_core.arguments import whole
from hive_core.context import Hive
from hive_core.errors import Refused
from hive_core.operation import OPERATOR, Only
from hive_fleet.events.sentences import sentence

# What makes an agent another one than was seen: something is done to it, or it was removed.
CHANGING = ("transient_set", "container_removed")

AsOf = Annotated[int, whole(0, 2**63 - 1, "the seq of an event", "SEQ"), Only(OPERATOR)]


class NotAsShown(Refused):
    """Something was done to the agent since somebody saw it; what they asked for was not."""


def require_unchanged(hive: Hive, name: str, as_of: int | None) -> None:
    """Raises NotAsShown where something was done to the agent after the event `as_of`; None: as it is now, however.

    It holds for whoever holds the agent's lock; before that it only spares waiting for the lock.
    """
    if as_of is not None:
        with hive.store.read() as db:
            still_unchanged(db, name, as_of)


def still_unchanged(db: sqlite3.Connection, name: str, as_of: int | None) -> None:
    """The same in the caller's transaction, for what waits for no lock. Raises NotAsShown."""
    if as_of is None:
        return
    done = next(events.since(db, as_of, CHANGING, 1, agents=[name]), None)
    if done is not None:
        what = (sentence(done) or "changed").rstrip("…")
        raise NotAsShown(f"{name} is not as it was shown ({what}), and nothing was done.", "Look again.")
