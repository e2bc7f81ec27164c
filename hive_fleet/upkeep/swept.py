"""What a part of the upkeep has removed, or would remove."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hive_core import disk
from hive_core.context import Hive
from hive_core.errors import HiveError

# Seconds.
DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Swept:
    """Of one thing: how much of it went, or would go.

    what: as 'messages', 'record of coder'. ok: False where something of it could not be done. count: how many, where
    they are counted. size: bytes. detail: what they are, or what was wrong.
    """

    what: str
    ok: bool | None
    count: int | None
    size: int
    detail: str

    @property
    def says_something(self) -> bool:
        return bool(self.count or self.size) or not self.ok


# Sweeps, or with True only looks.
Part = Callable[[Hive, bool], Iterator[Swept]]


def contained(what: str, sweep: Callable[[], Iterator[Swept]]) -> Iterator[Swept]:
    """What one part, or an agent's share in it, has swept. What it fails with is told, and the others go on."""
    try:
        yield from sweep()
    except (HiveError, OSError, sqlite3.Error) as error:
        known = error if isinstance(error, HiveError) else disk.told(error)
        yield Swept(what, False, None, 0, known.message if known else f"{type(error).__name__}: {error}")
