"""`hive history`: everything that was decided about an agent, and that happened to it, a line each."""

from __future__ import annotations

from typing import Annotated

from hive_core.arguments import AgentName, whole
from hive_core.context import Hive
from hive_core.operation import OPERATOR, operation
from hive_fleet.agents import table
from hive_fleet.requests import chronicle
from hive_fleet.requests.chronicle import Happening

HappeningCount = Annotated[int, whole(1, 10000, "the number of lines", "N")]


@operation(callers=OPERATOR, group="Seeing", reads=True)
def history(hive: Hive, name: AgentName, lines: HappeningCount = 50) -> list[Happening]:
    """Show what was decided about an agent and what happened to it: requests, deploys, starts, ends, crashes, logins.

    Decisions are told from git's tags as well, so that a lost database loses none; the rest goes back as far as events
    are kept. A destroyed agent's is there, too.

    name: which agent
    lines: how many, the newest
    """
    found = chronicle.of(hive, name, lines)
    if not found:
        with hive.store.read() as db:
            table.one(db, name)
    return found
