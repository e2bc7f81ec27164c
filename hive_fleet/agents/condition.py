"""One agent in full: how it is, why, how often it crashed lately, and what it wrote last."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from hive_core import wire
from hive_core.containers.base import HARNESS_UNITS, Container
from hive_core.context import Hive
from hive_core.events import newest_about
from hive_core.human import ago
from hive_core.text import indented
from hive_fleet.agents import restarts, table, troubles
from hive_fleet.agents.ends import RunEnd, end_of
from hive_fleet.agents.restarts import Crash
from hive_fleet.agents.status import AgentStatus

LAST_LINES = 10


@dataclass(frozen=True, slots=True)
class Condition:
    """One agent. crashes: its newest, oldest first. end: how its last run ended, where it does not run. ended_at: when.
    lines: what it wrote last then."""

    agent: AgentStatus
    crashes: list[Crash]
    end: RunEnd | None
    ended_at: float | None
    lines: list[str]

    def wire(self) -> dict[str, Any]:
        """The status as `list` has it, and what explains it."""
        end = None if self.end is None or self.ended_at is None else {
            "reason": self.end.reason, "cause": self.end.cause, "code": self.end.code, "at": int(self.ended_at)
        }  # fmt: skip
        crashes = [{"at": int(crash.at), "cause": crash.cause} for crash in self.crashes]
        explained = {"crashes": crashes, "journal": self.lines, **({"end": end} if end else {})}
        return {**wire.plain(self.agent), **explained}

    def text(self) -> str:
        """It in a few lines, the last of which says what to do."""
        told = [self.agent.text()]
        if self.end is not None and self.ended_at is not None:
            told.append(f"ended {ago(self.ended_at)} ago: {self.end.cause}")
        if self.crashes:
            told.append(f"{restarts.explained(self.crashes)}, the last {ago(self.crashes[-1].at)} ago")
        if self.lines:
            told += ["the last that it wrote:", indented("\n".join(self.lines))]
        return "\n".join([*told, *self._advice()])

    def _advice(self) -> list[str]:
        agent, name = self.agent, self.agent.name
        if agent.crash_loop or agent.failed:
            return [f"`hive journal {name}` has more; `hive start {name}` starts it, and forgets its crashes"]
        if agent.stuck_since is not None:
            return [f"`hive nudge {name}` has it give up the turn, and take its message again"]
        needed = [f"{need.said}: `{need.command}`" for need in troubles.troubles(wire.plain(agent))]
        if agent.paused:
            needed.append(f"`hive resume {name}` has it start turns again")
        if not (agent.running or agent.halted or agent.operation or agent.unknown):
            needed.append(f"`hive start {name}` starts it")
        return needed


def of(hive: Hive, agent: AgentStatus) -> Condition:
    """What explains how an agent is."""
    container = hive.host.container(agent.name)
    with hive.store.read() as db:
        row = table.one(db, agent.name)
        killed = next(newest_about(db, agent.name, "killed", 1), None)
    end = _end(container, row, hive.clock())
    lines = hive.host.journal(agent.name, LAST_LINES, HARNESS_UNITS) if end is not None else []
    ended_at = container.ended.at if container is not None and container.ended is not None else None
    if end is not None and not agent.failed:
        how = killed.data.get("note") or "killed" if killed is not None else "stopped"
        end = end._replace(reason="asked_for", cause=f"asked for ({how})")
    return Condition(agent, restarts.remembered(row, hive.clock()), end, ended_at, lines)


def _end(container: Container | None, row: sqlite3.Row, now: float) -> RunEnd | None:
    if container is None or container.ended is None:
        return None
    return end_of(container.ended, row["state"], container.started_at, now)
