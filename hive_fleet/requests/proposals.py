"""How a commit becomes a request: it is found, taken in outside every lock and within bounds, and then recorded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hive_core.caller import Role
from hive_core.context import Hive
from hive_core.errors import HiveError, NotFound, Refused
from hive_fleet.agents import table
from hive_fleet.requests import queue
from hive_fleet.requests.request import Request

if TYPE_CHECKING:
    from hive_core.git.repository import Repository
    from hive_core.git.untrusted import Bounds


def request(hive: Hive, agent: str, sha: str, description: str | None) -> Request:
    """Take a commit in and ask for it. Nobody waits for that: the agent's lock is held only to write down the outcome.

    What cannot be fetched leaves a failed request with the reason; what is refused for another one leaves nothing.
    """
    from hive_core.git.repository import Repository
    from hive_core.git.untrusted import Ambiguous, Bounds

    applied = Repository(hive.applied_path(agent))
    bounds = Bounds.of_a_proposal()
    try:
        clone, full = _locate(hive, applied, agent, sha, bounds)
        first = _pending(hive, agent, full)
        if first is not None:
            return first
        if clone is not None:
            applied.take_in(clone, full, bounds)
    except Ambiguous:
        raise
    except HiveError as error:
        with hive.store.write() as db:
            queue.add_failed(hive, db, agent, sha, description, str(error))
        raise
    return _record(hive, applied, agent, sha, full, description)


def _locate(hive: Hive, applied: Repository, agent: str, sha: str, bounds: Bounds) -> tuple[Path | None, str]:
    """The clone that has the commit, None where nothing has to be fetched, and the full sha.

    The caller's own clone comes first, and what is wrong there is told as it is; the operator may name a commit of
    the manager's, too.
    """
    from hive_core.git import untrusted

    if len(sha) == 40 and applied.resolve(sha):
        return None, sha
    own, *others = _clones(hive, agent)
    try:
        clone, full = own, untrusted.find(own, sha, bounds)
    except NotFound as missing:
        found = _elsewhere(others, sha, bounds)
        if found is None:
            raise missing from None
        clone, full = found
    if len(sha) < 40:
        _require_one_meaning(applied, others, sha, full)
    return clone, full


def _elsewhere(clones: list[Path], sha: str, bounds: Bounds) -> tuple[Path, str] | None:
    """Another clone that has the commit. What else is wrong with one is not the caller's affair."""
    from hive_core.git import untrusted

    for clone in clones:
        try:
            return clone, untrusted.find(clone, sha, bounds)
        except untrusted.Ambiguous:
            raise
        except HiveError:
            continue
    return None


def _require_one_meaning(applied: Repository, others: list[Path], sha: str, full: str) -> None:
    """Raises Ambiguous when hive knows another object by these digits: seven of them can be made to match."""
    from hive_core.git import untrusted

    known, elsewhere = applied.resolve(sha), untrusted.all_matching(others, sha, untrusted.Bounds.of_a_look_aside())
    meant = {full, *elsewhere, *([known] if known else [])}
    if len(meant) > 1 or applied.is_ambiguous(sha):
        raise untrusted.Ambiguous(sha, max(2, len(meant)))


def _clones(hive: Hive, agent: str) -> list[Path]:
    managers = hive.settings.proposed / agent / "config"
    if hive.caller.role is Role.MANAGER:
        return [managers]
    return [hive.agent_path(agent) / "config", managers]


def _pending(hive: Hive, agent: str, full: str) -> Request | None:
    with hive.store.read() as db:
        rows = queue.pending(db, agent, "apply_commit")
    return next((Request.from_row(row) for row in rows if row["fetched_sha"] == full), None)


def _record(hive: Hive, applied: Repository, agent: str, sha: str, full: str, description: str | None) -> Request:
    """Make the commit, which is held now, a request that waits for its decision."""
    while True:
        base = applied.main()
        _require_news(applied, agent, full, base)
        diff = applied.diff(base, full)
        with hive.lock(agent, f"requesting {full[:12]}"):
            with hive.store.read() as db:
                table.one(db, agent)
            first = _pending(hive, agent, full)
            if first is not None:
                return first
            if applied.main() != base:
                continue  # Something was deployed meanwhile.
            with hive.store.write() as db:
                id = queue.add(hive, db, agent=agent, kind="apply_commit", commit_ref=sha, description=description)
            applied.tag([f"proposal/{id}"], full)
            with hive.store.write() as db:
                queue.fetched(db, id, full, base, diff)
                return Request.from_row(queue.require(db, id))


def _require_news(applied: Repository, agent: str, full: str, base: str) -> None:
    if full == base:
        raise Refused(f"{full[:12]} is what {agent} is deployed with already.", "Commit a change first.")
    if applied.is_fast_forward(full, base):
        raise Refused(
            f"{full[:12]} is older than what {agent} is deployed with.",
            f"Going back is a change too: `git restore -SWs {full[:12]} .`, commit, and request that commit.",
        )
