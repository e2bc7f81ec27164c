"""The commit of a checkout is read without a git library, as git itself would say it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hive_core.git.revision import head_revision
from tests.git import ROOT, commit, git
from tests.needs import requires

pytestmark = requires("git")


def test_every_kind_of_checkout_is_read_as_git_reads_it(tmp_path: Path) -> None:
    main = tmp_path / "main"
    main.mkdir()
    git(main, "init", "-q", "-b", "main")
    assert head_revision(main) is None
    first = commit(main, {"a": "1"})
    assert head_revision(main) == first
    git(main, "worktree", "add", "-q", "-b", "side/branch", str(tmp_path / "tree"))
    second = commit(tmp_path / "tree", {"a": "2"})
    assert (head_revision(main), head_revision(tmp_path / "tree")) == (first, second)
    git(main, "pack-refs", "--all")
    assert (head_revision(main), head_revision(tmp_path / "tree")) == (first, second)
    git(main, "checkout", "-q", "--detach", second)
    assert head_revision(main) == second


def test_what_is_no_checkout_has_no_revision(tmp_path: Path) -> None:
    assert head_revision(tmp_path) is None
    assert head_revision(tmp_path / "absent") is None
    (tmp_path / ".git").write_text("nonsense")
    assert head_revision(tmp_path) is None
    (tmp_path / ".git").write_text("gitdir: nowhere")
    assert head_revision(tmp_path) is None


def test_a_head_that_names_itself_is_no_revision(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").write_text("ref: HEAD\n")
    assert head_revision(tmp_path) is None


def test_no_git_library_is_loaded_for_it() -> None:
    program = "import sys, hive_core.git.revision; sys.exit('pygit2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
