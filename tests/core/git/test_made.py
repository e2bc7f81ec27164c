"""Folders that appear whole or not at all, and what is left of those that did not."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import pytest

from hive_core.errors import Refused
from hive_core.git.made import give_away, made_beside, make_readable, sweep
from tests.needs import needs_root


def test_a_folder_is_there_when_the_block_has_ended_well(tmp_path: Path) -> None:
    with made_beside(tmp_path / "a", tmp_path) as folder:
        (folder / "file").write_text("x")
        assert not (tmp_path / "a").exists()
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a" / "file").read_text() == "x"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o755


def test_of_a_block_that_fails_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(KeyError), made_beside(tmp_path / "a", tmp_path) as folder:
        (folder / "file").write_text("x")
        raise KeyError
    with pytest.raises(Refused, match="could not be made"), made_beside(tmp_path / "a", tmp_path):
        raise OSError(28, "No space left on device")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("what", ["file", "folder", "dangling link"])
def test_what_is_there_already_is_left_as_it_is(tmp_path: Path, what: str) -> None:
    place = tmp_path / "a"
    {"file": place.touch, "folder": place.mkdir, "dangling link": lambda: place.symlink_to("nowhere")}[what]()
    with pytest.raises(Refused, match="There is something at"), made_beside(place, tmp_path):
        raise AssertionError("it is not begun")
    assert os.listdir(tmp_path) == ["a"]


def test_what_a_killed_one_left_is_removed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / ".a.new" / "deep").mkdir(parents=True)
    with made_beside(tmp_path / "a", tmp_path) as folder:
        assert os.listdir(folder) == []
    assert os.listdir(tmp_path) == ["a"]


def test_leftovers_are_measured_then_swept_and_nothing_else_is(tmp_path: Path) -> None:
    (tmp_path / ".a.new").mkdir()
    (tmp_path / ".a.new" / "file").write_bytes(b"x" * 8192)
    for kept in ("a", ".hidden", "b.new"):
        (tmp_path / kept).mkdir()
    (tmp_path / ".link.new").symlink_to(tmp_path / "a")
    assert sweep(tmp_path, dry=True) == 8192
    assert (tmp_path / ".a.new").exists()
    assert sweep(tmp_path, dry=False) == 8192
    assert sorted(os.listdir(tmp_path)) == [".hidden", ".link.new", "a", "b.new"]
    assert sweep(tmp_path / "nowhere", dry=False) == 0


def test_who_is_at_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".a.new").mkdir()
    held = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(held, fcntl.LOCK_EX)
    assert sweep(tmp_path, dry=False) == 0
    os.close(held)
    assert (tmp_path / ".a.new").exists()


def test_under_a_narrow_umask_others_can_read_it_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o700)
    for name, mode in (("plain", 0o600), ("folder/run", 0o700), ("fixed", 0o400)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    before = os.umask(0o077)
    try:
        make_readable(tmp_path)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {"folder": 0o755, "plain": 0o644, "run": 0o744, "fixed": 0o444}


@needs_root
def test_all_of_a_folder_is_given_away_and_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "others").touch()
    (tmp_path / "own" / "file").touch()
    (tmp_path / "own" / "link").symlink_to(tmp_path / "others")
    give_away(tmp_path / "own", (700_005, 700_006))
    given = [path.lstat() for path in (tmp_path / "own", *(tmp_path / "own").iterdir())]
    assert {(each.st_uid, each.st_gid) for each in given} == {(700_005, 700_006)}
    assert (tmp_path / "others").stat().st_uid == os.geteuid()
