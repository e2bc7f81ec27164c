"""A look at agents: what is found is compared with the last look, recorded, and told, in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from hive_core.containers.base import Container
from hive_core.context import Hive
from hive_core.human import span
from hive_fleet.agents import last_seen, restarts
from hive_fleet.agents.ends import RunEnd
from hive_fleet.agents.last_seen import Picture, Seen
from hive_fleet.agents.observation import Observation, observe, overtaken
from hive_fleet.agents.status import AgentStatus
from hive_fleet.changes.settling import last_lines
from hive_fleet.messages.messages import tell
from hive_fleet.watching.held_containers import HeldContainers
from hive_fleet.watching.transitions import Verdict, transitions

# How many times in a row agents are looked at that changed while they were looked at.
ROUNDS = 5
# The end of a container that is not there any more.
GONE = RunEnd("gone", "its container is gone", None, None)


def look_at(
    hive: Hive, names: Iterable[str] | None, *, seed: bool = False, held: HeldContainers | None = None
) -> list[Verdict]:
    """Look at these agents, or at all, record how they are, and tell what has changed since the last look.

    An agent on which an operation began or ended meanwhile is looked at again, but not for ever.
    """
    verdicts: list[Verdict] = []
    for _ in range(ROUNDS):
        known = held.running() if held is not None and names is None else {}
        observation = observe(hive, names, known=known)
        lost = held.hold(observation, all_there_are=names is None) if held is not None else set()
        journals = {} if seed else _journals(hive, observation)
        found, missed = _conclude(hive, observation, journals, seed=seed)
        verdicts += found
        names = missed | lost
        if not names:
            break
    return verdicts


def _conclude(
    hive: Hive, observation: Observation, journals: Mapping[str, str], *, seed: bool
) -> tuple[list[Verdict], set[str]]:
    """Record an observation and tell what it means; returns also the agents for which it no longer holds.

    This is one transaction: an operation that ends meanwhile records its result either before or after it.
    """
    with hive.store.read() as db:
        picture, rows = last_seen.picture(hive, db, observation)
        if not overtaken(db, observation) and not last_seen.is_news(db, picture, rows):
            return [], set()
    with hive.store.write() as db:
        before = last_seen.last(db)
        picture, rows = last_seen.picture(hive, db, observation)
        verdicts = transitions(before, picture)
        # One whose end shows only now, because something else was recorded meanwhile: its journal was not read yet.
        missed = overtaken(db, observation) | (set() if seed else _crashed(verdicts) - journals.keys())
        told = [verdict for verdict in verdicts if verdict.agent not in missed and not seed]
        ended = _crashed(told) if not seed else _unwatched(before, picture)
        outlooks = {
            name: restarts.note(hive, db, name, picture[name].end or GONE, told=not seed)
            for name in ended
            if name not in missed
        }
        held = [_with_outlook(row, outlooks.get(row.name)) for row in rows if row.name not in missed]
        last_seen.record(db, picture, held)
        last_seen.forget_the_gone(db)
        for verdict in told:
            evidence = _evidence(journals, outlooks, verdict) if verdict.kind == "container_crash" else {}
            tell(hive, db, verdict.kind, verdict.agent, **verdict.fields, **evidence)
        _tell_loops(hive, db, outlooks)
    return told, missed


def _crashed(verdicts: list[Verdict]) -> set[str]:
    return {verdict.agent for verdict in verdicts if verdict.kind == "container_crash"}


def _evidence(journals: Mapping[str, str], outlooks: Mapping[str, restarts.Outlook], crash: Verdict) -> dict[str, Any]:
    """What is told with a crash: how many there were in the last hour, the last lines, and when the agent is restarted,
    which is not told again then."""
    outlook = outlooks[crash.agent]
    at = None if outlook.at is None else int(outlook.at)
    return {"lately": outlook.lately, "restart_at": at, "journal": journals[crash.agent]}


def _unwatched(before: Picture, now: Picture) -> set[str]:
    """The agents that ended while nobody watched: these are restarted, but not told of."""
    return {name for name in _crashed(transitions(before, now)) if not now[name].running}


def _with_outlook(row: AgentStatus, outlook: restarts.Outlook | None) -> AgentStatus:
    """The status of an agent, with what follows the crash that was found."""
    if outlook is None:
        return row
    return replace(row, restart_at=None if outlook.at is None else int(outlook.at), crash_loop=outlook.loop)


def _tell_loops(hive: Hive, db: sqlite3.Connection, outlooks: Mapping[str, restarts.Outlook]) -> None:
    for name, outlook in outlooks.items():
        if len(outlook.row) == restarts.LOOP and outlook.at is not None:
            note = f"{restarts.explained(outlook.row)}; the next try is in {span(outlook.at - hive.clock())}"
            tell(hive, db, "crash_loop", name, note=note, restart_at=int(outlook.at))


def _journals(hive: Hive, observation: Observation) -> dict[str, str]:
    """The last lines of every agent that has ended, or started anew, since the last look."""
    with hive.store.read() as db:
        before = last_seen.last(db)
    now = {name: seen.container for name, seen in observation.agents.items() if name in before and before[name].running}
    ended = {name: container for name, container in now.items() if not _same_start(container, before[name])}
    return {name: last_lines(hive, name, container) for name, container in ended.items()}


def _same_start(container: Container | None, seen: Seen) -> bool:
    return container is not None and container.running and container.instance == seen.instance
