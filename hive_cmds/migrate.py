"""Migration: a layout made before the meta flake becomes this one, container by container."""

from __future__ import annotations

from hive_core.arguments import agent_name
from hive_core.context import Hive
from hive_core.operation import OPERATOR, operation
from hive_core.settings import MANAGER
from hive_fleet.agents import table
from hive_fleet.changes.rebuilds import Rebuilt
from hive_fleet.changes.takeovers import take_over

# There while a migration runs, so that one that was cut short is gone on with.
MARKER = "migrating"


@operation(
    callers=OPERATOR,
    group="Meta",
    columns=("name", "ok", "error"),
    empty="Nothing to take over: the meta flake has every agent.",
)
def migrate(hive: Hive) -> list[Rebuilt]:
    """Take over agents whose applied repositories were made before the meta flake; again is as good as once."""
    waiting = _waiting(hive)
    marker = hive.settings.home / MARKER
    if waiting:
        marker.touch()
    results = [take_over(hive, name) for name in waiting]
    marker.unlink(missing_ok=True)
    return results


def _waiting(hive: Hive) -> list[str]:
    """Applied repositories that no agent has yet, the manager's first.

    Once there is a meta flake, one that it does not name belongs to a destroyed agent; unless a migration
    was cut short.
    """
    settings = hive.settings
    if not settings.applied.exists() or (settings.meta.exists() and not (settings.home / MARKER).exists()):
        return []
    with hive.store.read() as db:
        known = set(table.names(db))
    found = [path.name for path in settings.applied.iterdir() if path.is_dir() and path.name not in known]
    return sorted((agent_name(name) for name in found), key=lambda name: (name != MANAGER, name))
