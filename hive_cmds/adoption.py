"""Taking back agents that a lost database knew: from git, which holds what was decided, and from their containers."""

from __future__ import annotations

from hive_core.context import Hive
from hive_core.operation import OPERATOR, operation
from hive_fleet.changes import adoptions
from hive_fleet.changes.adoptions import Adopted


@operation(
    callers=OPERATOR,
    group="Running",
    columns=("name", "ok", "error"),
    empty="The database knows every container.",
)
def adopt(hive: Hive) -> list[Adopted]:
    """Take back every agent that the database does not know, from git and the containers; a damaged one is set aside.

    They run on meanwhile. Commits that wait for a decision wait again; messages, questions and events are lost.
    """
    aside = hive.store.set_aside()
    if aside is not None:
        hive.say(f"the damaged database is {aside} now")
    return adoptions.adopt_all(hive)
