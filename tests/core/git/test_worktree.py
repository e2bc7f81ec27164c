"""A tree laid out as plain files: exactly these, whatever was there before, and no link is made or followed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hive_core.git.worktree import read_file, remove_file, write_file, write_work_tree
from tests.properties import thorough

Files = dict[str, tuple[int, bytes]]
_content = st.tuples(st.sampled_from([0o644, 0o755]), st.binary(max_size=5))
_parts = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map("/".join)


def whole(files: Files) -> Files:
    """Those of these files that can lie side by side: none where another's folder has to be."""
    return {path: file for path, file in files.items() if not any(other.startswith(f"{path}/") for other in files)}


trees = st.dictionaries(_parts, _content, max_size=5).map(whole)


def found(root: Path) -> Files:
    return {
        path.relative_to(root).as_posix(): (path.stat().st_mode & 0o777, path.read_bytes())
        for path in root.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(root).parts
    }


# Each is synced to the disk, file by file.
@settings(thorough, max_examples=15)
@given(trees, trees)
def test_a_folder_holds_exactly_the_files_of_a_tree_whatever_it_held_before(before: Files, after: Files) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / ".git").mkdir()
        (root / ".git" / "kept").write_text("x")
        for files in (before, after):
            write_work_tree(root, files)
            assert found(root) == files
        # No empty folder is left, and git's own is as it was.
        assert all(any(path.rglob("*")) for path in root.rglob("*") if path.is_dir())
        assert os.listdir(root / ".git") == ["kept"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    (made / ".git").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("somebody's")
    return made


def test_what_is_right_already_is_not_touched(root: Path) -> None:
    write_work_tree(root, {"a/b": (0o644, b"x")})
    before = (root / "a/b").stat()
    write_work_tree(root, {"a/b": (0o644, b"x"), "c": (0o755, b"y")})
    assert (root / "a/b").stat() == before


@pytest.mark.parametrize("place", ["a", "a/file"])
def test_a_link_in_the_way_is_replaced_and_not_followed(root: Path, tmp_path: Path, place: str) -> None:
    (root / place).parent.mkdir(exist_ok=True)
    (root / place).symlink_to(tmp_path / "outside" if place == "a" else tmp_path / "outside" / "file")
    write_work_tree(root, {"a/file": (0o644, b"ours")})
    assert not (root / "a").is_symlink()
    assert found(root) == {"a/file": (0o644, b"ours")}
    assert (tmp_path / "outside" / "file").read_text() == "somebody's"


def test_a_folder_in_the_place_of_a_file_goes_and_so_does_a_file_in_that_of_a_folder(root: Path) -> None:
    write_work_tree(root, {"a/b/c": (0o644, b"x")})
    write_file(root, "a", (0o644, b"y"))
    assert read_file(root, "a") == (0o644, b"y")
    (root / "d").write_text("in the way")
    write_file(root, "d/e", (0o755, b"z"))
    assert read_file(root, "d/e") == (0o755, b"z")


def test_what_is_no_regular_file_reads_as_none(root: Path, tmp_path: Path) -> None:
    (root / "link").symlink_to(tmp_path / "outside" / "file")
    os.mkfifo(root / "pipe")
    for path in ("link", "pipe", ".git", "nowhere", "link/below"):
        assert read_file(root, path) is None


def test_with_a_file_the_folders_go_that_are_empty_without_it(root: Path) -> None:
    write_work_tree(root, {"a/b/c": (0o644, b"x"), "a/d": (0o644, b"y")})
    remove_file(root, "a/b/c")
    assert found(root) == {"a/d": (0o644, b"y")}
    assert not (root / "a/b").exists()
    remove_file(root, "a/b/c")
    remove_file(root, "a/d")
    assert os.listdir(root) == [".git"]
