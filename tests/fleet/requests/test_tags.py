"""Requests as git's tags tell of them: what a lost database knew, and what becomes of a deploy that was cut short."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive_core import migrations
from hive_core.context import Hive
from hive_core.git.repository import Repository
from hive_fleet.requests import beginnings, chronicle, queue, tags
from hive_fleet.requests.request import Request
from tests.git import commit, git
from tests.hives import TestHive

pytestmark = pytest.mark.remembered


@pytest.fixture
def inside(hive: TestHive) -> Hive:
    made = hive.inside()
    made.settings.applied.mkdir(parents=True)
    return made


@pytest.fixture
def applied(inside: Hive, tmp_path: Path) -> Repository:
    """The repository of an agent with a request of each kind of end: 3 deployed, 4 denied, 7 failed, 9 pending."""
    made = Repository.create(inside.applied_path("coder"), {"agent.toml": b"command = ['true']\n"}, "first")
    for number, end, note in ((3, "deployed", ""), (4, "denied", "too broad"), (7, "failed", "it broke"), (9, "", "")):
        sha = proposal(made, number, tmp_path)
        if end == "deployed":
            made.move_main(made.main(), sha)
            made.tag([f"deployed/{number}"], sha)
        elif end:
            made.annotate(f"{end}/{number}", sha, note)
    return made


def proposal(applied: Repository, number: int, folder: Path) -> str:
    """A commit on top of main that is tagged as a proposal."""
    clone = folder / f"clone{number}"
    git(folder, "-c", "safe.directory=*", "clone", "-q", str(applied.path), str(clone))
    sha = commit(clone, {"agent.nix": f"# {number}\n"}, f"change {number}")
    applied.take_in(clone, sha)
    applied.tag([f"proposal/{number}"], sha)
    return sha


def taken_back(hive: Hive) -> None:
    """Have the database know what the tags tell."""
    found = tags.read(hive, "coder")
    with hive.store.write() as db:
        tags.record(hive, db, "coder", found)


def test_every_request_is_read_with_what_became_of_it(inside: Hive, applied: Repository) -> None:
    found = tags.read(inside, "coder")
    assert [(each.id, each.status, each.note) for each in found] == [
        (3, "approved", None), (4, "denied", "too broad"), (7, "failed", "it broke"), (9, "pending", None),
    ]  # fmt: skip
    # Of one that waits it is told what it changes; of the others that is decided.
    assert [bool(each.diff) for each in found] == [False, False, False, True]
    assert "+# 9" in found[3].diff


def test_a_database_that_knows_nothing_of_them_is_told_and_numbers_go_on_behind(
    inside: Hive, applied: Repository
) -> None:
    assert tags.highest(inside) == 9
    tags.number_on(inside)
    for _ in range(2):
        taken_back(inside)
    with inside.store.read() as db:
        rows = [Request.from_row(row) for row in queue.about(db, "coder", 10)]
        assert {row.id: (row.status, row.note) for row in rows} == {
            3: ("approved", None), 4: ("denied", "too broad"), 7: ("failed", "it broke"), 9: ("pending", None),
        }  # fmt: skip
        assert [row["id"] for row in queue.pending(db, "coder", "apply_commit")] == [9]
    with inside.store.write() as db:
        new = queue.add(inside, db, agent="coder", kind="spawn", commit_ref="", description=None)
    assert new == 10


def test_numbers_go_on_behind_those_of_an_agent_that_is_gone(inside: Hive, applied: Repository) -> None:
    # Nothing of it is taken back: it was destroyed. A database that was made anew begins with the time.
    with inside.store.write() as db:
        migrations.number_after(db, 1_700_000_000)
    tags.number_on(inside)
    with inside.store.write() as db:
        assert queue.add(inside, db, agent="coder", kind="spawn", commit_ref="", description=None) == 10


def test_a_decision_that_came_after_the_backup_is_taken_from_its_tag(inside: Hive, applied: Repository) -> None:
    taken_back(inside)
    applied.annotate("denied/9", applied.tags()["proposal/9"], "no")
    taken_back(inside)
    with inside.store.read() as db:
        row = Request.from_row(queue.require(db, 9))
    assert (row.status, row.note) == ("denied", "no")


def test_a_deploy_that_was_cut_short_is_a_request_that_waits_again(inside: Hive, applied: Repository) -> None:
    for number in (3, 9):
        applied.tag([f"approved/{number}", f"building/{number}"], applied.tags()[f"proposal/{number}"])
    tags.untag_cut_short(applied)
    left = {name for name in applied.tags() if name.startswith(("approved/", "building/"))}
    # What has an end keeps its history.
    assert left == {"approved/3", "building/3"}
    assert tags.read(inside, "coder")[-1].status == "pending"


def test_a_repository_that_cannot_be_read_is_told_and_counts_for_nothing(inside: Hive, applied: Repository) -> None:
    said: list[str] = []
    inside.say = said.append
    (inside.settings.applied / "broken").mkdir()
    (inside.settings.applied / "broken" / ".git").mkdir()
    assert tags.highest(inside) == 9
    assert len(said) == 1
    assert said[0].startswith(f"warning: {inside.settings.applied / 'broken'} cannot be read: ")


def test_what_only_git_remembers_is_part_of_an_agents_history(inside: Hive, applied: Repository) -> None:
    lines = [each.said for each in chronicle.of(inside, "coder", 50)]
    sha = applied.tags()["proposal/4"][:12]
    assert f"request 4: {sha} asked for, as its tag tells" in lines
    assert "request 4 denied: too broad" in lines
    assert f"request 3 approved, deployed {applied.tags()['proposal/3'][:12]}" in lines
    assert not [line for line in lines if line.startswith("request 9 ")]
    # Once the database knows them, each is told once.
    taken_back(inside)
    again = [each.said for each in chronicle.of(inside, "coder", 50)]
    assert len(again) == len(lines)
    assert len(chronicle.of(inside, "coder", 2)) == 2
    assert chronicle.of(inside, "nobody", 10) == []


def test_what_a_new_agent_begins_with_is_the_default_what_lies_there_or_what_was_kept(
    inside: Hive, applied: Repository
) -> None:
    new = beginnings.of(inside, "new")
    assert set(new.files) == {"agent.toml", "agent.nix", "flake.nix"}
    assert new.remark is None
    kept = beginnings.of(inside, "coder")
    assert kept.files["agent.toml"] == b"command = ['true']\n"
    assert "was destroyed, and comes back" in (kept.remark or "")
    config = inside.agent_path("written") / "config"
    config.mkdir(parents=True)
    assert "cannot be read" in (beginnings.of(inside, "written").remark or "")
    git(config, "init", "-q", "-b", "main")
    commit(config, {"agent.toml": "command = ['sleep']\n", "other": "x"})
    (config / "agent.toml").write_text("not committed")
    written = beginnings.of(inside, "written")
    assert written.files == {"agent.toml": b"command = ['sleep']\n"}
    assert str(config) in (written.remark or "")


def test_a_beginning_is_shown_as_git_shows_files_that_come_new() -> None:
    assert beginnings.as_diff({"a": b"one\ntwo\n", "empty": b"", "b": b"three"}) == (
        "diff --git a/a b/a\nnew file mode 100644\n--- /dev/null\n+++ b/a\n@@ -0,0 +1,2 @@\n+one\n+two\n"
        "diff --git a/b b/b\nnew file mode 100644\n--- /dev/null\n+++ b/b\n@@ -0,0 +1,1 @@\n+three\n"
    )
