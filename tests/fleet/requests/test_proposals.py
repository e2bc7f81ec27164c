"""How a commit becomes a request: whose clone it is looked for in, what a short sha means, and what is no news."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hive_core.caller import Identity, Role
from hive_core.context import Hive
from hive_core.errors import NotFound, Refused
from hive_core.git.repository import Repository
from hive_core.git.untrusted import Ambiguous
from hive_fleet.requests import proposals, queue
from hive_fleet.requests.request import Request
from tests.git import commit, git, raw_commit, write_object

pytestmark = pytest.mark.remembered


@pytest.fixture
def inside(enlist: Callable[..., Hive]) -> Hive:
    """A hive with an agent that has a repository, the operator's clone of it and the manager's."""
    made = enlist("coder", "manager")
    applied = made.applied_path("coder")
    applied.parent.mkdir(parents=True)
    Repository.create(applied, {"agent.toml": b"a\n"}, "Seed coder")
    for clone in clones(made):
        clone.parent.mkdir(parents=True)
        Repository.clone(Repository(applied), clone, origin=str(applied))
    return made


def clones(hive: Hive) -> tuple[Path, Path]:
    """The operator's, and the manager's."""
    return hive.agent_path("coder") / "config", hive.settings.proposed / "coder" / "config"


def as_manager(hive: Hive) -> Hive:
    return hive.acting_as(Identity(Role.MANAGER, "manager"))


def ask(hive: Hive, sha: str) -> Request:
    return proposals.request(hive, "coder", sha, "why")


def all_of(hive: Hive) -> list[Request]:
    with hive.store.read() as db:
        return [Request.from_row(row) for row in queue.every(db)]


def test_a_commit_is_taken_in_tagged_and_waits_with_its_diff(inside: Hive) -> None:
    sha = commit(clones(inside)[0], {"agent.toml": "b\n"})
    made = ask(inside, sha[:9])
    assert (made.id, made.status, made.commit_ref, made.fetched_sha) == (1, "pending", sha[:9], sha)
    applied = Repository(inside.applied_path("coder"))
    assert applied.tags() == {"proposal/1": sha}
    assert applied.main() != sha
    with inside.store.read() as db:
        assert queue.require(db, 1)["base_sha"] == applied.main()


def test_the_same_again_is_the_first_however_it_is_named_and_whoever_asks(inside: Hive) -> None:
    own, managers = clones(inside)
    sha = commit(own, {"agent.toml": "b\n"})
    git(managers, "pull", "-q", str(own), "main")
    first = ask(inside, sha)
    assert [ask(inside, sha[:7]), ask(as_manager(inside), sha)] == [first, first]
    assert len(all_of(inside)) == 1


def test_the_operator_may_name_what_only_the_manager_has_and_not_the_other_way_round(inside: Hive) -> None:
    own, managers = clones(inside)
    theirs, mine = commit(managers, {"agent.toml": "b\n"}), commit(own, {"agent.toml": "c\n"})
    assert ask(inside, theirs).fetched_sha == theirs
    with pytest.raises(NotFound):
        ask(as_manager(inside), mine)
    (failed,) = [request for request in all_of(inside) if request.status == "failed"]
    assert (failed.commit_ref, failed.description) == (mine, "why")
    assert mine[:12] in str(failed.note)


def test_what_was_taken_in_once_needs_no_clone_any_more(inside: Hive) -> None:
    own, managers = clones(inside)
    sha = commit(own, {"agent.toml": "b\n"})
    first = ask(inside, sha)
    with inside.store.write() as db:
        queue.resolve(inside, db, first.id, "denied")
    for clone in (own, managers):
        clone.rename(clone.with_name("away"))
    again = ask(inside, sha)
    assert (again.id, again.status, again.fetched_sha) == (2, "pending", sha)


def test_what_is_deployed_or_older_is_no_news_and_leaves_nothing(inside: Hive) -> None:
    own, applied = clones(inside)[0], Repository(inside.applied_path("coder"))
    old = applied.main()
    with pytest.raises(Refused, match="is what coder is deployed with already"):
        ask(inside, old)
    new = commit(own, {"agent.toml": "b\n"})
    applied.take_in(own, new)
    applied.move_main(old, new)
    with pytest.raises(Refused, match="is older than what coder is deployed with") as refused:
        ask(inside, old)
    assert f"git restore -SWs {old[:12]} ." in str(refused.value.hint)
    assert all_of(inside) == []


def test_digits_that_mean_two_commits_are_refused_and_leave_nothing(inside: Hive) -> None:
    own, managers = clones(inside)
    sha = commit(own, {"agent.toml": "b\n"})
    # Another object whose name begins so: only its name is looked at.
    write_object(managers, "blob", b"x", name=sha[:12] + "0" * 28)
    with pytest.raises(Ambiguous):
        ask(inside, sha[:8])
    assert all_of(inside) == []
    # All digits of it mean one.
    assert ask(inside, sha).fetched_sha == sha


def test_what_is_wrong_with_the_callers_own_clone_is_told_and_kept(inside: Hive) -> None:
    own = clones(inside)[0]
    blob = write_object(own, "blob", b"x")
    cut = raw_commit(own, "1" * 40)
    for sha, said in ((blob, "is a blob"), (cut, "1111111")):
        with pytest.raises(Refused, match=said):
            ask(inside, sha)
    assert [(request.commit_ref, request.status) for request in all_of(inside)] == [(blob, "failed"), (cut, "failed")]
    assert Repository(inside.applied_path("coder")).tags() == {}


def test_what_is_wrong_with_the_managers_clone_is_not_the_operators_affair(inside: Hive) -> None:
    own, managers = clones(inside)
    (managers / ".git" / "objects").rename(managers / ".git" / "away")
    (managers / ".git" / "objects").symlink_to("/proc")
    with pytest.raises(NotFound):
        ask(inside, "1" * 40)
    sha = commit(own, {"agent.toml": "b\n"})
    assert ask(inside, sha).status == "pending"
    assert ask(inside, commit(own, {"agent.toml": "c\n"})[:10]).status == "pending"
