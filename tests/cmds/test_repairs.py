"""A repair that fails stops nobody: it is told once, kept, shown, and tried again until it is made."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pygit2
import pytest

from hive_core import progress, repairs
from hive_core.changes import Change, InProgress
from hive_core.context import Hive
from hive_core.errors import Refused
from hive_core.process import Owner
from hive_faces import serve, verbs
from hive_fleet.agents import status
from hive_fleet.changes import running
from hive_fleet.changes.deploys import DEPLOY
from hive_fleet.changes.running import STARTING
from tests.cmds.test_bad_disk import fill, small  # noqa: F401
from tests.git import loose
from tests.hives import TestHive, at_work, eventually
from tests.needs import needs_root

pytestmark = pytest.mark.remembered
RUNNING = pytest.mark.remembered(False)
SAY = 'runner = "command"\ncommand = ["sh", "-c", "echo {0}; exec sleep infinity"]\n'
# What has to work whatever is broken.
ALWAYS = [["list"], ["doctor"], ["events", "--since", "0"], ["approvals", "--all"], ["restart", "other"]]


@pytest.fixture
def two(hive: TestHive) -> TestHive:
    """A hive with two running agents."""
    hive.spawn("coder")
    hive.spawn("other")
    return hive


def left_half_way(hive: TestHive, name: str, change: Change, **detail: Any) -> None:
    """Have an operation on an agent be one that a process has died in the middle of."""
    inside = hive.inside()
    progress.begin(inside, name, change, detail)
    # There is a process of that number, but it is another one: it has begun at another time.
    dead = Owner.current()._replace(started=1)
    with inside.store.write() as db:
        db.execute("update operations set owner = ? where agent = ?", (dead.to_json(), name))


def due(hive: TestHive) -> None:
    """Let the time pass until every repair is tried again."""
    with hive.inside().store.write() as db:
        db.execute("update repairs set due_at = 0")


def lose_object(hive: TestHive, sha: str) -> Path:
    """Take an object out of coder's applied repository; returns where it is kept."""
    kept = hive.root / "kept"
    loose(hive.home / "applied/coder", sha).rename(kept)
    return kept


def test_a_denial_whose_commit_is_lost_stands_and_its_tag_is_made_up_for_when_it_is_back(two: TestHive) -> None:
    number = two.request("coder", SAY.format("wide"))
    sha = two.json("show", str(number))["approval"]["fetched_sha"]
    kept = lose_object(two, sha)
    denied = two.run("deny", str(number), "--note", "too broad", "--json")
    assert '"denied"' in denied.stdout
    assert "could not be mended" in denied.stderr
    for command in [*ALWAYS, ["kill", "coder"], ["start", "coder"], ["watch", "--once"]]:
        assert "could not be mended" not in two.run(*command).stderr
    assert f"denied/{number}" in two.run("doctor").stdout
    assert two.agent("coder")["repair"]
    assert len(two.events("repair_failed")) == 1
    kept.rename(loose(two.home / "applied/coder", sha))
    due(two)
    two.run("watch", "--once")
    assert "too broad" in two.git("applied/coder", "show", f"denied/{number}")
    assert "repair" not in two.agent("coder")
    assert two.events("recovered")[-1]["outcome"] == f"tagged denied/{number}"


def damage_packed_refs(hive: TestHive) -> Callable[[], None]:
    refs = hive.home / "applied/coder/.git/packed-refs"
    refs.write_text("garbage\n")
    return refs.unlink


def replace_repository(hive: TestHive) -> Callable[[], None]:
    git, stolen = hive.home / "applied/coder/.git", hive.root / "stolen"
    git.rename(stolen)
    git.write_text("in the way")

    def back() -> None:
        git.unlink()
        stolen.rename(git)

    return back


def remove_meta(hive: TestHive) -> Callable[[], None]:
    head, stolen = hive.home / "meta/.git/HEAD", hive.root / "stolen"
    head.rename(stolen)
    return lambda: stolen.rename(head) and None


