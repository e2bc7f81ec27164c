"""`hive disk`: who uses how much of the disk."""

from __future__ import annotations

from hive_core.context import Hive
from hive_core.operation import OPERATOR, operation
from hive_fleet.upkeep.usage import Usage, usage


@operation(callers=OPERATOR, group="Seeing", columns=("of", "what", "size", "detail"), empty="Nothing was found.")
def disk(hive: Hive) -> list[Usage]:
    """Show who uses how much of the disk: the agents, the database by its tables, hive itself; and what is free."""
    return usage(hive)
