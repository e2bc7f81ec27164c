"""`hive status`: one agent in full, and why it is as it is."""

from __future__ import annotations

from hive_core.arguments import AgentName
from hive_core.context import Hive
from hive_core.operation import LOOKING_AFTER, operation
from hive_fleet.agents import condition
from hive_fleet.agents import status as statuses
from hive_fleet.agents.condition import Condition


@operation(callers=LOOKING_AFTER, group="Agents", reads=True)
def status(hive: Hive, name: AgentName) -> Condition:
    """Show how an agent is, and why: how its last run ended, how often it crashed lately, and what to do about it.

    name: which agent
    """
    return condition.of(hive, statuses.of(hive, name))
