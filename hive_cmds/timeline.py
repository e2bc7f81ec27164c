"""What an agent has been through, in one look."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated

from hive_core.arguments import AgentName, whole
from hive_core.context import Hive
from hive_core.human import clock
from hive_core.operation import OPERATOR, operation
from hive_fleet.agents import table
from hive_fleet.events.timeline import Mark, Phase, marks, phases

Hours = Annotated[int, whole(1, 7 * 24, "the number of hours", "N")]


@dataclass(frozen=True, slots=True)
class Timeline:
    """What an agent has been through between two moments, in unix seconds.

    phases: how it was, each until the next begins. marks: what happened to it. Both have the oldest first.
    """

    name: str
    since: int
    until: int
    phases: list[Phase]
    marks: list[Mark]

    def text(self) -> str:
        told = [(one.at, one.state.replace("_", " ")) for one in self.phases]
        told += [(one.at, one.text) for one in self.marks]
        return "\n".join(f"{clock(max(at, self.since))}  {said}" for at, said in sorted(told))


@operation(callers=OPERATOR, group="Seeing", reads=True)
def timeline(hive: Hive, name: AgentName, hours: Hours = 24) -> Timeline:
    """Show what an agent has been through: when it ran, worked, crashed and was deployed.

    name: which agent
    hours: how far back, at most 168
    """
    until = time.time()
    since = until - hours * 3600
    with hive.store.read() as db:
        table.one(db, name)
        return Timeline(name, int(since), int(until), phases(db, name, since), marks(db, name, since))
