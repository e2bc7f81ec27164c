"""What operations carry out on agents: declared once, and found by whichever process has to mend what another began."""

from __future__ import annotations

import importlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from hive_core import steps
from hive_core.context import Hive
from hive_core.errors import BuildFailed, Refused
from hive_core.process import Owner
from hive_core.steps import Step, Steps


class InProgress(NamedTuple):
    """One operation in progress.

    since: unix seconds. change: the address of what is carried out. detail: its own. steps: how far it is.
    """

    agent: str
    kind: str
    since: float
    owner: Owner
    change: str
    detail: dict[str, Any]
    steps: Steps

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> InProgress:
        return cls(
            row["agent"],
            row["kind"],
            row["since"],
            Owner.from_json(row["owner"]),
            row["change"],
            json.loads(row["detail"]),
            steps.from_json(row["steps"]),
        )

    @property
    def step(self) -> Step | None:
        """The step that it is at; one that has failed while what it has left is being mended."""
        return steps.current(self.steps)


# What mends an operation that died half-way: takes the row, ends in all-new or all-old, says which.
# It may be killed itself and is then run again, so it looks at what is, never at how far it came.
Recovery = Callable[[Hive, InProgress], str]
# Looks at an agent before the last transaction of an operation on it, and returns what records in that what was seen.
Recorder = Callable[[sqlite3.Connection], None]
Ending = Callable[[Hive, str], Recorder]
Blame = Callable[[Hive, InProgress, BuildFailed], None]


class Task(NamedTuple):
    """One part of a change.

    work: what it does, given the row alone, as a recovery is: it needs nothing that dies with its process. What it
    hands on to those after it, it adds to the plan, in memory: done again, they are done in their order, too.
    step: how that is shown, in a word that fits behind "while"; None for what belongs to the step before it.
    needed: whether there is anything to do, where that is not always so; otherwise the step is skipped.
    """

    step: str | None
    work: Callable[[Hive, InProgress], None]
    needed: Callable[[Hive, InProgress], bool] | None = None


class Change(NamedTuple):
    """What operations carry out on an agent, declared once: whichever process has to mend one finds it by its address.

    address: `module:NAME` of the declaration itself, in hive_fleet. kind: what clients are shown: spawning, starting,
    stopping, restarting, rebuilding or destroying. recover: what mends it, where more than its row is left behind.
    end: what else becomes true in the transaction that ends it. tasks: what it does, one after the other.
    blame: what writes down that the configuration was at fault, before that is mended.
    """

    address: str
    kind: str
    recover: Recovery | None
    end: Ending
    tasks: tuple[Task, ...]
    blame: Blame | None = None

    @property
    def steps(self) -> tuple[str, ...]:
        """The names of its steps; the first begins with it."""
        return tuple(task.step for task in self.tasks if task.step is not None)

    def needed(self, hive: Hive, doing: InProgress) -> Iterator[Task]:
        """The tasks that there is something to do for; each is asked when those before it are done."""
        return (task for task in self.tasks if task.needed is None or task.needed(hive, doing))


def gone_on_with(outcome: str) -> Recovery:
    """The recovery of what is finished once it has begun: each of its tasks again, which is as good as once."""

    def recover(hive: Hive, left: InProgress) -> str:
        for task in find(left.change).needed(hive, left):
            task.work(hive, left)
        return outcome

    return recover


# Where changes are declared: nothing else is imported because a row says so.
_ROOM = "hive_fleet."


def find(address: str) -> Change:
    """The change that is declared at an address. Raises Refused where there is none."""
    module, _, name = address.partition(":")
    found = None
    if module.startswith(_ROOM):
        with suppress(ModuleNotFoundError):
            found = getattr(importlib.import_module(module), name, None)
    if not isinstance(found, Change):
        raise Refused(f"This hive knows no change {address!r}.", "Run the hive that has begun it.")
    return found
