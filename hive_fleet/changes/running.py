"""Starting, stopping and restarting an agent: told as what has really happened, also after a kill in the middle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hive_core import disk, progress
from hive_core.changes import Change, InProgress
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_core.events import emit
from hive_core.progress import held, recorded
from hive_fleet.agents import table
from hive_fleet.agents.last_seen import after_operation
from hive_fleet.changes.building import ensure_container
from hive_fleet.events.precondition import require_unchanged
from hive_fleet.messages.messages import kick, tell

# What each operation tells when it is done, and the word that an agent that runs anew is kicked with.
TOLD = {"starting": "started", "restarting": "restarted", "stopping": "killed"}


@contextmanager
def acting_on(
    hive: Hive, name: str, change: Change, as_of: int | None = None, **detail: Any
) -> Iterator[dict[str, Any]]:
    """Be the one operation on this agent; the block and the recovery are given what `tell_what_happened` goes by.

    as_of: the event after which nothing may have been done to it. Raises NotAsShown.
    """
    with held(hive, name, change.kind):
        require_unchanged(hive, name, as_of)
        known = {**before(hive, name), **detail}
        with recorded(hive, name, change, known):
            yield known


def before(hive: Hive, name: str) -> dict[str, Any]:
    """How the container is before an operation, so that it can be told afterwards what has become of it."""
    container = hive.host.container(name)
    return {
        "ran": container is not None and container.running,
        "started_at": container.started_at if container is not None else None,
    }


def tell_what_happened(hive: Hive, name: str, kind: str, known: Mapping[str, Any]) -> None:
    """Tell of a start, a restart or a stop what has really happened, in the transaction that ends it.

    An operation ends with it, and so does the recovery of one that was killed: nothing is told twice or never.
    known: how the container was before. quiet: the manager knows already. note: more to tell.
    """
    now = before(hive, name)
    happened = known["ran"] and not now["ran"] if kind == "stopping" else now["started_at"] != known["started_at"]
    end = progress.ending(hive, name)
    with hive.store.write() as db:
        if happened and known.get("quiet"):
            emit(db, TOLD[kind], agent=name)
        elif happened:
            tell(hive, db, TOLD[kind], name, note=known.get("note"))
        if happened and kind != "stopping":
            kick(db, name, TOLD[kind])
        end(db)


def agree(hive: Hive, left: InProgress, base: str | None = None) -> str:
    """Make the container agree with what the operator wants and what is deployed: mends all but builds.

    base: the revision of hive that it has to be of, where that matters.
    Where that cannot be done the container stays as it is, and shows as failed if it should run: whatever
    keeps it from starting must not keep the operator from every other command.
    """
    from hive_core.git.repository import Repository

    with hive.store.read() as db:
        known = left.agent in table.names(db)
    if not known:
        # Destroyed while whoever began this waited for the lock: there is nothing to agree on.
        return "destroyed"
    try:
        ensure_container(hive, left.agent, Repository(hive.applied_path(left.agent)).main(), base, left=left)
    except HiveError as error:
        if error.__cause__ is not None and disk.refusal(error.__cause__):
            raise  # The machine's trouble passes, and then this can be done: it is tried again.
        hive.say(f"warning: {left.agent} stays as it is: {error.message}")
        return f"left as it is: {error.message}"
    if left.kind in TOLD and "started_at" in left.detail:
        tell_what_happened(hive, left.agent, left.kind, left.detail)
    return "agreed"


STARTING = Change(f"{__name__}:STARTING", "starting", agree, after_operation)
STOPPING = Change(f"{__name__}:STOPPING", "stopping", agree, after_operation)
RESTARTING = Change(f"{__name__}:RESTARTING", "restarting", agree, after_operation, ("stopping", "starting"))
# Stopped until the next `hive up`: one that was not has nothing to be mended.
RESTING = Change(f"{__name__}:RESTING", "stopping", None, after_operation)
