"""Starting, stopping and restarting an agent: told as what has really happened, also after a kill in the middle."""

from __future__ import annotations

from typing import Any

from hive_core import disk, progress
from hive_core.changes import Change, InProgress, Task
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_core.events import emit
from hive_fleet.agents import desired, halt, restarts, table
from hive_fleet.agents.last_seen import after_operation
from hive_fleet.changes.building import deployed, ensure_container, start_container
from hive_fleet.events.precondition import require_unchanged
from hive_fleet.messages.messages import kick, tell

# What each operation tells when it is done, and the word that an agent that runs anew is kicked with.
TOLD = {"starting": "started", "restarting": "restarted", "stopping": "killed"}


def act(hive: Hive, name: str, change: Change, as_of: int | None = None, **more: Any) -> None:
    """Carry out a change on an agent, which is held for it; its plan is how the container is before, and `more`.

    as_of: the event after which nothing may have been done to it. Raises NotAsShown.
    """
    with progress.held(hive, name, change.kind):
        require_unchanged(hive, name, as_of)
        progress.carry_out(hive, name, change, {**before(hive, name), **more})


def before(hive: Hive, name: str) -> dict[str, Any]:
    """How the container is before an operation, so that it can be told afterwards what has become of it."""
    container = hive.host.container(name)
    return {
        "ran": container is not None and container.running,
        "started_at": container.started_at if container is not None else None,
    }


def _tell_what_happened(hive: Hive, doing: InProgress) -> None:
    """Tell of a start, a restart or a stop what has really happened, in the transaction that ends it.

    An operation ends with it, and so does the recovery of one that was killed: nothing is told twice or never.
    Its plan says how the container was before. quiet: the manager knows already. note: more to tell.
    """
    name, kind, known = doing.agent, doing.kind, doing.detail
    now = before(hive, name)
    happened = known["ran"] and not now["ran"] if kind == "stopping" else now["started_at"] != known["started_at"]
    with progress.concluding(hive, name) as db:
        if happened and known.get("quiet"):
            emit(db, TOLD[kind], agent=name)
        elif happened:
            tell(hive, db, TOLD[kind], name, note=known.get("note"))
        if happened and kind != "stopping":
            kick(db, name, TOLD[kind])


def agree(hive: Hive, left: InProgress, base: str | None = None) -> str:
    """Make the container agree with what the operator wants and what is deployed: mends all but builds.

    base: the revision of hive that it has to be of, where that matters.
    Where that cannot be done the container stays as it is, and shows as failed if it should run: whatever
    keeps it from starting must not keep the operator from every other command.
    """
    with hive.store.read() as db:
        known = left.agent in table.names(db)
    if not known:
        # Destroyed while whoever began this waited for the lock: there is nothing to agree on.
        return "destroyed"
    try:
        ensure_container(hive, left.agent, deployed(hive, left.agent), base, left=left)
    except HiveError as error:
        if error.__cause__ is not None and disk.refusal(error.__cause__):
            raise  # The machine's trouble passes, and then this can be done: it is tried again.
        hive.say(f"warning: {left.agent} stays as it is: {error.message}")
        return f"left as it is: {error.message}"
    if left.kind in TOLD and "started_at" in left.detail:
        _tell_what_happened(hive, left)
    return "agreed"


def _want_running(hive: Hive, doing: InProgress) -> None:
    """Refused in a halt. looked_after: somebody has looked after the agent; else its crashes go on being counted."""
    with hive.store.write() as db:
        halt.refuse(db)
        desired.want(db, doing.agent, desired.RUNNING)
        if doing.detail["looked_after"]:
            restarts.forget(db, doing.agent)


def _want_stopped(hive: Hive, doing: InProgress) -> None:
    with hive.store.write() as db:
        desired.want(db, doing.agent, desired.STOPPED)


def _want_at_rest(hive: Hive, doing: InProgress) -> None:
    with hive.store.write() as db:
        desired.record(db, doing.agent, desired.RESTING)


def _stop(hive: Hive, doing: InProgress) -> None:
    """grace: the seconds that it has to end by itself."""
    hive.host.stop(doing.agent, grace=doing.detail["grace"])


def _start(hive: Hive, doing: InProgress) -> None:
    start_container(hive, doing.agent)


def _did_not_run(_hive: Hive, doing: InProgress) -> bool:
    return not doing.detail["ran"]


def _is_wanted(hive: Hive, doing: InProgress) -> bool:
    return desired.wanted(hive, doing.agent)


STARTING = Change(
    f"{__name__}:STARTING",
    "starting",
    agree,
    after_operation,
    (Task(None, _want_running), Task(None, _start, _did_not_run), Task(None, _tell_what_happened)),
)
STOPPING = Change(
    f"{__name__}:STOPPING",
    "stopping",
    agree,
    after_operation,
    (Task(None, _want_stopped), Task(None, _stop), Task(None, _tell_what_happened)),
)
RESTARTING = Change(
    f"{__name__}:RESTARTING",
    "restarting",
    agree,
    after_operation,
    (Task("stopping", _want_running), Task(None, _stop), Task("starting", _start), Task(None, _tell_what_happened)),
)
# Started again only if it was to run: nobody has asked for it.
RECONNECTING = Change(
    f"{__name__}:RECONNECTING",
    "restarting",
    agree,
    after_operation,
    (Task("stopping", _stop), Task("starting", _start, _is_wanted), Task(None, _tell_what_happened)),
)
# Stopped until the next `hive up`: one that was not has nothing to be mended.
RESTING = Change(
    f"{__name__}:RESTING", "stopping", None, after_operation, (Task(None, _want_at_rest), Task(None, _stop))
)