@pytest.mark.parametrize("damage", [damage_packed_refs, replace_repository, remove_meta])
def test_a_deploy_that_can_be_neither_finished_nor_undone_keeps_only_its_own_agent_from_being_changed(
    two: TestHive, damage: Callable[[TestHive], Callable[[], None]]
) -> None:
    before = two.git("applied/coder", "rev-parse", "main")
    number = two.request("coder", SAY.format("new"))
    target = two.json("show", str(number))["approval"]["fetched_sha"]
    left_half_way(two, "coder", DEPLOY, approval=number, before=before, target=target)
    mend = damage(two)
    told = [two.run(*command).stderr for command in [*ALWAYS, ["watch", "--once"]]]
    assert "could not be mended" in told[0]
    assert not any("could not be mended" in line for line in told[1:])
    agent = two.agent("coder")
    assert agent["running"] is True
    assert agent["repair"]
    assert "operation" not in agent, "what nobody is at is not in progress"
    refused = two.run("rebuild", "coder", code=1).stderr
    assert "could not be mended" in refused
    assert two.run("deny", str(number), code=1)
    two.run("kill", "coder")
    assert two.agent("coder")["running"] is False
    mend()
    due(two)
    two.run("list")
    assert two.json("show", str(number))["approval"]["status"] == "pending"
    two.run("approve", str(number))
    assert two.git("applied/coder", "rev-parse", "main") == target


def test_a_request_that_a_living_process_has_let_go_of_unfinished_is_carried_out_by_the_next_approval(
    two: TestHive,
) -> None:
    inside, before = two.inside(), two.git("applied/coder", "rev-parse", "main")
    number = two.request("coder", SAY.format("new"))
    target = two.json("show", str(number))["approval"]["fetched_sha"]
    progress.begin(inside, "coder", DEPLOY, {"approval": number, "before": before, "target": target, "run": True})
    with inside.store.write() as db:
        # It could not be undone, either, and the next look does not try yet.
        db.execute("insert into repairs values ('operation/coder', 'coder', 'a test', 0, 0, 1, 9e9)")
    two.run("approve", str(number))
    assert two.git("applied/coder", "rev-parse", "main") == target


def test_an_agent_whose_repair_fails_can_be_destroyed(two: TestHive) -> None:
    left_half_way(two, "coder", DEPLOY, approval=99, before="0" * 40, target="1" * 40)
    two.run("list")
    assert two.agent("coder")["repair"]
    two.run("destroy", "coder", "--yes")
    assert [row["name"] for row in two.json("list")] == ["other"]
    assert "operation/coder" not in two.run("doctor").stdout


def test_an_agent_is_ended_before_what_was_left_of_it_is_mended(two: TestHive) -> None:
    two.run("stop", "coder")
    with two.inside().store.write() as db:
        db.execute("update agents set desired = 'running' where name = 'coder'")
    left_half_way(two, "coder", STARTING)
    with two.inside().store.write() as db:
        # As if another command had just tried, and failed.
        db.execute("insert into repairs values ('operation/coder', 'coder', 'a test', 0, 0, 1, 9e9)")
    two.run("kill", "coder")
    agent = two.agent("coder")
    assert (agent["running"], agent["failed"], "repair" in agent) == (False, False, False)
    assert len(two.json("journal", "coder")) == 1, "it was started in order to be ended"


BROKEN = {
    "a full disk": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/some/file"),
    "no inodes": OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
    "no descriptors": OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
    "a locked database": sqlite3.OperationalError("database is locked"),
    "a damaged repository": pygit2.GitError("object not found"),
    "a refusal": Refused("It is not to be."),
    "a bug of ours": KeyError("missing"),
}


@pytest.fixture
def breaking(hive: TestHive, monkeypatch: pytest.MonkeyPatch) -> tuple[Hive, list[BaseException], list[str]]:
    """A hive with an agent that was left half-way, what its recovery raises first, and what was said."""
    inside, raised, said = hive.inside(), [], []  # type: ignore[var-annotated]
    inside.say = said.append

    def recover(_hive: Hive, _left: InProgress) -> str:
        if raised:
            raise raised[0]
        return "mended"

    monkeypatch.setattr(running, "STARTING", STARTING._replace(recover=recover))
    with inside.store.write() as db:
        db.execute("insert into agents (name, desired, created_at) values ('coder', 'stopped', 0)")
    progress.begin(inside, "coder", running.STARTING, {})
    return inside, raised, said


