"""Going back: what was deployed before becomes a commit on top, requested, approved and deployed as any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hive_core import progress
from hive_core.arguments import AgentName
from hive_core.context import Hive
from hive_core.errors import NotFound, Refused
from hive_core.operation import OPERATOR, operation
from hive_fleet.agents import table
from hive_fleet.changes import deploys
from hive_fleet.requests import queue
from hive_fleet.requests.request import Request, RequestId

if TYPE_CHECKING:
    from hive_core.git.repository import Repository


@operation(callers=OPERATOR, group="Approvals")
def rollback(hive: Hive, name: AgentName, to: RequestId | None = None) -> Request:
    """Go back to a configuration that an agent was deployed with before: a request and its approval in one.

    name: which agent
    to: the request whose deploy to go back to; without it the newest that differs from what is deployed
    """
    from hive_core.git.repository import Repository

    with hive.store.read() as db:
        table.one(db, name)
    with progress.held(hive, name, "rolling back"):
        repository = Repository(hive.applied_path(name))
        id = _request(hive, repository, name, *_earlier(hive, repository, name, to))
        with hive.store.read() as db:
            row = queue.require(db, id)
        deploys.apply(hive, row)
    with hive.store.read() as db:
        return Request.from_row(queue.require(db, id))


def _earlier(hive: Hive, repository: Repository, name: str, to: int | None) -> tuple[str, str]:
    """The commit to go back to, and what it is called. Raises NotFound, or Refused where it would change nothing."""
    main, found = repository.main(), _deployed(hive, repository, name)
    if to is not None:
        if to not in found:
            known = ", ".join(str(id) for id in found if id is not None) or "none yet"
            raise NotFound(f"Request {to} was never deployed to {name}.", f"Deployed were: {known}.")
        if repository.is_same(found[to], main):
            raise Refused(f"What request {to} deployed is what {name} has now.", "`hive list` shows it.")
        return found[to], f"deployed/{to}"
    for id, sha in found.items():
        if not repository.is_same(sha, main):
            return sha, f"deployed/{id}" if id is not None else "the configuration it was made with"
    raise Refused(f"{name} has never had another configuration.", "There is nothing to go back to.")


def _deployed(hive: Hive, repository: Repository, name: str) -> dict[int | None, str]:
    """What was ever deployed, newest first, by request; last, under None, what the agent was made with.

    The tags say what it was: requests may be those of another agent that had this name before.
    """
    tags = repository.tags()
    with hive.store.read() as db:
        rows = [row for row in queue.deployed(db, name) if f"deployed/{row['id']}" in tags]
    found: dict[int | None, str] = {row["id"]: tags[f"deployed/{row['id']}"] for row in rows}
    if rows and repository.resolve(rows[-1]["base_sha"] or ""):
        found[None] = rows[-1]["base_sha"]
    return found


def _request(hive: Hive, repository: Repository, name: str, sha: str, called: str) -> int:
    """Make the commit that goes back, and the request for it."""
    description = f"rollback to {called}"
    commit, main = repository.return_to(sha, f"Roll back to {called} ({sha[:12]})"), repository.main()
    with hive.store.write() as db:
        id = queue.add(hive, db, agent=name, kind="apply_commit", commit_ref=commit, description=description)
    repository.tag([f"proposal/{id}"], commit)
    diff = repository.diff(main, commit)
    with hive.store.write() as db:
        queue.fetched(db, id, commit, main, diff)
    return id
