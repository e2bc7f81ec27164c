"""Repositories that only hive writes: made whole, moved by compare and swap, plain in git's eyes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hive_core.errors import Invalid, NotFound, Refused
from hive_core.git.repository import Repository
from tests.at_once import at_once
from tests.git import ROOT, commit, git
from tests.needs import requires

pytestmark = requires("git")
PROPOSAL = "refs/tags/proposal/1"


def status(repository: Repository) -> str:
    return git(repository.path, "status", "--porcelain", "--ignored")


def proposed(applied: Repository, clone: Path, files: dict[str, str | bytes | None], number: int = 1) -> str:
    return applied.receive(clone, commit(clone, files), f"refs/tags/proposal/{number}")


def test_a_new_repository_is_one_that_git_likes(applied: Repository) -> None:
    assert git(applied.path, "log", "--format=%an <%ae> %s") == "hive <hive@localhost> seed"
    assert git(applied.path, "rev-parse", "main", "HEAD").split() == [applied.main()] * 2
    assert git(applied.path, "fsck", "--strict") == ""
    assert status(applied) == ""


def test_nothing_is_made_over_something_else(applied: Repository) -> None:
    with pytest.raises(Refused, match=r"something at .*coder already"):
        Repository.create(applied.path, {}, "seed")
    assert git(applied.path, "log", "--format=%s") == "seed"


def test_a_repository_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="git's own folder"):
        Repository.create(tmp_path / "new", {".git/config": b""}, "seed")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_repository_is_not_found(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "below").mkdir()
    with pytest.raises(NotFound, match=r"no git repository at .*below"):
        Repository(tmp_path / "below").main()


# One of them closes folders alone.
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000, 0o033])
def test_others_can_read_and_nobody_else_write_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    def work(_number: int) -> None:
        os.umask(umask)
        repository = Repository.create(tmp_path / "made", {"a/b": b"1"}, "seed")
        repository.tag(["deployed/1"], repository.commit({"c/d": b"2"}, "more"))

    assert at_once(1, work) == [0]
    for folder, folders, files in os.walk(tmp_path / "made"):
        for name in folders:
            assert stat.S_IMODE(os.lstat(os.path.join(folder, name)).st_mode) == 0o755, name
        for name in files:
            mode = stat.S_IMODE(os.lstat(os.path.join(folder, name)).st_mode)
            assert mode & 0o444 == 0o444 or name == "hive-lock", name
            assert mode & 0o022 == 0, name


def test_a_clone_can_be_pulled_and_pushed_from_and_shares_no_file(applied: Repository, clone: Path) -> None:
    applied.commit({"more": b"1"}, "more")
    git(clone, "pull", "-q", "--ff-only")
    assert git(clone, "rev-parse", "HEAD") == applied.main()
    assert git(clone, "status", "--porcelain", "--branch") == "## main...origin/main"
    inodes = {path.stat().st_ino for path in applied.path.rglob("*")}
    assert not inodes & {path.stat().st_ino for path in clone.rglob("*")}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_clone_belongs_to_its_owner_when_it_appears(applied: Repository, tmp_path: Path) -> None:
    Repository.clone(applied, tmp_path / "theirs", origin="/applied.git", owner=(4242, 4243))
    owners = {(path.lstat().st_uid, path.lstat().st_gid) for path in (tmp_path / "theirs").rglob("*")}
    assert owners == {(4242, 4243)}
    sha = commit_as_stranger(tmp_path / "theirs")
    assert applied.receive(tmp_path / "theirs", sha, PROPOSAL) == sha


def commit_as_stranger(path: Path) -> str:
    return git(path, "-c", f"safe.directory={path}", "commit-tree", "HEAD^{tree}", "-m", "x", "-p", "HEAD")


def test_a_commit_takes_work_tree_and_index_along_and_leaves_the_rest(applied: Repository) -> None:
    (applied.path / "agent.toml").write_text("dirty")
    before = applied.main()
    sha = applied.commit({"meta/flake.nix": b"{ }", "top": b"1"}, "render")
    assert applied.main() == sha != before
    assert applied.is_fast_forward(before, sha)
    assert not applied.is_fast_forward(sha, before)
    assert (applied.path / "meta/flake.nix").read_bytes() == b"{ }"
    assert status(applied) == " M agent.toml"
    applied.restore("agent.toml")
    assert status(applied) == ""
    applied.commit({"meta/flake.nix": None}, "remove")
    assert not (applied.path / "meta").exists()
    assert status(applied) == ""


def test_committing_what_is_there_already_makes_no_commit(applied: Repository) -> None:
    (applied.path / "agent.toml").write_text("dirty")
    assert applied.is_dirty("agent.toml")
    sha = applied.commit({"agent.toml": b"dirty"}, "lock")
    assert not applied.is_dirty("agent.toml")
    assert applied.commit({"agent.toml": b"dirty"}, "lock again") == sha
    assert [line.subject for line in applied.log(10)] == ["lock", "seed"]
    assert status(applied) == ""


def test_a_file_that_main_does_not_have_is_dirty_and_restored_to_nothing(applied: Repository) -> None:
    (applied.path / "flake.lock").write_text("{}")
    assert applied.is_dirty("flake.lock")
    applied.restore("flake.lock")
    assert not applied.is_dirty("flake.lock")
    assert status(applied) == ""


def test_main_moves_only_from_where_it_was_expected(applied: Repository, clone: Path) -> None:
    old, new = applied.main(), proposed(applied, clone, {"agent.toml": "x", "b/c": "y"})
    other = applied.commit({"z": b"1"}, "meanwhile")
    with pytest.raises(Refused, match=f"moved to {other[:12]} meanwhile"):
        applied.move_main(old, new)
    applied.move_main(other, new)
    assert (applied.main(), status(applied)) == (new, "")
    assert sorted(path.name for path in applied.path.iterdir()) == [".git", "agent.toml", "b"]


def test_moving_to_where_main_is_mends_work_tree_index_and_head(applied: Repository, clone: Path) -> None:
    old, new = applied.main(), proposed(applied, clone, {"agent.toml": "x", "b/c": "y"})
    applied.move_main(old, new)
    (applied.path / "agent.toml").unlink()
    (applied.path / "agent.toml").symlink_to("/etc/passwd")
    (applied.path / "b/c").unlink()
    (applied.path / "b").rmdir()
    (applied.path / "b").symlink_to("/tmp")
    (applied.path / "left/over").mkdir(parents=True)
    (applied.path / "left/over/file").write_text("")
    git(applied.path, "checkout", "-q", "--detach")
    git(applied.path, "rm", "-q", "--cached", "agent.toml")
    applied.move_main(old, new)
    assert status(applied) == ""
    assert git(applied.path, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert (applied.path / "b/c").read_text() == "y"
    assert not Path("/tmp/c").exists()


def test_files_become_folders_and_folders_files(applied: Repository, clone: Path) -> None:
    first = proposed(applied, clone, {"a/b": "1", "c": "2"}, 1)
    applied.move_main(applied.main(), first)
    git(clone, "rm", "-rq", "a", "c")
    second = proposed(applied, clone, {"a": "1", "c/d": "2"}, 2)
    for before, after in ((first, second), (second, first)):
        applied.move_main(before, after)
        assert status(applied) == ""


def test_attributes_change_no_byte_of_the_work_tree(applied: Repository, clone: Path) -> None:
    attributes = "* text eol=crlf ident working-tree-encoding=UTF-16 filter=evil\n"
    content = b"one\ntwo $Id: x$ $Id$\r\nthree\r"
    git(clone, "add", "-A")
    tree = {".gitattributes": attributes.encode(), "text": content}
    shas = {name: git(clone, "hash-object", "-w", "--stdin", data=data) for name, data in tree.items()}
    listing = "".join(f"100644 blob {sha}\t{name}\n" for name, sha in shas.items())
    made = git(clone, "mktree", data=listing.encode())
    sha = applied.receive(clone, git(clone, "commit-tree", made, "-m", "x", "-p", "HEAD"), PROPOSAL)
    marker = applied.path.parent / "marker"
    git(applied.path, "config", "filter.evil.smudge", f"touch {marker}; cat")
    git(applied.path, "config", "filter.evil.clean", f"touch {marker}; cat")
    applied.move_main(applied.main(), sha)
    assert (applied.path / "text").read_bytes() == content
    (applied.path / "text").touch()
    assert status(applied) == ""
    git(applied.path, "reset", "-q", "--hard")
    assert (applied.path / "text").read_bytes() == content
    assert not marker.exists()


def test_links_become_plain_files_and_hooks_do_not_run(applied: Repository, clone: Path) -> None:
    marker = applied.path.parent / "marker"
    for hook in ("post-checkout", "reference-transaction", "pre-commit", "post-commit", "post-index-change"):
        (applied.path / ".git/hooks" / hook).write_text(f"#!/bin/sh\ntouch {marker}\n")
        (applied.path / ".git/hooks" / hook).chmod(0o755)
    (clone / "passwd").symlink_to("/etc/passwd")
    sha = proposed(applied, clone, {})
    applied.move_main(applied.main(), sha)
    applied.commit({"a": b"b"}, "more")
    assert not (applied.path / "passwd").is_symlink()
    assert (applied.path / "passwd").read_text() == "/etc/passwd"
    assert not marker.exists()


def test_tags_are_made_together_once_and_never_moved(applied: Repository, clone: Path) -> None:
    old, new = applied.main(), proposed(applied, clone, {"a": "1"})
    applied.tag(["approved/1", "building/1"], new)
    applied.tag(["approved/1", "deployed/1"], new)
    with pytest.raises(Refused, match="approved/1 of coder is on another commit"):
        applied.tag(["fresh/1", "approved/1"], old)
    assert applied.tags() == dict.fromkeys(["proposal/1", "approved/1", "building/1", "deployed/1"], new)
    applied.untag(["building/1", "never/1", "building/1"])
    assert "building/1" not in applied.tags()
    assert git(applied.path, "tag").split() == ["approved/1", "deployed/1", "proposal/1"]
    assert list((applied.path / ".git").rglob("*.lock")) == []


def test_annotated_tags_keep_their_message_and_are_made_once(applied: Repository, clone: Path) -> None:
    old, new = applied.main(), proposed(applied, clone, {"a": "1"})
    applied.annotate("denied/1", new, "no: näh\n\nreally \0 \ud800")
    applied.annotate("denied/1", new, "another")
    applied.annotate("denied/2", new, "")
    with pytest.raises(Refused, match="on another commit"):
        applied.annotate("denied/1", old, "no")
    assert applied.annotation("denied/1") == "no: näh\n\nreally \\0 \\ud800"
    assert applied.annotation("denied/2") == ""
    assert applied.annotation("proposal/1") is None
    assert applied.annotation("denied/3") is None
    assert applied.tags()["denied/1"] == new
    assert "näh" in git(applied.path, "show", "denied/1")
    assert git(applied.path, "fsck", "--strict") == ""


@pytest.mark.parametrize("name", ["", "-x", "a b", "../../heads/main", "x.lock", "a..b", "x\n"])
def test_names_that_git_does_not_allow_become_no_tag(applied: Repository, name: str) -> None:
    with pytest.raises(Invalid, match="no tag that git allows"):
        applied.tag([name], applied.main())


def test_packed_tags_are_tags_too(applied: Repository) -> None:
    applied.tag(["deployed/1", "deployed/2"], applied.main())
    git(applied.path, "pack-refs", "--all")
    git(applied.path, "gc", "-q")
    applied.untag(["deployed/1"])
    assert list(applied.tags()) == ["deployed/2"]
    assert applied.move_main(applied.main(), applied.main()) is None
    assert status(applied) == ""


def test_a_lock_file_of_somebody_elses_git_is_respected(applied: Repository) -> None:
    lock = applied.path / ".git/refs/heads/main.lock"
    lock.touch()
    with pytest.raises(Refused, match="lock"):
        applied.commit({"a": b"b"}, "more")
    assert lock.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_repository_that_became_somebody_elses_is_not_opened(applied: Repository) -> None:
    for path in (applied.path, applied.path / ".git"):
        os.chown(path, 4242, 4242)
    with pytest.raises(Refused, match=r"cannot be opened: .*owned by"):
        Repository(applied.path).main()


def test_a_tag_on_something_else_than_a_commit_is_no_decision(applied: Repository) -> None:
    git(applied.path, "tag", "tree", "main^{tree}")
    git(applied.path, "tag", "-a", "-m", "x", "file", "main:agent.toml")
    assert applied.tags() == {}


def test_only_the_named_file_is_removed_whatever_its_name_means_to_git(applied: Repository) -> None:
    applied.commit({"a*": b"1", "ab": b"2"}, "add")
    applied.commit({"a*": None, "absent": None}, "remove")
    assert git(applied.path, "ls-files").split() == ["ab", "agent.toml"]
    assert status(applied) == ""


def test_two_processes_that_commit_at_once_lose_nothing(applied: Repository) -> None:
    def work(number: int) -> None:
        for turn in range(10):
            Repository(applied.path).commit({f"{number}-{turn}": b""}, "one")

    assert at_once(2, work) == [0, 0]
    assert len(applied.log(100)) == 21
    assert len(git(applied.path, "ls-files").splitlines()) == 21
    assert status(applied) == ""


def test_a_gitconfig_of_the_user_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / ".gitconfig").write_text("[core]\n autocrlf = true\n[init]\n defaultBranch = trunk\n")
    program = """
from pathlib import Path
from hive_core.git.repository import Repository
Repository.create(Path("r"), {"a": b"1\\n"}, "x")
"""
    subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert git(tmp_path / "r", "branch", "--show-current") == "main"
    assert (tmp_path / "r/a").read_bytes() == b"1\n"