@pytest.mark.parametrize("reason", BROKEN)
def test_whatever_a_repair_fails_with_is_its_own_affair_told_once_and_tried_again_ever_later(
    breaking: tuple[Hive, list[BaseException], list[str]], reason: str
) -> None:
    hive, raised, said = breaking
    raised.append(BROKEN[reason])
    now = 1_000_000.0
    hive.clock = lambda: now
    listed = verbs.find("list")
    assert listed is not None
    tried = []
    for _ in range(200):
        (row,) = serve.serve(hive, listed, {})
        with hive.store.read() as db:
            (failed,) = repairs.all_failed(hive, db).values()
        tried.append(failed.tries)
        assert row.repair == failed.error
        now += 10
    assert [tried.index(count) for count in (1, 2, 3, 4)] == [0, 1, 3, 7]
    assert len([line for line in said if "could not be mended" in line]) == 1
    raised.clear()
    now = failed.due_at
    (row,) = serve.serve(hive, listed, {})
    assert (row.repair, row.operation) == (None, None)
    with hive.store.read() as db:
        kinds = [row["kind"] for row in db.execute("select kind from events order by seq")]
    assert kinds.count("repair_failed") == 1
    assert kinds[-1] == "recovered"


def test_a_new_reason_is_told_anew(breaking: tuple[Hive, list[BaseException], list[str]]) -> None:
    hive, raised, said = breaking
    for reason in BROKEN.values():
        raised[:] = [reason]
        with pytest.raises(Refused, match="could not be mended"), progress.held(hive, "coder", "a test"):
            pass
    assert len([line for line in said if "warning" in line]) == len(BROKEN)


def test_what_a_command_raised_is_told_although_it_could_not_be_undone(
    breaking: tuple[Hive, list[BaseException], list[str]],
) -> None:
    hive, raised, said = breaking
    progress.mend_all(hive)
    raised.append(BROKEN["a full disk"])
    with pytest.raises(ValueError, match="the first"), at_work(hive, "coder", running.STARTING):
        raise ValueError("the first")
    assert "/some/file" in said[-1]


def test_what_a_living_process_could_not_end_is_ended_by_the_next_look(
    breaking: tuple[Hive, list[BaseException], list[str]],
) -> None:
    hive, _, _ = breaking
    # Its owner is this process, which lives; but it holds no lock any more.
    with hive.lock("coder", "a test"):
        progress.mend_all(hive)
        with hive.store.read() as db:
            assert progress.all_in_progress(db).keys() == {"coder"}
    progress.mend_all(hive)
    assert status.of(hive, "coder").operation is None


@RUNNING
@needs_root
def test_a_repair_that_meets_a_full_disk_stops_no_command_and_is_made_when_there_is_room(
    small: TestHive,  # noqa: F811
) -> None:
    small.run("list")
    # It keeps the database open: SQLite cannot make the file it shares with others on a disk that is full.
    gate = small.start("gate")
    eventually((small.root / "run" / "host.sock").exists)
    small.run("stop", "coder")
    with small.inside().store.write() as db:
        db.execute("update agents set desired = 'running' where name = 'coder'")
    left_half_way(small, "coder", STARTING)
    generations = small.home / "containers/coder/generations"
    for generation in generations.iterdir():
        generation.chmod(0o700)
        (generation / "agent.toml").unlink()
    filling = fill(small)
    for command in (["list"], ["doctor"], ["events", "--since", "0"], ["list"]):
        assert "bug" not in small.run(*command).stderr
    filling.unlink()
    small.run("watch", "--once")
    small.run("start", "coder")
    assert small.agent("coder")["running"] is True
    gate.kill()
