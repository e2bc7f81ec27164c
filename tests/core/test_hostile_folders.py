"""Folders that an agent has filled: whatever is in them, measuring ends and removing removes, and nothing outside."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import gettempdir

import pytest

from hive_core.hostile_folders import MOST_ENTRIES, hand_over, measure, remove
from tests.needs import needs_root
from tests.users import USER, become, open_folder


@pytest.fixture
def state(tmp_path: Path) -> Path:
    made = tmp_path / "state"
    made.mkdir()
    return made


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """Have measuring end after this many files already."""
    monkeypatch.setattr("hive_core.hostile_folders.MOST_ENTRIES", 300)
    return 300


def dig(folder: Path, depth: int) -> None:
    """A chain of folders that is too deep for recursion and too long for a path."""
    at = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("deep", dir_fd=at)
        below = os.open("deep", os.O_RDONLY, dir_fd=at)
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=below))
        os.close(at)
        at = below
    os.close(at)


def test_a_tree_of_two_thousand_levels_is_measured_and_removed(state: Path) -> None:
    dig(state, 2000)
    measure(state)
    remove(state)
    assert not state.exists()


@needs_root
def test_a_tree_of_two_thousand_levels_is_handed_over_with_few_descriptors(state: Path) -> None:
    dig(state, 2000)
    (state / "beside").mkdir()
    (state / "link").symlink_to("/etc/passwd")
    code = (
        "import resource, sys; from pathlib import Path; from hive_core.hostile_folders import hand_over;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20)); hand_over(Path(sys.argv[1]), 700001)"
    )
    subprocess.run([sys.executable, "-c", code, str(state)], check=True)
    found = subprocess.run(["find", str(state), "!", "-uid", "700001"], capture_output=True, text=True, check=True)
    assert found.stdout == ""
    assert Path("/etc/passwd").stat().st_uid == 0
    # What cleans up after tests calls itself for each level.
    remove(state)


@needs_root
def test_a_folder_can_be_handed_over_twice_and_each_time_whole(state: Path) -> None:
    (state / "a" / "b").mkdir(parents=True)
    hand_over(state, 700002)
    hand_over(state, 700002)
    assert {path.stat().st_uid for path in (state, *state.rglob("*"))} == {700002}


def test_links_out_of_the_folder_are_neither_measured_nor_followed(tmp_path: Path, state: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x" * 5000)
    (state / "link").symlink_to(outside)
    (state / "a").mkdir()
    (state / "a" / "link").symlink_to("../../outside")
    assert measure(state).size < 1000
    remove(state)
    assert (outside / "precious").exists()


def test_folders_that_nobody_may_open_are_removed(state: Path) -> None:
    for name in ("a", "b"):
        (state / name / "inner").mkdir(parents=True)
        (state / name / "inner" / "file").write_text("x")
        (state / name / "inner").chmod(0o500)
        (state / name).chmod(0)
    remove(state)
    assert not state.exists()


def test_pipes_and_sockets_and_names_like_our_own_are_removed(state: Path) -> None:
    os.mkfifo(state / "pipe")
    (state / "x" / ".removing-1").mkdir(parents=True)
    (state / ".removing-1").mkdir()
    remove(state)
    assert not state.exists()


def test_measuring_a_folder_of_too_many_files_ends_early(state: Path) -> None:
    for number in range(300):
        (state / str(number)).write_text("12345")
    assert measure(state).size == 1500
    assert measure(state).whole
    assert MOST_ENTRIES < 100_000


@needs_root
def test_names_that_may_not_be_looked_at_count_too(tmp_path: Path, few: int) -> None:
    tmp_path.chmod(0o711)
    state = tmp_path / "state"
    for folder in range(3):
        (state / str(folder)).mkdir(parents=True)
        for file in range(few // 2):
            os.close(os.open(state / str(folder) / str(file), os.O_CREAT))
        (state / str(folder)).chmod(0o444)
    for parent in tmp_path.parents:
        if parent != Path(gettempdir()) and parent.is_relative_to(gettempdir()):
            parent.chmod(parent.stat().st_mode | 0o011)
    os.seteuid(65534)
    try:
        found = measure(state)
    finally:
        os.seteuid(0)
    assert (found.size, found.whole) == (0, False)


def test_a_hole_takes_up_nothing_and_a_part_says_that_it_is_one(state: Path, few: int) -> None:
    with (state / "hole").open("wb") as file:
        file.truncate(1 << 40)
    assert measure(state).size == 0
    for number in range(few):
        os.close(os.open(state / str(number), os.O_CREAT))
    assert not measure(state).whole


def test_removing_what_is_not_there_is_fine(tmp_path: Path) -> None:
    remove(tmp_path / "nothing")


# Makes files in a folder that it has open, by whatever name that goes, until it may not.
MAKE = """
import os, sys
at = os.open(sys.argv[1], os.O_RDONLY)
try:
    for number in range(10**9):
        os.close(os.open(str(number), os.O_CREAT | os.O_WRONLY, dir_fd=at))
        if number == 10:
            print("making", flush=True)
except OSError as error:
    print(type(error).__name__)
"""


@needs_root
def test_whoever_is_at_work_in_a_folder_that_root_removes_is_kept_from_it(tmp_path: Path) -> None:
    with open_folder() as folder:
        inner = folder / "state" / "inner"
        inner.mkdir(parents=True)
        os.chown(inner, USER, USER)
        argv = [*become(USER), "/usr/bin/python3", "-c", MAKE, str(inner)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as maker:
            assert maker.stdout is not None
            assert maker.stdout.readline() == "making\n"
            remove(folder / "state")
            assert maker.stdout.read() == "PermissionError\n"
        assert not (folder / "state").exists()


def test_a_removal_gives_up_where_much_is_made_meanwhile(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        (state / "a" / str(number)).mkdir(parents=True)
        (state / "a" / f"file {number}").touch()
    # To a removal that begins before all of that.
    monkeypatch.setattr("hive_core.hostile_folders.MOST_MADE_ANEW", 40)
    monkeypatch.setattr("time.time", lambda: 0.0)
    with pytest.raises(OSError, match="faster than they are removed"):
        remove(state)
    monkeypatch.undo()
    remove(state)
    assert not state.exists()


def test_a_link_in_the_place_of_a_folder_is_removed_itself(tmp_path: Path, state: Path) -> None:
    (tmp_path / "link").symlink_to(state)
    remove(tmp_path / "link")
    assert not os.path.lexists(tmp_path / "link")
    assert state.is_dir()
