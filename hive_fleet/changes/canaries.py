"""A canary: of several agents that are to be rebuilt the first, by which the rest is spared what would not live.

It is built with inputs as they would be, and has to live. The lock is moved only then, and that decides: before it
everything is to be as it was, after it everything is new. Until then nobody else is given what is tried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hive_core import progress
from hive_core.changes import Change, InProgress, Task
from hive_core.context import Hive
from hive_core.errors import HiveError, Invalid, Refused
from hive_fleet.agents.desired import wanted
from hive_fleet.agents.last_seen import after_operation
from hive_fleet.changes.building import BASE, build, built_with, configuration, deployed, switch
from hive_fleet.changes.locking import fleet
from hive_fleet.changes.rebuilds import Rebuilt, telling
from hive_fleet.changes.running import act, agree, before
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
        with telling(hive, name):
            act(hive, name, CANARY, entries=entries)
    except HiveError as error:
        return Rebuilt(name, False, f"{error} {_became(hive, name, entries, ran)}")
    return Rebuilt(name, True, None)


def _build(hive: Hive, doing: InProgress) -> None:
    lock = meta.lock_with(hive, doing.detail["entries"])
    build(hive, doing.agent, deployed(hive, doing.agent), lock)
    doing.detail[BASE] = lock.hive


def _switch(hive: Hive, doing: InProgress) -> None:
    name = doing.agent
    lock = meta.lock_with(hive, doing.detail["entries"])._replace(hive=doing.detail[BASE])
    switch(hive, name, deployed(hive, name), lock, run=wanted(hive, name))


def _settle(hive: Hive, doing: InProgress) -> None:
    name = doing.agent
    settle(hive, name, configuration(hive, name, deployed(hive, name)).settle_seconds)
    _require_wanted(hive, name)


def _move(hive: Hive, doing: InProgress) -> None:
    """Lock what it lives with, and tell of it in the transaction that ends all this."""
    entries = doing.detail["entries"]
    with meta.opened(hive, f"updating {', '.join(entries)}") as flake:
        flake.put(fleet(hive, flake), entries, [meta.agent_input(doing.agent)])
        flake.commit(f"lock update: {', '.join(entries)}")
    _end(hive, doing.agent, told=True)


def _end(hive: Hive, name: str, *, told: bool) -> None:
    """End it with what the container has now. told: whether the manager hears that it was rebuilt."""
    revision = deployed(hive, name)
    record_build = built_with(hive, name, revision)
    with progress.concluding(hive, name) as db:
        meta.announce(hive, db)
        record_build(db)
        if told:
            tell(hive, db, "rebuilt", name, ok=True, sha=revision)
        kick(db, name, "rebuilt")


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


# entries: of the lock, as they are to be.
CANARY = Change(
    f"{__name__}:CANARY",
    "rebuilding",
    _recover,
    after_operation,
    (Task("building", _build), Task("switching", _switch), Task("settling", _settle), Task("locking", _move)),
)
