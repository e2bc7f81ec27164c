"""What operations carry out on agents: declared once, and found by whichever process has to mend what another began."""

from __future__ import annotations

import importlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from hive_core import steps
from hive_core.context import Hive
from hive_core.errors import Refused
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


class Change(NamedTuple):
    """What operations carry out on an agent, declared once: whichever process has to mend one finds it by its address.

    address: `module:NAME` of the declaration itself, in hive_fleet. kind: what clients are shown: spawning, starting,
    stopping, restarting, rebuilding or destroying. recover: what mends it, where more than its row is left behind.
    end: what else becomes true in the transaction that ends it. steps: what it does one after the other, each in a
    word that fits behind "while"; the first begins with it, `reach` tells of the others.
    """

    address: str
    kind: str
    recover: Recovery | None
    end: Ending
    steps: tuple[str, ...] = ()


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
