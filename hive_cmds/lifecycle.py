"""The lifecycle of an agent: start, stop, kill, restart, rebuild."""

from __future__ import annotations

import sqlite3

from hive_core import disk
from hive_core.arguments import AgentName
from hive_core.containers.base import GRACE
from hive_core.context import Hive
from hive_core.errors import Outdated, Refused
from hive_core.locks import Busy
from hive_core.operation import LOOKING_AFTER, OPERATOR, operation
from hive_core.progress import all_in_progress, carry_out, held_first
from hive_fleet.agents import status
from hive_fleet.agents.desired import want
from hive_fleet.agents.refusals import refuse_bad_settings, refuse_halted, refuse_self, refuse_unknown
from hive_fleet.agents.status import AgentStatus
from hive_fleet.agents.strays import is_stray
from hive_fleet.changes import starts
from hive_fleet.changes.rebuilds import rebuild_again
from hive_fleet.changes.running import STOPPING, before
from hive_fleet.events.precondition import AsOf, require_unchanged, still_unchanged
from hive_fleet.messages.messages import tell


@operation(callers=LOOKING_AFTER, group="Agents")
def start(hive: Hive, name: AgentName, as_of: AsOf | None = None) -> AgentStatus:
    """Start an agent's container; nothing happens when it runs.

    name: which agent
    as_of: refuse when anything was done to it after this event; the status page always sends what it showed
    """
    require_unchanged(hive, name, as_of)
    refuse_self(hive, name, "start")
    refuse_unknown(hive, name)
    refuse_halted(hive)
    refuse_bad_settings(hive)
    starts.start(hive, name, looked_after=True, as_of=as_of)
    return status.of(hive, name)


@operation(callers=OPERATOR, group="Agents")
def stop(hive: Hive, name: AgentName, as_of: AsOf | None = None) -> AgentStatus:
    """Stop an agent's container: it is asked to end, and killed when it does not within ten seconds.

    name: which agent
    as_of: refuse when anything was done to it after this event; the status page always sends what it showed
    """
    require_unchanged(hive, name, as_of)
    return _end(hive, name, grace=GRACE, note="stopped", as_of=as_of)


@operation(callers=LOOKING_AFTER, group="Agents", at_once=True)
def kill(hive: Hive, name: AgentName) -> AgentStatus:
    """Stop an agent's container at once.

    name: which agent
    """
    refuse_self(hive, name, "kill")
    return _end(hive, name, grace=0.0, note=None)


def _end(hive: Hive, name: str, *, grace: float, note: str | None, as_of: int | None = None) -> AgentStatus:
    try:
        if is_stray(hive, name):
            return _end_stray(hive, name, grace)
        refuse_unknown(hive, name)
        try:
            _end_recorded(hive, name, grace, note, as_of)
        except Busy as busy:
            _end_beside(hive, name, grace, note, as_of, busy.holder)
    except (OSError, sqlite3.OperationalError, Outdated) as error:
        refused = disk.no_database(error)
        if refused is None or name not in hive.host.containers():
            raise
        # An agent that has filled the disk must not escape being ended by that; nor by an update of hive.
        hive.host.end(name, grace=grace)
        how = error.hint if isinstance(error, Outdated) else "Make room, or make it writable."
        raise Refused(
            f"{name} was ended, but that could not be recorded. {refused.message}",
            f"{how} Then `hive stop {name}`; until then it counts as crashed.",
        ) from error
    return status.of(hive, name)


def _end_stray(hive: Hive, name: str, grace: float) -> AgentStatus:
    """End a container that the database does not know; nothing is recorded."""
    with hive.lock(name, "stopping"):
        hive.host.stop(name, grace=grace)
    hive.say(f"warning: that {name} was ended is recorded nowhere: the database does not know it, or is damaged")
    return status.of_stray(hive.host.containers()[name])


def _end_beside(hive: Hive, name: str, grace: float, note: str | None, as_of: int | None, holder: str) -> None:
    """End an agent that another command is at work on, without waiting for that command; it leaves the agent stopped.

    That it is to be stopped is recorded first. If the other command starts the container after that, it sees the
    record and ends it again; if it has started it before, the container is ended here.
    """
    with hive.store.write() as db:
        still_unchanged(db, name, as_of)
        want(db, name, "stopped")
        doing = all_in_progress(db).get(name)
    known = before(hive, name)
    hive.host.end(name, grace=grace)
    if known["ran"] and (doing is None or doing.kind != "stopping"):
        with hive.store.write() as db:
            tell(hive, db, "killed", name, note=note)
    hive.say(f"{name} was ended while another command is at it ({holder})")


def _end_recorded(hive: Hive, name: str, grace: float, note: str | None, as_of: int | None) -> None:
    # To mend an operation that was cut short may take long, or fail: that does not keep an agent from being ended.
    with held_first(hive, name, "stopping") as left:
        require_unchanged(hive, name, as_of)
        plan = {**before(hive, name), "note": note, "grace": grace}
        if left is None:
            carry_out(hive, name, STOPPING, plan)
            return
        with hive.store.write() as db:
            want(db, name, "stopped")
        hive.host.stop(name, grace=grace)
        if plan["ran"]:
            with hive.store.write() as db:
                tell(hive, db, "killed", name, note=note)


@operation(callers=LOOKING_AFTER, group="Agents")
def restart(hive: Hive, name: AgentName, as_of: AsOf | None = None) -> AgentStatus:
    """Stop an agent's container and start it again, with the configuration it has.

    name: which agent
    as_of: refuse when anything was done to it after this event; the status page always sends what it showed
    """
    require_unchanged(hive, name, as_of)
    refuse_self(hive, name, "restart")
    refuse_unknown(hive, name)
    refuse_halted(hive)
    refuse_bad_settings(hive)
    starts.restart(hive, name, grace=GRACE, as_of=as_of)
    return status.of(hive, name)


@operation(callers=OPERATOR, group="Agents")
def rebuild(hive: Hive, name: AgentName, as_of: AsOf | None = None) -> AgentStatus:
    """Build the deployed configuration again, on the base that the meta flake names, and restart the agent with it.

    name: which agent
    as_of: refuse when anything was done to it after this event; the status page always sends what it showed
    """
    require_unchanged(hive, name, as_of)
    refuse_unknown(hive, name)
    rebuild_again(hive, name, as_of)
    return status.of(hive, name)
