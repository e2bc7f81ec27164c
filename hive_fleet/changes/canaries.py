"""A canary: of several agents that are to be rebuilt the first, by which the rest is spared what would not live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hive_core.context import Hive
from hive_core.errors import HiveError, Invalid, Refused
from hive_fleet.agents.desired import wanted
from hive_fleet.changes.building import configuration
from hive_fleet.changes.rebuilds import Rebuilt, rebuild_one, tell_not_rebuilt
from hive_fleet.changes.settling import settle
from hive_fleet.flake import meta


def require(hive: Hive, name: str, going: Sequence[str]) -> None:
    """Raise Invalid for one that is not rebuilt anyway, Refused for one that does not run: it would show nothing."""
    if name not in going:
        raise Invalid(f"{name} is not rebuilt by that.", f"A canary is one of {', '.join(going)}.")
    if not wanted(hive, name):
        raise Refused(f"{name} is to be stopped: a canary has to run.", "Start it, or choose another.")


def tried(hive: Hive, name: str) -> Rebuilt:
    """Rebuild it, and see whether it lives as long as its configuration says that it has to."""
    from hive_core.git.repository import Repository

    result = rebuild_one(hive, name)
    if not result.ok:
        return result
    try:
        revision = Repository(hive.applied_path(name)).main()
        settle(hive, name, configuration(hive, name, revision).settle_seconds)
    except HiveError as error:
        tell_not_rebuilt(hive, name, error)
        return Rebuilt(name, False, str(error))
    return result


def take_back(hive: Hive, failed: Rebuilt, fleet: Sequence[str], nodes: Mapping[str, Any]) -> Rebuilt:
    """Have the lock and the canary be as they were; what became of it, with that in words.

    nodes: the entries of the lock that had been moved, as they were.
    """
    words = [str(failed.error), "No other agent was touched."]
    try:
        with meta.opened(hive, f"taking back what {failed.name} was a canary for") as flake:
            flake.put_back(fleet, nodes)
            flake.commit(f"lock update taken back: {failed.name} did not live")
        with hive.store.write() as db:
            meta.announce(hive, db)
        words.append("The lock is as it was.")
    except (HiveError, OSError) as error:
        words.append(f"The lock could not be put back: {error} `hive update --stale` rebuilds who is out of date then.")
    container = hive.host.container(failed.name)
    if container is None or not container.running or container.hive != meta.current_base(hive):
        again = rebuild_one(hive, failed.name)
        words.append(f"{failed.name} {'could not be' if again.error else 'was'} rebuilt with that.")
    return Rebuilt(failed.name, False, " ".join(words))
