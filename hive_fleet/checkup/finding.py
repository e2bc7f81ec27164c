"""What a check finds, and the check itself: it looks, and some can mend what they find."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from hive_core import disk
from hive_core.context import Hive
from hive_core.errors import HiveError


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    ok: whether it is in order; None when it is missing, and is not needed. said: what there is. todo: what to do about
    it, as a command or in words; empty where there is nothing to do.
    """

    check: str
    ok: bool | None
    said: str
    todo: str = ""

    @property
    def detail(self) -> str:
        """What there is, and what to do."""
        return f"{self.said.rstrip('.')}: {self.todo}" if self.todo else self.said

    def wire(self) -> dict[str, Any]:
        """What is sent: what to do stands in the words, and by itself."""
        shown = {"check": self.check, "ok": self.ok, "detail": self.detail, "todo": self.todo or None}
        return {name: value for name, value in shown.items() if value is not None}


Findings = Iterator[Finding]


class Examination(NamedTuple):
    """One check, by its name. mend: puts right what it finds, where that is safe whatever runs."""

    name: str
    look: Callable[[Hive], Findings]
    mend: Callable[[Hive], object] | None = None

    def findings(self, hive: Hive) -> Findings:
        """What it finds. A check that fails becomes a finding, and the others are still made."""
        try:
            yield from self.look(hive)
        except (OSError, sqlite3.Error, HiveError) as error:
            known = error if isinstance(error, HiveError) else disk.refusal(error)
            yield Finding(self.name, False, f"could not be looked at: {known.message if known else error}")
