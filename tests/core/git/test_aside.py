"""Single files of a repository that is not hive's: what its commit holds, whatever else the repository says."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive_core.errors import HiveError, Refused
from hive_core.git.foreign import files_below
from hive_core.git.peek import checked_out
from hive_core.git.repository import Repository
from tests.git import git, loose, raw_commit, tree, write_object

FILES = {
    "agent.toml": b"a",
    "prompts/system.md": b"b",
    "prompts/deep/er/one.md": b"c",
    "prompts.md": b"d",
    "scripts/start": b"e",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Repository.create(tmp_path / "r", FILES, "Begin").path


def committed(folder: Path, *entries: tuple[str, str, str]) -> str:
    return raw_commit(folder, write_object(folder, "tree", tree(*entries)))


def test_a_folder_comes_with_all_below_it_and_nothing_that_only_begins_with_its_name(folder: Path) -> None:
    sha = Repository(folder).main()
    found = files_below(folder, sha, "prompts")
    assert found == [("prompts/deep/er/one.md", 0o644, b"c"), ("prompts/system.md", 0o644, b"b")]
    assert files_below(folder, sha, "prompts.md") == [("prompts.md", 0o644, b"d")]
    assert files_below(folder, sha, "prompt") == []
    assert files_below(folder, sha, "prompts/deep") == []


def test_it_is_the_commit_that_is_read_and_not_what_lies_around(folder: Path) -> None:
    sha = Repository(folder).main()
    (folder / "prompts" / "system.md").write_text("changed and not committed")
    Repository(folder).commit({"prompts/system.md": b"newer"}, "later")
    found = files_below(folder, sha, "prompts")
    assert found is not None
    assert found[-1] == ("prompts/system.md", 0o644, b"b")


def test_a_program_stays_one_and_no_link_or_submodule_is_a_file(folder: Path) -> None:
    blob = write_object(folder, "blob", b"/etc/passwd")
    inner = write_object(folder, "tree", tree(("120000", "link", blob), ("100755", "run", blob), ("160000", "s", blob)))
    sha = committed(folder, ("40000", "in", inner), ("120000", "linked", blob), ("100755", "run", blob))
    assert files_below(folder, sha, "in") == [("in/run", 0o755, b"/etc/passwd")]
    assert files_below(folder, sha, "run") == [("run", 0o755, b"/etc/passwd")]
    assert files_below(folder, sha, "linked") == []


def test_a_repository_without_a_work_tree_or_in_another_place_is_read_just_so(folder: Path, tmp_path: Path) -> None:
    sha = Repository(folder).main()
    git(tmp_path, "clone", "-q", "--bare", str(folder), "bare")
    git(folder, "worktree", "add", "-q", "--detach", str(tmp_path / "tree"))
    for place in ("bare", "tree"):
        assert files_below(tmp_path / place, sha, "agent.toml") == [("agent.toml", 0o644, b"a")]


def test_of_what_is_gone_or_not_whole_there_is_nothing_to_say(folder: Path, tmp_path: Path) -> None:
    sha = Repository(folder).main()
    assert files_below(tmp_path / "absent", sha, "prompts") is None
    assert files_below(folder, "0" * 40, "prompts") is None
    for name in ("HEAD", "", "main"):
        assert files_below(folder, name, "prompts") is None
    # Neither a tree nor a file is a commit.
    assert files_below(folder, git(folder, "rev-parse", "main^{tree}"), "prompts") is None
    assert files_below(folder, git(folder, "rev-parse", "main:agent.toml"), "prompts") is None
    loose(folder, git(folder, "rev-parse", "main:prompts/system.md")).unlink()
    assert files_below(folder, sha, "prompts") is None
    # What is not asked for may be missing: a partial clone has no more.
    assert files_below(folder, sha, "prompts.md") == [("prompts.md", 0o644, b"d")]


def test_a_tree_that_git_would_not_write_is_not_read(folder: Path) -> None:
    broken = raw_commit(folder, write_object(folder, "tree", b"100644 a\0too short"))
    assert files_below(folder, broken, "a") is None
    no_tree = write_object(folder, "commit", b"parent " + b"1" * 40 + b"\n\nx\n")
    assert files_below(folder, no_tree, "a") is None


def test_a_look_shows_the_regular_files_of_the_commit_of_head(folder: Path) -> None:
    assert checked_out(folder, ["agent.toml", "prompts.md", "absent", "prompts"]) == {
        "agent.toml": b"a",
        "prompts.md": b"d",
    }
    # Only right in the top folder.
    assert checked_out(folder, ["prompts/system.md", ""]) == {}
    (folder / "agent.toml").write_text("not committed")
    assert checked_out(folder, ["agent.toml"]) == {"agent.toml": b"a"}


def test_a_look_follows_no_link(folder: Path) -> None:
    blob = write_object(folder, "blob", b"/etc/passwd")
    sha = committed(folder, ("120000", "agent.toml", blob), ("160000", "flake.nix", blob), ("100755", "run", blob))
    (folder / ".git" / "HEAD").write_text(f"{sha}\n")
    assert checked_out(folder, ["agent.toml", "flake.nix", "run"]) == {"run": b"/etc/passwd"}


def test_a_look_at_what_has_no_commit_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "empty")
    for place in ("absent", "empty"):
        with pytest.raises(Refused, match="is no git repository with a commit") as refused:
            checked_out(tmp_path / place, ["agent.toml"])
        assert refused.value.hint == "Commit in it, or remove it."
    no_tree = write_object(folder, "commit", b"parent " + b"1" * 40 + b"\n\nx\n")
    for sha in ("0" * 40, no_tree, git(folder, "rev-parse", "main:agent.toml")):
        (folder / ".git" / "HEAD").write_text(f"{sha}\n")
        with pytest.raises(HiveError):
            checked_out(folder, ["agent.toml"])
