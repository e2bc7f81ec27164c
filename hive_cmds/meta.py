"""The meta flake: what every agent is built from, moving that, and taking over what was made before there was one."""

from __future__ import annotations

from typing import Annotated

from hive_agent import MANAGER
from hive_core.arguments import AgentName, agent_name
from hive_core.context import Hive
from hive_core.errors import HiveError, Invalid, Refused
from hive_core.operation import CONTAINERS, LOOKING_AFTER, OPERATOR, Needed, Only, operation
from hive_core.side_by_side import side_by_side
from hive_fleet.agents import table
from hive_fleet.agents.refusals import refuse_self
from hive_fleet.changes import canaries
from hive_fleet.changes.locking import fleet
from hive_fleet.changes.rebuilds import Rebuilt, build_together, rebuild_one
from hive_fleet.changes.takeovers import take_over
from hive_fleet.flake import meta, staleness
from hive_fleet.flake.meta import Input

InputName = Annotated[str, meta.INPUT]
# A file that exists while a migration runs: one that was cut short is continued.
MARKER = "migrating"


@operation(
    callers=OPERATOR,
    group="Meta",
    columns=("name", "rev", "age", "url"),
    empty="No inputs yet: they come with the first agent. `hive up` makes the manager, `hive spawn NAME` an agent.",
)
def inputs(hive: Hive) -> list[Input]:
    """List the inputs of the meta flake: what every agent is built from."""
    return meta.rows(hive)


@operation(
    callers=OPERATOR,
    group="Meta",
    columns=("name", "ok", "error"),
    empty="No agent had to be rebuilt: there is none yet.",
)
def meta_update(hive: Hive, inputs: list[InputName], canary: AgentName | None = None) -> list[Rebuilt]:
    """Move inputs of the meta flake to their newest commits, then rebuild the agents built from them.

    inputs: `hive` (rebuilds every agent) or `agent-NAME`, as `hive inputs` lists them
    canary: which of them comes first; unless it lives nothing moves, and no other agent is touched
    """
    chosen = sorted(set(inputs), key=lambda name: (name != meta.HIVE_INPUT, name))
    with hive.store.read() as db:
        names = table.names(db)
    meta.require_inputs(names, chosen)
    going = names if meta.HIVE_INPUT in chosen else [name.removeprefix("agent-") for name in chosen]
    if canary is not None:
        canaries.require(hive, canary, going)
    with staleness.rebuilding(hive, going) as fan_out:
        if canary is None:
            _move(hive, chosen)
            return _rebuild_each(hive, going, fan_out)
        hive.say(f"rebuilding {canary}, the canary (1 of {len(going)})")
        first = canaries.tried(hive, canary, chosen)
        fan_out.done(canary, first.error)
        rest = [name for name in going if name != canary]
        return [first, *(_rebuild_each(hive, rest, fan_out, first=2) if first.ok else [])]


def _move(hive: Hive, chosen: list[str]) -> None:
    """Move inputs in the lock."""
    with meta.opened(hive, f"updating {', '.join(chosen)}") as flake:
        flake.stage(fleet(hive, flake), chosen)
        flake.commit(f"lock update: {', '.join(chosen)}")
    with hive.store.write() as db:
        meta.announce(hive, db)


def _rebuild_each(hive: Hive, names: list[str], fan_out: staleness.FanOut, *, first: int = 1) -> list[Rebuilt]:
    """Rebuild agents, begun in their order, and say which one it is."""
    build_together(hive, names)
    counted = enumerate(names, first)

    def begin() -> str:
        count, name = next(counted)
        hive.say(f"rebuilding {name} ({count} of {len(names) + first - 1})")
        return name

    def carry_out(name: str) -> Rebuilt:
        result = rebuild_one(hive, name)
        fan_out.done(name, result.error)
        return result

    return side_by_side(len(names), begin, carry_out)


@operation(
    callers=LOOKING_AFTER, group="Agents", columns=("name", "ok", "error"), empty="Every agent is up to date already."
)
def update(
    hive: Hive,
    name: Annotated[AgentName | None, Needed(CONTAINERS)] = None,
    stale: Annotated[bool, Only(OPERATOR)] = False,
) -> list[Rebuilt]:
    """Rebuild an agent so that it is up to date; again is as good as once.

    name: which agent
    stale: instead of one agent: move the input `hive` once, then rebuild every agent that was built from another
    """
    if stale == (name is not None):
        raise Invalid("update takes either the name of an agent or --stale.")
    if name is None:
        return _update_stale(hive)
    refuse_self(hive, name, "update")
    with hive.store.read() as db:
        table.one(db, name)
    result = rebuild_one(hive, name)
    if result.error is not None:
        raise Refused(f"{name} was not rebuilt: {result.error}")
    return [result]


def _update_stale(hive: Hive) -> list[Rebuilt]:
    """Move the input `hive` once, then rebuild every agent that was built from another; a failed move stops nothing."""
    with hive.store.read() as db:
        names = table.names(db)
    with staleness.rebuilding(hive, names) as fan_out:
        try:
            _move(hive, [meta.HIVE_INPUT])
        except (HiveError, OSError) as error:
            hive.say(f"warning: the input hive could not be moved: {error}")
        base = meta.current_base(hive)
        with hive.store.read() as db:
            names = table.built_with_another(db, base)
        fan_out.choose(names)
        return _rebuild_each(hive, names, fan_out)


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

    Once there is a meta flake, a repository that it does not name belongs to a destroyed agent, unless a migration was
    cut short.
    """
    settings = hive.settings
    if not settings.applied.exists() or (settings.meta.exists() and not (settings.home / MARKER).exists()):
        return []
    with hive.store.read() as db:
        known = set(table.names(db))
    found = [path.name for path in settings.applied.iterdir() if path.is_dir() and path.name not in known]
    return sorted((agent_name(name) for name in found), key=lambda name: (name != MANAGER, name))
