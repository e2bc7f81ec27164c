"""What needs the operator: listed, counted for a prompt, acknowledged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hive_core.context import Hive
from hive_core.operation import OPERATOR, operation
from hive_fleet.needs import needs
from hive_fleet.needs.need import Need, NeedId, in_short, kinds


@dataclass(frozen=True, slots=True)
class Short:
    """How much needs the operator, for a prompt or a status bar."""

    needs: Sequence[Need]

    def wire(self) -> dict[str, Any]:
        """How many there are, how grave the gravest is (0: there is none), and how many of each kind."""
        weight = max((need.weight for need in self.needs), default=0)
        return {"count": len(self.needs), "weight": weight, "kinds": kinds(self.needs)}

    def text(self) -> str:
        """How many of each kind, the gravest first; nothing where nothing needs anybody."""
        return in_short(self.needs)

    @property
    def ok(self) -> bool:
        """Whether nothing needs the operator."""
        return not self.needs


@operation(
    callers=OPERATOR,
    group="Seeing",
    columns=("id", "age", "command", "detail"),
    reads=True,
    empty="Nothing needs you.",
)
def needs_you(hive: Hive, all: bool = False, short: bool = False) -> list[Need] | Short:
    """List what needs you, oldest first, with what to type; exit code 0 when nothing does, 1 when something does.

    all: also what you have acknowledged and is still there
    short: only how many of each kind, in a line, for a prompt or a status bar; nothing when nothing does
    """
    with hive.store.read() as db:
        found = needs.every(db) if all else needs.waiting(db)
    return Short([need for need in found if not need.ok]) if short else found


@operation(callers=OPERATOR, group="Seeing")
def acknowledge(hive: Hive, id: NeedId) -> Need:
    """Say that you know of something that needs you: it is listed no more until anything of it changes.

    id: which, as `hive needs-you` shows it
    """
    with hive.store.write() as db:
        return needs.acknowledge(db, id, int(hive.clock()))
