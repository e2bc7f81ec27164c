"""`hive journal`: what an agent's container wrote. Only the journal of an agent's own container can be read by it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from hive_core.arguments import AgentName, choice, whole
from hive_core.context import Hive
from hive_core.errors import NotFound
from hive_core.operation import LOOKING_AFTER, OPERATOR, Only, operation
from hive_fleet.agents import table

UNITS = ("hive-agent.service", "hive-manager.service")
MOST_LINES = 5000

LineCount = Annotated[int, whole(1, MOST_LINES, "the number of lines", "N")]
Unit = Annotated[str, choice(UNITS, "a unit of the harness", "UNIT")]


@operation(callers=LOOKING_AFTER, group="Seeing", reads=True, empty="It has written nothing yet.")
def journal(
    hive: Hive,
    name: AgentName,
    unit: Unit | None = None,
    lines: LineCount = 100,
    follow: Annotated[bool, Only(OPERATOR)] = False,
) -> list[str] | Iterator[str]:
    """Show the last lines of an agent's journal.

    name: whose journal
    unit: only what this unit wrote, hive-agent.service or hive-manager.service; without it everything
    lines: how many, at most 5000
    follow: go on and show further lines as they are written
    """
    if hive.host.container(name) is None:
        with hive.store.read() as db:
            table.one(db, name)
        raise NotFound(f"{name} has no container.", f"`hive start {name}` makes it.")
    if follow:
        return hive.host.follow_journal(name, lines, unit)
    return hive.host.journal(name, lines, unit)
