"""Everything that an agent does is held up, and goes on: a pause between two turns, and the stop of all at once."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor, wait

from hive_core import disk
from hive_core.arguments import AgentName
from hive_core.context import Hive
from hive_core.errors import HiveError, Invalid, Refused
from hive_core.events import emit
from hive_core.human import count
from hive_core.operation import OPERATOR, operation
from hive_fleet.agents import halt, harness_state, last_seen, status, table
from hive_fleet.agents.refusals import refuse_bad_settings
from hive_fleet.agents.status import AgentStatus
from hive_fleet.changes import halting, starts
from hive_fleet.events.precondition import AsOf, require_unchanged, still_unchanged

COLUMNS = ("name", "state", "badges")
# Seconds for which a stop of everything waits until it is written down; then it stops everything all the same.
RECORDED_WITHIN = 1.0


@operation(callers=OPERATOR, group="Agents", columns=COLUMNS, empty="There is no agent with turns to pause.")
def pause(
    hive: Hive, name: AgentName | None = None, all: bool = False, as_of: AsOf | None = None
) -> AgentStatus | list[AgentStatus]:
    """Let an agent start no further turn; one that runs goes on to its end.

    name: which agent
    all: every agent that has turns
    as_of: refuse when anything was done to it after this event; the status page always sends what it showed
    """
    _refuse_all_as_of(as_of, all=all)
    if name is None or all:
        return [_pause(hive, each, True) for each in _everyone(hive, name, "pause", all=all)]
    require_unchanged(hive, name, as_of)
    with hive.store.read() as db:
        row = table.one(db, name)
    if row["runner"] == "command":
        hive.say(f"note: {name} runs a command of its own, which has no turns to pause: `hive stop {name}` stops it")
    return _pause(hive, name, True, as_of)


@operation(callers=OPERATOR, group="Agents", columns=COLUMNS, empty="There is no agent.")
def resume(
    hive: Hive, name: AgentName | None = None, all: bool = False, as_of: AsOf | None = None
) -> AgentStatus | list[AgentStatus]:
    """Let a paused agent start turns again; with --all every one, and what `hive estop` has stopped is started.

    name: which agent
    all: every agent, and those that `hive estop` has stopped are started
    as_of: refuse when anything was done to it after this event; the status page always sends what it showed
    """
    _refuse_all_as_of(as_of, all=all)
    if name is not None and not all:
        agent = _pause(hive, name, False, as_of)
        if agent.halted:
            hive.say(f"note: {name} was stopped by `hive estop`: `hive resume --all` starts it")
        return agent
    everyone = _everyone(hive, name, "resume", all=all)
    refuse_bad_settings(hive)
    for each in everyone:
        _pause(hive, each, False)
    with hive.store.write() as db:
        if halt.lift(db):
            emit(db, "resumed")
    _start_held_back(hive)
    return status.of_all(hive)


def _refuse_all_as_of(as_of: int | None, *, all: bool) -> None:
    if all and as_of is not None:
        raise Invalid("An event that was seen last is about one agent: give NAME and --as-of, or --all.")


@operation(callers=OPERATOR, group="Agents", columns=COLUMNS, empty="There is no agent.", at_once=True)
def estop(hive: Hive) -> list[AgentStatus]:
    """Kill every agent now, whatever is being done to it, and let nothing start before `hive resume --all`.

    It waits for no other command and asks nothing. Messages, state and configurations stay; what an agent was at is
    delivered to it again when it is started.
    """
    with ThreadPoolExecutor(1) as beside:
        # First, so that no watch takes the ends for crashes; but a database that is held up holds nothing up here.
        recorded = beside.submit(_record, hive)
        wait([recorded], RECORDED_WITHIN)
        ended = halting.end_all(hive)
        hive.say(f"{count(len(ended), 'agent')} ended" if ended else "no agent ran")
        try:
            recorded.result()
        except (OSError, sqlite3.Error, HiveError) as error:
            raise _not_recorded(error) from error
    # What was started before that was written down.
    ended |= halting.end_all(hive)
    halting.tell_ended(hive, [name for name, failed in ended.items() if failed is None])
    if stuck := {name: failed for name, failed in ended.items() if failed is not None}:
        told = " ".join(f"{name}: {failed}" for name, failed in sorted(stuck.items()))
        raise Refused(f"Not ended: {told}", "`hive estop` again tries again.")
    return status.of_all(hive)


def _record(hive: Hive) -> None:
    try:
        with hive.store.write() as db:
            again = halt.since(db) is not None
            names = halt.begin(db, hive.clock())
            if names or not again:
                emit(db, "halted", agents=names, halted_at=int(halt.since(db) or 0))
    finally:
        hive.store.close()


def _not_recorded(error: Exception) -> HiveError:
    told = disk.told(error)
    return Refused(
        "All agents were ended, but that could not be written down, so that a watch may start them again."
        f" {told.message if told else error}",
        "End `hive up` and `hive watch`, too, or make it writable and `hive estop` again.",
    )


def _start_held_back(hive: Hive) -> None:
    """Start whom only the halt had stopped, the manager first; one that fails stops no other. Raises Refused for it."""
    with hive.store.read() as db:
        names = halt.held_back(db)
    failed = []
    for name in names:
        try:
            starts.start(hive, name, looked_after=True)
        except HiveError as error:
            failed.append(f"{name} ({error.message})")
    if failed:
        raise Refused(f"Not started: {', '.join(failed)}", "`hive start NAME` tries again.")


def _everyone(hive: Hive, name: str | None, verb: str, *, all: bool) -> list[str]:
    if all == (name is not None):
        raise Invalid(f"{verb} takes either the name of an agent or --all.")
    with hive.store.read() as db:
        return [each for each, runner in table.runners(db).items() if runner != "command" or verb == "resume"]


def _pause(hive: Hive, name: str, paused: bool, as_of: int | None = None) -> AgentStatus:
    with hive.store.read() as db:
        still_unchanged(db, name, as_of)
        before = bool(table.one(db, name)["paused"])
    if before != paused:
        with last_seen.showing(hive, name) as db:
            still_unchanged(db, name, as_of)
            table.one(db, name)
            harness_state.pause(db, name, paused)
    return status.of(hive, name)
