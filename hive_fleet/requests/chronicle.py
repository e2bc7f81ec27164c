"""What has become of an agent, a line each: decisions as git's tags and the queue tell them, the rest as events.

The tags are kept for as long as the repository is, and outlive a database; events are kept for a while.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_core.events import Event, newest_about
from hive_core.human import clock, shorter
from hive_core.text import one_line
from hive_fleet.events.sentences import sentence
from hive_fleet.requests import queue, tags
from hive_fleet.requests.tags import Tagged

# What of the events belongs to the life of an agent; its requests are told of by the queue and by the tags.
TOLD = (
    *("spawned", "started", "restarted", "rebuilt", "killed", "destroyed", "purged", "adopted"),
    *("container_crash", "crash_loop", "stuck", "nudged", "needs_login", "logged_in", "needs_update"),
    *("recovered", "repair_failed"),
)
LONGEST = 200


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened to an agent.

    at: unix seconds. kind: requested, approved, denied or failed, or the kind of an event. said: in words. id: of the
    request. seq: of the event.
    """

    at: float
    kind: str
    said: str
    id: int | None = None
    seq: int | None = None

    def wire(self) -> dict[str, Any]:
        """It as every face shows it, with its time in whole seconds."""
        fields = {"at": int(self.at), "kind": self.kind, "said": self.said, "id": self.id, "seq": self.seq}
        return {name: value for name, value in fields.items() if value is not None}

    def text(self) -> str:
        """It in a line."""
        return f"{clock(self.at)}  {one_line(self.said)}"


def of(hive: Hive, name: str, most: int) -> list[Happening]:
    """The newest things that happened to an agent of this name, or to one before it, oldest first."""
    known = {request.id: request for request in _tagged(hive, name)}
    with hive.store.read() as db:
        found = list(_events(db, name, most))
        rows = queue.about(db, name, most)
        for row in reversed(rows):
            found += _request(row, known.pop(row["id"], None))
    # Of what is left only git remembers, or it is older than all that is shown.
    if len(rows) < most:
        found += [line for request in known.values() for line in _from_git(request)]
    return sorted(found, key=lambda line: line.at)[-most:]


def _tagged(hive: Hive, name: str) -> list[Tagged]:
    try:
        return tags.read(hive, name) if hive.applied_path(name).is_dir() else []
    except HiveError as error:
        hive.say(f"warning: the decisions that git keeps of {name} cannot be read: {error}")
        return []


def _events(db: sqlite3.Connection, name: str, most: int) -> Iterator[Happening]:
    for kind in TOLD:
        for event in newest_about(db, name, kind, most):
            yield Happening(event.at, event.kind, _said(event), seq=event.seq)


def _said(event: Event) -> str:
    return sentence(event) or event.kind.replace("_", " ")


def _request(row: sqlite3.Row, tagged: Tagged | None) -> Iterator[Happening]:
    """When a request was made, and what was decided."""
    id, sha = row["id"], row["fetched_sha"] or (tagged.sha if tagged else None)
    what = "asked for" if row["kind"] == "spawn" else f"{str(sha or row['commit_ref'])[:12]} asked for"
    about = f": {shorter(row['description'], LONGEST)}" if row["description"] else ""
    yield Happening(row["requested_at"], "requested", f"request {id}: {what} by {row['requested_by']}{about}", id)
    if row["status"] != "pending" and row["resolved_at"] is not None:
        yield _decided(row["resolved_at"], id, row["status"], row["note"], sha)


def _from_git(request: Tagged) -> Iterator[Happening]:
    """The same of a request that only the tags know; its time is the commit's."""
    at = request.at
    said = f"request {request.id}: {request.sha[:12]} asked for, as its tag tells"
    yield Happening(at, "requested", said, request.id)
    if request.status != "pending":
        yield _decided(at, request.id, request.status, request.note, request.sha)


def _decided(at: float, id: int, status: str, note: Any, sha: str | None) -> Happening:
    done = f", deployed {sha[:12]}" if status == "approved" and sha else ""
    return Happening(at, status, f"request {id} {status}{done}{f': {shorter(str(note), LONGEST)}' if note else ''}", id)
