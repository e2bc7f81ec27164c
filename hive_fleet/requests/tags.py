"""Requests for commits, as the tags of the applied repositories tell of them: what a lost database knew of them."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_fleet.requests import queue

if TYPE_CHECKING:
    from hive_core.git.repository import Repository

# The tag that decided a request, and what it has become.
ENDS = {"deployed": "approved", "failed": "failed", "denied": "denied"}


@dataclass(frozen=True, slots=True)
class Tagged:
    """One request for a commit. at: when that was made. base, diff: for a pending one, what it changes."""

    id: int
    sha: str
    status: str
    note: str | None
    at: float
    base: str
    diff: str


def number_on(hive: Hive) -> None:
    """Have the next request's id be greater than every one that a tag names, also a destroyed agent's."""
    id = highest(hive)
    with hive.store.write() as db:
        queue.number_on(db, id)


def highest(hive: Hive) -> int:
    """The highest id of a request that a tag names."""
    from hive_core.git.repository import Repository

    found = 0
    folder = hive.settings.applied
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        try:
            found = max([found, *(id for _, id in _numbered(Repository(path)))])
        except HiveError as error:
            hive.say(f"warning: {path} cannot be read: {error}")
    return found


def _numbered(repository: Repository) -> set[tuple[str, int]]:
    """The tags of requests: (kind, id)."""
    split = (tag.partition("/") for tag in repository.tags())
    return {(kind, int(id)) for kind, _, id in split if id.isdecimal()}


def read(hive: Hive, name: str) -> list[Tagged]:
    """Every request that the tags of an agent's repository tell of, oldest first."""
    from hive_core.git.repository import Repository

    repository = Repository(hive.applied_path(name))
    tags, main = repository.tags(), repository.main()
    return [
        _read_one(repository, tags, main, id)
        for kind, id in sorted(_numbered(repository), key=lambda item: item[1])
        if kind == "proposal"
    ]


def _read_one(repository: Repository, tags: dict[str, str], main: str, id: int) -> Tagged:
    sha = tags[f"proposal/{id}"]
    end = next((end for end in ENDS if f"{end}/{id}" in tags), None)
    note = repository.annotation(f"{end}/{id}") if end in ("failed", "denied") else None
    diff = repository.diff(main, sha) if end is None else ""
    status = "pending" if end is None else ENDS[end]
    return Tagged(id, sha, status, note or None, float(repository.committed_at(sha)), main, diff)


def record(hive: Hive, db: sqlite3.Connection, name: str, requests: list[Tagged]) -> None:
    """Record what the database does not know of requests, in the caller's transaction; pending ones are told of.

    A request that is pending there, and decided by its tag, was decided after the backup that the database is from.
    """
    for request in requests:
        new = queue.take_back(db, request.id, name, request.sha, request.at)
        if new and request.status == "pending":
            queue.fetched(db, request.id, request.sha, request.base, request.diff)
        elif new or (request.status != "pending" and queue.require(db, request.id)["status"] == "pending"):
            queue.close_quietly(db, request.id, request.status, request.note, hive.clock())


def untag_cut_short(repository: Repository) -> None:
    """Have a request whose deploy was cut short, and undone, be one that waits for a decision again."""
    numbered = _numbered(repository)
    ended = {id for kind, id in numbered if kind in ENDS}
    repository.untag([f"{kind}/{id}" for kind, id in numbered if kind in ("approved", "building") and id not in ended])
