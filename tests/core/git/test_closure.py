"""What git calls broken, and what would only be broken once it is laid out, never enters a repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive_core.errors import Refused
from hive_core.git.packs import DamagedObject
from hive_core.git.repository import Repository
from tests.git import commit, git, raw_commit, tree, write_object
from tests.needs import requires

pytestmark = requires("git")
REF = "refs/tags/proposal/1"


def refused(applied: Repository, clone: Path, sha: str, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        applied.receive(clone, sha, REF)
    assert applied.tags() == {}
    assert applied.resolve(sha) is None


@pytest.mark.parametrize(
    "name",
    [
        ".git",
        ".GIT",
        ".Git",
        "git~1",
        "GIT~1",
        ".git ",
        ".git...",
        ".git::$INDEX_ALLOCATION",
        ".g\u200cit",
        "a\\.git\\b",
    ],
)
def test_no_disguise_of_git_is_taken_in(applied: Repository, clone: Path, name: str) -> None:
    blob = write_object(clone, "blob", b"[core]\n fsmonitor = evil\n")
    inner = write_object(clone, "tree", tree(("100644", "config", blob)))
    below = write_object(clone, "tree", tree(("40000", name, inner)))
    for root in (below, write_object(clone, "tree", tree(("40000", "deep", below)))):
        refused(applied, clone, raw_commit(clone, root), "can be taken for git's own folder")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../../etc/passwd"])
def test_no_name_leads_out_of_the_tree(applied: Repository, clone: Path, name: str) -> None:
    blob = write_object(clone, "blob", b"x")
    refused(
        applied, clone, raw_commit(clone, write_object(clone, "tree", tree(("100644", name, blob)))), "is no name of"
    )


def test_a_name_is_at_most_as_long_as_a_file_system_allows(applied: Repository, clone: Path) -> None:
    blob = write_object(clone, "blob", b"x")
    root = write_object(clone, "tree", tree(("100644", "n" * 256, blob)))
    refused(applied, clone, raw_commit(clone, root), "longer than a file system allows")


def test_no_name_is_there_twice_or_out_of_place(applied: Repository, clone: Path) -> None:
    blob, other = write_object(clone, "blob", b"x"), write_object(clone, "blob", b"y")
    folder = write_object(clone, "tree", tree(("100644", "z", blob)))
    for entries in (
        [("100644", "a", blob), ("100644", "a", other)],
        [("100644", "b", blob), ("100644", "a", other)],
        [("100644", "a", blob), ("100644", "a.b", other), ("40000", "a", folder)],
    ):
        root = write_object(clone, "tree", tree(*entries))
        refused(applied, clone, raw_commit(clone, root), "twice, or not in its place")


@pytest.mark.parametrize("content", [b"100644 a", b"100644 a\0short", b"junk", b"100666 a\0" + bytes(20), b"\0" * 30])
def test_a_tree_that_is_none_is_refused(applied: Repository, clone: Path, content: bytes) -> None:
    refused(applied, clone, raw_commit(clone, write_object(clone, "tree", content)), "is not one that git writes")


@pytest.mark.parametrize(
    "change",
    [
        (b"tree ", b"root "),
        (b"author Ada <ada@example.org>", b"author Ada <ada<@example.org>"),
        (b"committer ", b"committee "),
        (b"1700000000 +0000\ncommitter", b"17000000000000000 +0000\ncommitter"),
        (b"author Ada", b"author A\0da"),
    ],
)
def test_a_commit_that_is_none_is_refused(applied: Repository, clone: Path, change: tuple[bytes, bytes]) -> None:
    root = git(clone, "rev-parse", "HEAD^{tree}")
    person = b"Ada <ada@example.org> 1700000000 +0000\n"
    honest = b"tree " + root.encode() + b"\nauthor " + person + b"committer " + person + b"\nmessage\n"
    assert change[0] in honest
    sha = write_object(clone, "commit", honest.replace(*change))
    with pytest.raises(DamagedObject, match="is not one that git writes"):
        applied.receive(clone, sha, REF)
    assert applied.receive(clone, write_object(clone, "commit", honest), REF)


def test_an_object_of_another_kind_than_its_place_asks_for_is_refused(applied: Repository, clone: Path) -> None:
    blob = write_object(clone, "blob", b"x")
    refused(applied, clone, raw_commit(clone, blob), "should be a tree, but is a blob")
    known = applied.main()
    refused(applied, clone, raw_commit(clone, known), "should be a tree, but is a commit")
    root = write_object(clone, "tree", tree(("100644", "x", known)))
    refused(applied, clone, raw_commit(clone, root), "should be a blob, but is a commit")


def test_a_tree_of_few_objects_and_billions_of_files_is_refused(applied: Repository, clone: Path) -> None:
    below, mode = write_object(clone, "blob", b"x"), "100644"
    for _ in range(10):
        below, mode = write_object(clone, "tree", tree(*((mode, f"{place}", below) for place in range(10)))), "40000"
    refused(applied, clone, raw_commit(clone, below), "too large for a configuration: at most 2000 files")


def test_a_blob_counts_as_often_as_it_is_named(applied: Repository, clone: Path) -> None:
    blob = write_object(clone, "blob", bytes(1 << 20))
    root = write_object(clone, "tree", tree(*(("100644", f"{place:02}", blob) for place in range(17))))
    refused(applied, clone, raw_commit(clone, root), "too large for a configuration: at most 2000 files, 16 MiB")
    root = write_object(clone, "tree", tree(*(("100644", f"{place:02}", blob) for place in range(16))))
    applied.receive(clone, raw_commit(clone, root), REF)
    # It is there now, and counts all the same.
    root = write_object(clone, "tree", tree(("40000", "a", root), ("100644", "b", blob)))
    with pytest.raises(Refused, match="16 MiB"):
        applied.receive(clone, raw_commit(clone, root), "refs/tags/proposal/9")


def test_many_small_steps_do_not_add_up_to_a_huge_tree(applied: Repository, clone: Path) -> None:
    below, mode = write_object(clone, "blob", b"x"), "100644"
    for number in range(3):
        below, mode = write_object(clone, "tree", tree(*((mode, f"{place}", below) for place in range(10)))), "40000"
        applied.receive(clone, raw_commit(clone, below), f"refs/tags/proposal/{number}")
    below = write_object(clone, "tree", tree(*(("40000", f"{place}", below) for place in range(3))))
    with pytest.raises(Refused, match="at most 2000 files"):
        applied.receive(clone, raw_commit(clone, below), "refs/tags/proposal/9")


def test_a_tree_a_thousand_folders_deep_is_refused(applied: Repository, clone: Path) -> None:
    below, mode = write_object(clone, "blob", b"x"), "100644"
    for _ in range(1000):
        below, mode = write_object(clone, "tree", tree((mode, "d", below))), "40000"
    refused(applied, clone, raw_commit(clone, below), "32 folders deep")


def test_a_history_of_thousands_of_commits_is_no_problem(applied: Repository, clone: Path) -> None:
    sha, root = git(clone, "rev-parse", "HEAD"), git(clone, "rev-parse", "HEAD^{tree}")
    for _ in range(2000):
        sha = raw_commit(clone, root, sha)
    assert applied.receive(clone, sha, REF) == sha
    assert git(applied.path, "fsck", "--strict") == ""


def test_more_new_commits_than_a_person_would_call_a_proposal_are_refused(applied: Repository, clone: Path) -> None:
    sha, root = git(clone, "rev-parse", "HEAD"), git(clone, "rev-parse", "HEAD^{tree}")
    for _ in range(2001):
        sha = raw_commit(clone, root, sha)
    refused(applied, clone, sha, "brings more than 2000 commits")


def test_an_honest_proposal_with_links_and_submodules_arrives_for_review(applied: Repository, clone: Path) -> None:
    (clone / "link").symlink_to("/etc/passwd")
    (clone / "module").mkdir()
    git(clone, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    git(clone, "add", "link")
    sha = commit(clone, {"a\nb": "odd", "c\\d": "odd"})
    assert applied.receive(clone, sha, REF) == sha
    assert git(applied.path, "ls-tree", sha, "module") == f"160000 commit {'1' * 40}\tmodule"
