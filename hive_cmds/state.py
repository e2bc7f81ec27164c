"""The state of everything, as of one event: what a page or a desktop client begins with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hive_core import __version__, progress
from hive_core.changes import InProgress
from hive_core.context import Hive
from hive_core.events import last_told, newest
from hive_core.human import count
from hive_core.operation import OPERATOR, operation
from hive_core.settings import Settings
from hive_fleet.agents import halt, last_seen
from hive_fleet.flake import staleness
from hive_fleet.messages import shown
from hive_fleet.needs import needs
from hive_fleet.requests import queue

# How many are shown of what is over, and of what was said; `approvals --all`, `questions --all`, `recent` tell more.
NEWEST = 50

Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class State:
    """Everything, as it was right after the event `seq`. Every list has the oldest first, but for agents by name.

    limits: how many rows there are at the most of what is over, and how many characters of a message.
    agents: as `container_state_changed` tells of each. operations: as `transient_set` and each `operation_step` do.
    approvals, decided: the requests that wait, and the newest decided ones. questions, answered: those asked of the
    operator. messages: what people and agents have said; system_messages: what the system has told.
    halted_at: when `hive estop` stopped everything, until it is lifted.
    tombstones, inputs: as last announced. fan_out: the agents that are rebuilt one after the other, or were last.
    needs: what needs the operator, acknowledged or not.
    """

    seq: int
    version: str
    settings: dict[str, Any]
    limits: dict[str, int]
    agents: Rows
    operations: Rows
    approvals: Rows
    decided: Rows
    questions: Rows
    answered: Rows
    messages: Rows
    system_messages: Rows
    tombstones: Rows
    inputs: Rows
    halted_at: int | None
    fan_out: Rows
    needs: Rows

    def text(self) -> str:
        """What there is, in a few words."""
        running = sum(1 for agent in self.agents if agent["running"])
        there = [
            f"{count(len(self.agents), 'agent')} ({running} running)",
            *(f"{row['name']} {row['transient_kind']}" for row in self.operations),
            count(len(self.approvals), "request"),
            count(len(self.questions), "question"),
            count(len(self.tombstones), "tombstone"),
        ]
        return f"as of event {self.seq}: {', '.join(there)}; `--json` tells all of it"


@operation(callers=OPERATOR, group="Seeing", reads=True)
def state(hive: Hive) -> State:
    """Show the state of everything as a program needs it: how it was right after the event `seq`.

    `hive events --since SEQ` tells what has changed since.
    """
    settings = _settings(hive.settings)
    with hive.store.read() as db:
        return State(
            seq=newest(db),
            version=__version__,
            settings=settings,
            limits={"rows": NEWEST, "characters": shown.SHOWN},
            agents=last_seen.shown(db),
            operations=[_in_progress(row) for _, row in sorted(progress.all_in_progress(db).items())],
            approvals=[queue.event_fields(row) for row in queue.waiting(db)],
            decided=[queue.outcome_fields(row) for row in queue.newest_decided(db, NEWEST)],
            questions=shown.waiting_questions(db),
            answered=shown.newest_answered(db, NEWEST),
            messages=shown.newest(db, NEWEST, of_the_system=False),
            system_messages=shown.newest(db, NEWEST, of_the_system=True),
            tombstones=(last_told(db, "tombstones_changed") or {}).get("tombstones", []),
            inputs=(last_told(db, "meta_inputs_changed") or {}).get("inputs", []),
            halted_at=None if (at := halt.since(db)) is None else int(at),
            fan_out=staleness.last_fan_out(db),
            needs=[need.wire() for need in needs.every(db)],
        )


def _settings(settings: Settings) -> dict[str, Any]:
    """How the operator wants things, as it holds now: no event tells of a change."""
    return {"home": str(settings.home), **settings.choices_or_defaults.values}


def _in_progress(row: InProgress) -> dict[str, Any]:
    begun = {"name": row.agent, "transient_kind": row.kind, "since_unix": int(row.since)}
    return {**begun, "steps": [step.told() for step in row.steps]}
