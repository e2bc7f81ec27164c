"""What the processes of a container are at: which there are, and how much of the processor they have used."""

from __future__ import annotations

from collections.abc import Iterable

from hive_core.containers.base import Activity
from hive_core.containers.local import cgroups
from hive_core.containers.local.tree import below
from hive_core.process import used_by

# So many processes are looked at: an agent that has more makes nobody wait for the look at the others.
MOST = 256


def of(supervisor: int, groups: Iterable[str]) -> Activity:
    """The processes in a container's control group; without one, all below its supervisor. At most MOST of them."""
    found = {pid for folder in groups for pid in cgroups.members(folder)} or set(below(supervisor, MOST))
    used = {pid: seconds for pid in sorted(found)[:MOST] if (seconds := used_by(pid)) is not None}
    return Activity(sum(used.values()), frozenset(used))
