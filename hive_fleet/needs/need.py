"""One thing that needs the operator, and the words of it."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any

from hive_core.arguments import Kind
from hive_core.errors import Invalid
from hive_core.human import elapsed, shorter
from hive_core.need_kinds import NEED_KINDS

# Characters of somebody's own words that are quoted; the command beside them shows all.
QUOTED = 200

_ID = re.compile(r"[a-z_]{1,40}(?:/[a-z0-9][a-z0-9/-]{0,99})?")


def need_id(value: object) -> str:
    """Check the id of a need: its kind, and after a '/' whose it is."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise Invalid(
            f"{ascii(value)[:80]} is not the id of something that needs you.",
            "`hive needs-you` shows them: request/7, crash/coder.",
        )
    return value


NeedId = Annotated[str, Kind(need_id, {"type": "string", "pattern": f"^{_ID.pattern}$"}, "ID", "needs")]


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that needs the operator. Times are unix seconds.

    id: its kind, and after a '/' whose it is: 'request/7', 'crash/coder', 'disk'. agent: whom it is about. since: when
    it was noticed. said: what there is, in hive's own words. quote: somebody else's words about it. command: what to
    type. weight: 3 where something that should go on does not, 2 where somebody waits, 1 where it can wait.
    acknowledged_at: when the operator said that they know; gone when anything of it changes.
    """

    kind: str
    subject: str
    agent: str | None
    said: str
    command: str
    quote: str | None = None
    since: int | None = None
    weight: int = 0
    acknowledged_at: int | None = None
    id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", f"{self.kind}/{self.subject}" if self.subject else self.kind)
        object.__setattr__(self, "weight", self.weight or NEED_KINDS[self.kind].weight)
        if self.quote is not None:
            object.__setattr__(self, "quote", shorter(self.quote, QUOTED) or None)

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> Need:
        kind, _, subject = row["id"].partition("/")
        names = ("agent", "said", "command", "quote", "since", "weight", "acknowledged_at")
        return cls(kind, subject, **{name: row[name] for name in names})

    def wire(self) -> dict[str, Any]:
        """The need as everything that shows it gets it; what is not there is absent."""
        fields = {
            "id": self.id,
            "kind": self.kind,
            "agent": self.agent,
            "since": self.since,
            "text": self.said,
            "quote": self.quote,
            "command": self.command,
            "weight": self.weight,
            "acknowledged_at": self.acknowledged_at,
        }
        return {name: value for name, value in fields.items() if value is not None}

    @property
    def content(self) -> tuple[object, ...]:
        """What may change of it: when anything does, it is no longer known to the operator."""
        return (self.agent, self.said, self.quote, self.command, self.weight)

    @property
    def ok(self) -> bool:
        """Whether the operator knows of it."""
        return self.acknowledged_at is not None

    @property
    def age(self) -> float:
        """For how long it has been there, in seconds."""
        return elapsed(self.since or 0)

    @property
    def detail(self) -> str:
        """What there is, with the words of whoever it is about."""
        known = " (acknowledged)" if self.ok else ""
        return self.said + (f": {self.quote}" if self.quote else "") + known

    @property
    def sentence(self) -> str:
        """What there is as a sentence of its own, without anybody's words but hive's."""
        return f"{self.agent} {self.said}" if NEED_KINDS[self.kind].of_agent else self.said

    def text(self) -> str:
        """It in a line."""
        return f"{self.id}: {self.detail}"


def kinds(found: Iterable[Need]) -> dict[str, int]:
    """How many there are of each kind, the gravest first."""
    return dict(Counter(need.kind for need in sorted(found, key=lambda need: -need.weight)))


def in_short(found: Iterable[Need]) -> str:
    """The same in a few words; none where there is nothing."""
    return ", ".join(f"{number} × {kind.replace('_', ' ')}" for kind, number in kinds(found).items())
