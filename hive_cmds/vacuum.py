"""`vacuum`: what is old or left over is removed, and the room given back to the disk."""

from __future__ import annotations

from contextlib import ExitStack

from hive_core import database_file
from hive_core.context import Hive
from hive_core.errors import Refused
from hive_core.human import size
from hive_core.operation import OPERATOR, operation
from hive_fleet.upkeep import sweeping
from hive_fleet.upkeep.swept import Swept


@operation(
    callers=OPERATOR,
    group="Running",
    columns=("what", "count", "size", "ok", "detail"),
    shell_only=True,
    empty="Nothing is old enough to be removed, and nothing is left over.",
)
def vacuum(hive: Hive, dry_run: bool = False, rewrite: bool = False) -> list[Swept]:
    """Remove what is old or left over, a little at a time, so that nobody waits; `hive up` does it every hour.

    dry_run: only say what would go, and how much
    rewrite: first rewrite an older hive's database so that its file can become smaller; who writes waits meanwhile
    """
    if dry_run:
        return [swept for swept in sweeping.sweep(hive, True) if swept.says_something]
    with ExitStack() as alone:
        try:
            alone.enter_context(hive.lone("vacuum", "hive vacuum"))
        except Refused as refused:
            if rewrite:
                raise
            # What is asked for is done: whoever comes by a timer of their own has not failed.
            return [Swept("everything", None, None, 0, f"left to another: {refused.message}")]
        if rewrite and database_file.rewrite(hive.store):
            hive.say(f"the database was rewritten: it has {size(database_file.space(hive.store).total)}")
        return [swept for swept in sweeping.sweep(hive, False) if swept.says_something]
