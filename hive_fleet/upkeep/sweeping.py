"""The upkeep as a whole: its parts in the order that frees most with least room for itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from hive_core.context import Hive
from hive_fleet.upkeep import history, leftovers, repositories, reserve, turn_records
from hive_fleet.upkeep.swept import Part, Swept, contained

# What only removes files comes first: it needs no room, and the others have more of it then. A database needs some for
# its log, to pack a repository takes as much as the repository.
PARTS: dict[str, Part] = {
    "leftovers": leftovers.sweep,
    "records": turn_records.sweep,
    "history": history.sweep,
    "repositories": repositories.sweep,
}


def sweep(hive: Hive, dry: bool) -> Iterator[Swept]:
    """Do all of it, or with `dry` only say what would be done. What one part fails with stops no other."""
    if not dry:
        reserve.give(hive)
    for name, part in PARTS.items():
        yield from contained(name, partial(part, hive, dry))
    if not dry:
        reserve.keep(hive)
