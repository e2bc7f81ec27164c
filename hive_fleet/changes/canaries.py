"""A canary: of several agents that are to be rebuilt the first, by which the rest is spared what would not live.

It is built with inputs as they would be, and has to live. The lock is moved only then, and that decides: before it
everything is to be as it was, after it everything is new. Until then nobody else is given what is tried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hive_core.changes import Change, InProgress
from hive_core.context import Hive
from hive_core.errors import HiveError, Invalid, Refused
from hive_core.progress import ending, reach
from hive_fleet.agents.desired import wanted
from hive_fleet.agents.last_seen import after_operation
from hive_fleet.changes.building import build_and_switch, built_with, configuration
from hive_fleet.changes.deploys import fleet
from hive_fleet.changes.rebuilds import Rebuilt, telling
from hive_fleet.changes.running import acting_on, agree, before
from hive_fleet.changes.settling import settle
from hive_fleet.flake import meta
from hive_fleet.messages.messages import kick, tell


def require(hive: Hive, name: str, going: Sequence[str]) -> None:
    """Raise Invalid for one that is not rebuilt anyway, Refused for one that does not run: it would show nothing."""
    if name not in going:
        raise Invalid(f"{name} is not rebuilt by that.", f"A canary is one of {', '.join(going)}.")
    _require_wanted(hive, name)


def _require_wanted(hive: Hive, name: str) -> None:
    if not wanted(hive, name):
        raise Refused(f"{name} is to be stopped: a canary has to run.", "Start it, or choose another.")


def tried(hive: Hive, name: str, inputs: Sequence[str]) -> Rebuilt:
    """Have it live as long as its configuration says that it has to, with newer inputs; then move these in the lock."""
    entries, ran = meta.Meta(hive).newest(inputs), before(hive, name)
    try:
        with telling(hive, name), acting_on(hive, name, CANARY, entries=entries):
            _live(hive, name, entries)
            _move(hive, name, entries)
    except HiveError as error:
        return Rebuilt(name, False, f"{error} {_became(hive, name, entries, ran)}")
    return Rebuilt(name, True, None)


def _live(hive: Hive, name: str, entries: meta.Entries) -> None:
    from hive_core.git.repository import Repository

    revision = Repository(hive.applied_path(name)).main()
    build_and_switch(hive, name, revision, run=wanted(hive, name), lock=meta.lock_with(hive, entries))
    reach(hive, name, "settling")
    settle(hive, name, configuration(hive, name, revision).settle_seconds)
    _require_wanted(hive, name)


def _move(hive: Hive, name: str, entries: meta.Entries) -> None:
    """Lock what it lives with, and tell of it in the transaction that ends all this."""
    reach(hive, name, "locking")
    with meta.opened(hive, f"updating {', '.join(entries)}") as flake:
        flake.put(fleet(hive), entries, [meta.agent_input(name)])
        flake.commit(f"lock update: {', '.join(entries)}")
    _end(hive, name, told=True)


def _end(hive: Hive, name: str, *, told: bool) -> None:
    """End it with what the container has now. told: whether the manager hears that it was rebuilt."""
    from hive_core.git.repository import Repository

    revision = Repository(hive.applied_path(name)).main()
    record_build, end = built_with(hive, name, revision), ending(hive, name)
    with hive.store.write() as db:
        meta.announce(hive, db)
        record_build(db)
        if told:
            tell(hive, db, "rebuilt", name, ok=True, sha=revision)
        kick(db, name, "rebuilt")
        end(db)


def _recover(hive: Hive, left: InProgress) -> str:
    """Make lock and container agree: where the lock has not moved, nobody has seen it live."""
    name = left.agent
    with meta.opened(hive, f"mending {name}") as flake:
        new = flake.has(left.detail["entries"])
    outcome = agree(hive, left, base=meta.current_base(hive))
    if outcome == "agreed" and before(hive, name)["started_at"] != left.detail["started_at"]:
        # Of what fails while its owner lives, that tells.
        _end(hive, name, told=new or not left.owner.alive())
    return "moved" if new else outcome


def _became(hive: Hive, name: str, entries: meta.Entries, ran: Mapping[str, Any]) -> str:
    """What became of a canary that failed, and of the lock."""
    base, container = meta.current_base(hive), hive.host.container(name)
    words = ["No other agent was touched."]
    if meta.Meta(hive).has(entries):
        words.append("The lock has moved; `hive update --stale` rebuilds who is out of date.")
    else:
        words.append("The lock is as it was.")
    if container is None or not container.running or container.hive != base:
        words.append(f"{name} could not be rebuilt with that.")
    elif container.started_at != ran["started_at"]:
        words.append(f"{name} was rebuilt with that.")
    return " ".join(words)


CANARY = Change(
    f"{__name__}:CANARY", "rebuilding", _recover, after_operation, ("building", "switching", "settling", "locking")
)
