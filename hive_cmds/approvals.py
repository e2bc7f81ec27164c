"""The approval queue: asking for a change, seeing exactly what it is, and deciding it once."""

from __future__ import annotations

import sqlite3
from typing import Annotated

from hive_core import progress
from hive_core.arguments import AgentName, Also, Description, NewAgentName, Note, Sha
from hive_core.caller import Role
from hive_core.context import Hive
from hive_core.errors import NotFound, Refused
from hive_core.operation import LOOKING_AFTER, OPERATOR, operation
from hive_fleet.agents import table
from hive_fleet.agents.tombstones import RevivedName, all_tombstones
from hive_fleet.changes import deploys, spawns
from hive_fleet.requests import denials, proposals, queue
from hive_fleet.requests.request import PendingId, Request


@operation(callers=LOOKING_AFTER, group="Approvals")
def request_commit(
    hive: Hive, agent: AgentName, sha: Annotated[Sha, Also("commit_ref")], description: Description | None = None
) -> Request:
    """Ask for a commit of an agent's proposed configuration to be deployed.

    agent: whose configuration it is
    sha: the commit, 7 to 40 hex digits; it is fetched now, and from then on only that object counts
    description: why, for the operator to read
    """
    with hive.store.read() as db:
        table.one(db, agent)
        queue.require_room(hive, db)
    return proposals.request(hive, agent, sha, description)


@operation(callers=LOOKING_AFTER, group="Approvals")
def request_spawn(hive: Hive, name: NewAgentName, description: Description | None = None) -> Request:
    """Ask for a new agent, or for a destroyed one to come back with the state it had.

    name: a-z, 0-9 and '-', at most 63 of them, beginning with a letter
    description: what it is for
    """
    with hive.store.write() as db:
        if name in table.names(db):
            raise Refused(f"There is an agent {name!r} already.", "`hive list` shows it.")
        waiting = queue.pending(db, name, "spawn")
        if waiting:
            return Request.from_row(waiting[0])
        if (hive.agent_path(name) / "state").exists():
            # In hive's own word, whatever the asker says of it.
            description = "revive" if description is None else f"revive: {description}"
        id = queue.add(hive, db, agent=name, kind="spawn", commit_ref="", description=description)
        return Request.from_row(queue.require(db, id))


@operation(callers=OPERATOR, group="Agents")
def spawn(hive: Hive, name: NewAgentName, description: Description | None = None) -> Request:
    """Make a new agent at once: a request and its approval in one.

    name: a-z, 0-9 and '-', at most 63 of them, beginning with a letter
    description: what it is for
    """
    return approve(hive, request_spawn(hive, name, description).id)


@operation(callers=LOOKING_AFTER, group="Agents")
def revive(hive: Hive, name: RevivedName) -> Request:
    """Ask for a destroyed agent to come back with its configuration, its state and its login.

    name: as `hive tombstones` shows it
    """
    if name not in {tombstone.name for tombstone in all_tombstones(hive)}:
        raise NotFound(f"There is no destroyed agent {name!r}.", "`hive tombstones` shows those whose state was kept.")
    return request_spawn(hive, name)


@operation(callers=OPERATOR, group="Approvals")
def approve(hive: Hive, id: PendingId, sha: Sha | None = None) -> Request:
    """Approve a request and carry it out: deploy the commit, or make the agent.

    id: which request
    sha: refuse unless this is the commit that was fetched; the status page always sends the one it showed
    """
    row = _undecided(hive, id)
    with progress.held(hive, row["agent"], f"approving request {id}"):
        row = _undecided(hive, id)
        if row["kind"] == "spawn":
            spawns.apply(hive, row)
        else:
            _require_shown(row, sha)
            deploys.apply(hive, row)
    return _request(hive, id)


def _undecided(hive: Hive, id: int) -> sqlite3.Row:
    """The row of a request that nobody has decided or is carrying out."""
    with hive.store.read() as db:
        row = queue.require_pending(db, id)
        doing = progress.all_in_progress(db).get(row["agent"])
    if doing and doing.detail.get("approval") == id and not progress.is_left(hive, doing):
        raise Refused(
            f"Request {id} is being carried out already, by process {doing.owner.pid}.",
            "`hive events --follow` shows how it goes.",
        )
    return row


def _require_shown(row: sqlite3.Row, sha: str | None) -> None:
    """Raises Refused where somebody approves another commit than the one that was fetched."""
    id, target = row["id"], row["fetched_sha"]
    if sha is not None and not target.startswith(sha):
        raise Refused(
            f"Request {id} is for {target[:12]}, not for {sha[:12]}: nothing was approved.",
            f"Look at it again: `hive show {id}`.",
        )


@operation(callers=OPERATOR, group="Approvals")
def deny(hive: Hive, id: PendingId, note: Note | None = None) -> Request:
    """Deny a request; the commit is kept with the tag denied/ID and the note.

    id: which request
    note: why, for whoever asked
    """
    return _close(hive, id, note)


@operation(callers=LOOKING_AFTER, group="Approvals")
def cancel(hive: Hive, id: PendingId) -> Request:
    """Take back a request that waits: it counts as denied, with a note that says so.

    id: which request; the manager can take back only its own
    """
    with hive.store.read() as db:
        row = queue.require(db, id)
    if hive.caller.role is not Role.OPERATOR and row["requested_by"] != hive.caller.name:
        raise Refused(f"Request {id} was not made by {hive.caller.name}.", "Ask the operator to deny it.")
    return _close(hive, id, queue.cancelled_by(hive.caller.name))


def _close(hive: Hive, id: int, note: str | None) -> Request:
    row = _undecided(hive, id)
    with progress.held_anyway(hive, row["agent"], f"denying request {id}") as left:
        if left is not None and left.detail.get("approval") == id:
            raise Refused(f"Request {id} was left half carried out, which cannot be undone yet.", "`hive doctor`")
        with hive.store.write() as db:
            row = queue.require_pending(db, id)
            tag = f"denied/{id}" if row["fetched_sha"] else None
            queue.resolve(hive, db, id, "denied", note=note or None, tag=tag)
        denials.tag(hive, id)
    return _request(hive, id)


def _request(hive: Hive, id: int) -> Request:
    with hive.store.read() as db:
        return Request.from_row(queue.require(db, id))
