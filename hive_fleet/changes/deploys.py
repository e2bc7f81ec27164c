"""The two-phase deploy of an approved commit: all new or all old, whenever and wherever it is killed.

What decides is one object in the applied repository. With the tag `deployed/<id>` everything becomes new; with
`failed/<id>` everything becomes old and the request has failed; with neither everything becomes old and the
request is pending again. `_conclude` makes the rest agree with that, and looks only at what is: a deploy ends
with it, and so does the recovery of one that was killed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hive_core import progress
from hive_core.changes import Change, InProgress, Task
from hive_core.context import Hive
from hive_core.errors import BuildFailed, Refused
from hive_fleet.agents import table
from hive_fleet.agents.desired import wanted
from hive_fleet.agents.last_seen import after_operation
from hive_fleet.changes.building import BASE, build_deployed, built_with, configuration, ensure_container, switch
from hive_fleet.changes.locking import stage
from hive_fleet.changes.settling import settle
from hive_fleet.flake import meta
from hive_fleet.messages import messages
from hive_fleet.requests import queue

if TYPE_CHECKING:
    import sqlite3

    from hive_core.git.repository import Repository


@dataclass(frozen=True, slots=True)
class Deploy:
    """One deploy. before: the sha that `main` had. target: the sha that was approved."""

    request: int
    agent: str
    before: str
    target: str

    @classmethod
    def of(cls, doing: InProgress) -> Deploy:
        return cls(doing.detail["approval"], doing.agent, doing.detail["before"], doing.detail["target"])

    def tag(self, kind: str) -> str:
        return f"{kind}/{self.request}"


def apply(hive: Hive, row: sqlite3.Row) -> None:
    """Carry out an undecided request for a commit. The caller holds the agent. Raises Refused when it is stale."""
    id, name, target = row["id"], row["agent"], row["fetched_sha"]
    before = _checked_main(hive, id, name, target)
    with hive.store.write() as db:
        queue.begin_from(db, id, before)
    plan = {"approval": id, "before": before, "target": target, "run": wanted(hive, name)}
    with queue.told_what_became_of(hive, id, f"{name} stays at {before[:12]}."):
        progress.carry_out(hive, name, DEPLOY, plan)


def _checked_main(hive: Hive, id: int, name: str, target: str) -> str:
    """Applied `main`, from which the proposal must be a fast-forward. Raises Refused when it is stale."""
    with hive.store.read() as db:
        table.one(db, name)
    repository = _repository(hive, name)
    main = repository.main()
    if not repository.is_fast_forward(main, target):
        raise Refused(
            f"Request {id} is stale: {name} has moved to {main[:12]}, which {target[:12]} does not contain.",
            f"Rebase the commit onto it and request it again; `hive deny {id}` closes this one.",
        )
    return main


def _receive(hive: Hive, doing: InProgress) -> None:
    """Point tags and `main` at the commit. The lock is only tried: nobody else has to wait for the container."""
    plan, repository = Deploy.of(doing), _repository(hive, doing.agent)
    repository.tag([plan.tag("approved"), plan.tag("building")], plan.target)
    repository.move_main(plan.before, plan.target)
    with meta.opened(hive, f"deploying {plan.agent}") as flake:
        stage(hive, flake, plan.agent)


def _switch(hive: Hive, doing: InProgress) -> None:
    lock = meta.lock_at(hive, doing.detail[BASE])
    switch(hive, doing.agent, doing.detail["target"], lock, run=doing.detail["run"])


def _is_to_run(_hive: Hive, doing: InProgress) -> bool:
    return bool(doing.detail["run"])


def _settle(hive: Hive, doing: InProgress) -> None:
    settle(hive, doing.agent, configuration(hive, doing.agent, doing.detail["target"]).settle_seconds)


def _decide(hive: Hive, doing: InProgress) -> None:
    plan = Deploy.of(doing)
    _repository(hive, doing.agent).tag([plan.tag("deployed")], plan.target)


def _lock(hive: Hive, doing: InProgress) -> None:
    with meta.opened(hive, f"deploying {doing.agent}") as flake:
        _conclude(hive, Deploy.of(doing), _repository(hive, doing.agent), flake)


def _blame(hive: Hive, doing: InProgress, error: BuildFailed) -> None:
    """Have the request fail: its configuration is at fault. Whatever the machine lacks can be tried again.

    The tag is all that the manager will see of the failure: it holds the build's own words.
    """
    plan, repository = Deploy.of(doing), _repository(hive, doing.agent)
    if plan.tag("deployed") not in repository.tags():
        repository.annotate(plan.tag("failed"), plan.target, str(error))


def _repository(hive: Hive, name: str) -> Repository:
    from hive_core.git.repository import Repository

    return Repository(hive.applied_path(name))


def _recover(hive: Hive, left: InProgress) -> str:
    """Finish or undo a deploy that did not come to its end; returns what became of the request."""
    plan, repository = Deploy.of(left), _repository(hive, left.agent)
    new = plan.tag("deployed") in repository.tags()
    ensure_container(hive, plan.agent, plan.target if new else plan.before, left=left)
    with meta.opened(hive, f"mending {plan.agent}") as flake:
        return _conclude(hive, plan, repository, flake)


def _conclude(hive: Hive, plan: Deploy, repository: Repository, flake: meta.Meta) -> str:
    """Make request, tags, `main` and lock agree with what was decided; returns the request's status."""
    tags = repository.tags()
    if plan.tag("deployed") in tags:
        _all_new(hive, plan, repository, flake)
        return "approved"
    flake.abort()
    repository.move_main(plan.target, plan.before)
    if flake.revision(meta.agent_input(plan.agent)) == plan.target:
        # Somebody has locked what was tried, meanwhile.
        stage(hive, flake, plan.agent)
        flake.commit(f"back to {plan.agent} {plan.before[:12]}")
    if plan.tag("failed") not in tags:
        repository.untag([plan.tag("approved"), plan.tag("building")])
        return "pending"
    note = repository.annotation(plan.tag("failed"))
    with progress.concluding(hive, plan.agent) as db:
        queue.resolve(hive, db, plan.request, "failed", note=note, tag=plan.tag("failed"))
        messages.tell(hive, db, "rebuilt", plan.agent, ok=False, sha=plan.target, tag=plan.tag("failed"), note=note)
    return "failed"


def _all_new(hive: Hive, plan: Deploy, repository: Repository, flake: meta.Meta) -> None:
    repository.move_main(plan.before, plan.target)
    if flake.revision(meta.agent_input(plan.agent)) != plan.target:
        stage(hive, flake, plan.agent)
        flake.commit(f"deploy {plan.agent} {plan.tag('deployed')} {plan.target[:12]}")
    record_build = built_with(hive, plan.agent, plan.target)
    with progress.concluding(hive, plan.agent) as db:
        queue.resolve(hive, db, plan.request, "approved", tag=plan.tag("deployed"))
        messages.tell(hive, db, "rebuilt", plan.agent, ok=True, sha=plan.target, tag=plan.tag("deployed"))
        messages.kick(db, plan.agent, "rebuilt: a config update was applied")
        record_build(db)
        meta.announce(hive, db)


DEPLOY = Change(
    f"{__name__}:DEPLOY",
    "rebuilding",
    _recover,
    after_operation,
    (
        Task("receiving", _receive),
        Task("building", build_deployed),
        Task("switching", _switch),
        Task("settling", _settle, _is_to_run),
        Task(None, _decide),
        Task("locking", _lock),
    ),
    _blame,
)
