"""`hive nudge`: a turn that makes no progress is ended, and its message taken again."""

from __future__ import annotations

import sqlite3
import time

from hive_core.arguments import AgentName
from hive_core.context import Hive
from hive_core.errors import HiveError, Refused
from hive_core.events import emit
from hive_core.operation import LOOKING_AFTER, operation
from hive_core.wake import Wake
from hive_fleet.agents import page, status, table
from hive_fleet.agents.harness_state import IN_TURN
from hive_fleet.agents.refusals import refuse_halted, refuse_self
from hive_fleet.agents.status import AgentStatus
from hive_fleet.changes import starts

# Seconds in which a harness lets go of a turn: its program is asked to end first, and killed after three.
PATIENCE = 10.0


@operation(callers=LOOKING_AFTER, group="Agents")
def nudge(hive: Hive, name: AgentName) -> AgentStatus:
    """Have an agent give up the turn it is in, and take its message again; if it does not, it is restarted for that.

    The message is marked as redelivered, and the turn counts as one that has failed: after five a message is given up.

    name: which agent
    """
    refuse_self(hive, name, "nudge")
    refuse_halted(hive)
    before = _in_turn(hive, name)
    how = "turn" if before["state"] in IN_TURN and _let_go(hive, name, before) else "restart"
    if how == "restart":
        hive.say(f"the harness of {name} does not answer: it is restarted")
        starts.restart(hive, name, grace=0)
    with hive.store.write() as db:
        emit(db, "nudged", agent=name, how=how)
    return status.of(hive, name)


def _in_turn(hive: Hive, name: str) -> sqlite3.Row:
    """The agent's row. Raises Refused unless it is in a turn, or stuck before one."""
    with hive.store.read() as db:
        row = table.one(db, name)
    if row["runner"] == "command":
        raise Refused(f"{name} runs a command of its own, which has no turns.", f"`hive restart {name}` restarts it.")
    container = hive.host.container(name)
    if container is None or not container.running:
        raise Refused(f"{name} is not running.", f"`hive start {name}` starts it.")
    if row["state"] not in IN_TURN and row["stuck_at"] is None:
        raise Refused(
            f"{name} is in no turn that it could give up.",
            f"`hive list` says how it is; `hive restart {name}` restarts it all the same.",
        )
    return row


def _let_go(hive: Hive, name: str, before: sqlite3.Row) -> bool:
    """Ask the harness to end the turn, by its page; whether it has in time."""
    with Wake(hive.store) as wake:
        try:
            if not page.post(page.reach_page(hive, name), "/api/nudge"):
                return False
        except HiveError:
            return False  # It has no page, or somebody else has its port.
        end = time.monotonic() + PATIENCE
        while (left := end - time.monotonic()) > 0:
            with hive.store.read() as db:
                row = table.find(db, name)
            if row is None or row["state"] not in IN_TURN or row["status_set_at"] != before["status_set_at"]:
                return True
            wake.wait(left)
    return False
