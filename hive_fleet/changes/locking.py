"""What the meta flake is to name: every agent, and one that is being made only for its own spawn."""

from __future__ import annotations

from hive_core import progress
from hive_core.context import Hive
from hive_fleet.agents import table
from hive_fleet.flake import meta


def fleet(hive: Hive, flake: meta.Meta) -> list[str]:
    """The agents that the meta flake has as inputs.

    One that is being made is none before its own spawn has locked it: that decides whether it is there.
    """
    with hive.store.read() as db:
        names = table.names(db)
        making = {name for name, row in progress.all_in_progress(db).items() if row.kind == "spawning"}
    return [name for name in names if name not in making or flake.revision(meta.agent_input(name)) is not None]


def stage(hive: Hive, flake: meta.Meta, name: str) -> None:
    """Stage the newest commit of an agent's configuration; nothing is committed."""
    flake.stage(sorted({*fleet(hive, flake), name}), [meta.agent_input(name)])


def is_settled(hive: Hive, name: str, revision: str) -> bool:
    """Whether to stage an agent's revision, and to commit it, would change nothing; this needs no lock."""
    flake = meta.Meta(hive)
    return flake.is_settled(fleet(hive, flake), name, revision)
