"""Checks that many operations on an agent begin with."""

from __future__ import annotations

from hive_agent import MANAGER
from hive_core.caller import Role
from hive_core.context import Hive
from hive_core.errors import Refused
from hive_fleet.agents import halt, table


def refuse_self(hive: Hive, name: str, verb: str) -> None:
    """Raises Refused where the manager would do this to itself: it could not undo it."""
    if hive.caller.role is Role.MANAGER and name == hive.caller.name:
        raise Refused(f"The manager cannot {verb} itself.", "Ask the operator.")


def refuse_manager(name: str, verb: str) -> None:
    """Raises Refused where this would be done to the manager, so that nobody does it by accident."""
    if name == MANAGER:
        raise Refused(f"The manager cannot be {verb}.", "`hive stop manager` stops it, if it should not run.")


def refuse_unknown(hive: Hive, name: str) -> None:
    """Raises NotFound unless there is such an agent."""
    with hive.store.read() as db:
        table.one(db, name)


def refuse_halted(hive: Hive) -> None:
    """Raises Refused while everything is stopped. Asked before anything is begun; whoever starts asks again."""
    with hive.store.read() as db:
        halt.refuse(db)


def refuse_bad_settings(hive: Hive) -> None:
    """Raises Refused for a `hive.toml` that cannot be used: asked before an agent is ended that is to start again."""
    _ = hive.settings.choices
