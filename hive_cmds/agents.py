"""`hive list`: every agent as it is now."""

from __future__ import annotations

from hive_core import disk
from hive_core.context import Hive
from hive_core.operation import LOOKING_AFTER, operation
from hive_core.trouble import TROUBLES
from hive_fleet.agents import halt, status, watch_state
from hive_fleet.agents.status import AgentStatus
from hive_fleet.agents.strays import all_strays
from hive_fleet.flake import staleness


@operation(
    callers=LOOKING_AFTER,
    group="Agents",
    columns=("name", "state", "badges", "deployed_sha", "url"),
    reads=True,
    empty="No agents yet. `hive request-spawn NAME` asks for one; `hive up` makes the manager and keeps watch.",
)
def list_(hive: Hive) -> list[AgentStatus]:
    """List the agents: how they are, what is deployed, where their page is."""
    try:
        known = status.of_all(hive)
    except TROUBLES as error:
        refused = disk.no_database(error)
        containers = hive.host.containers().values() if refused is not None else ()
        if refused is None or not containers:
            raise
        hive.say(f"warning: this is all that can be told without the database. {refused}")
        return [status.of_stray(container) for container in containers]
    with hive.store.read() as db:
        if halt.since(db) is not None:
            hive.say("note: everything is stopped since `hive estop`; `hive resume --all` starts it")
    if not watch_state.is_watched(hive) and any(agent.running for agent in known):
        hive.say("note: nobody watches, so that no crash is told and nobody restarted; `hive up` keeps watch")
    unknown = all_strays(hive)
    if unknown:
        hive.say(f"warning: the database does not know {', '.join(unknown)}; `hive adopt` takes back whom it has lost")
    if stale := [agent.name for agent in known if agent.needs_update]:
        hive.say(f"note: {staleness.notice(stale)}")
    return [*known, *map(status.of_stray, unknown.values())]
