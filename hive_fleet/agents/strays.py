"""Strays: containers that the database does not know, because it was lost or is damaged."""

from __future__ import annotations

from hive_core.containers.base import Container
from hive_core.context import Hive
from hive_core.errors import Damaged
from hive_fleet.agents import table


def all_strays(hive: Hive) -> dict[str, Container]:
    """The containers that the database does not know, by name."""
    before = hive.host.containers()
    try:
        with hive.store.read() as db:
            known = set(table.names(db))
    except Damaged:
        return before
    if before.keys() <= known:
        return {}
    # Asked again, as one may have been destroyed after the first answer.
    return {name: container for name, container in hive.host.containers().items() if name in before.keys() - known}


def is_stray(hive: Hive, name: str) -> bool:
    """Whether there is a container of this name that the database does not know; looks at no other."""
    if hive.host.container(name) is None:
        return False
    try:
        with hive.store.read() as db:
            known = name in table.names(db)
    except Damaged:
        return True
    # Asked again, as it may have been destroyed after the first answer.
    return not known and hive.host.container(name) is not None
