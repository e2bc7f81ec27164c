"""Exported configurations: there whole or not at all, read-only, and made anew when somebody has changed them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from hive_core.containers.local import generations
from hive_core.errors import BuildFailed
from hive_core.git.repository import Repository

FILES = {"agent.toml": b"x", "bin/run": b"#!/bin/sh\n", "deep/er/file": b"\x00\xff"}


@pytest.fixture
def applied(tmp_path: Path) -> Repository:
    return Repository.create(tmp_path / "applied", FILES, "first")


def export(tmp_path: Path, applied: Repository) -> Path:
    return generations.export(tmp_path / "generations", tmp_path / "applied", applied.main())


def found(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_revision_is_there_as_it_was_committed_and_nobody_can_write_in_it(
    tmp_path: Path, applied: Repository
) -> None:
    folder = export(tmp_path, applied)
    assert folder.name == applied.main()
    assert found(folder) == FILES
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}
    assert modes == {0o555, 0o444}
    assert stat.S_IMODE((tmp_path / "generations").stat().st_mode) == 0o700


def test_again_is_as_good_as_once(tmp_path: Path, applied: Repository) -> None:
    first = export(tmp_path, applied)
    before = first.stat().st_ino
    assert export(tmp_path, applied).stat().st_ino == before


@pytest.mark.parametrize("damage", ["changed", "missing", "a folder"])
def test_one_that_was_damaged_is_made_anew(tmp_path: Path, applied: Repository, damage: str) -> None:
    folder = export(tmp_path, applied)
    file = folder / "agent.toml"
    folder.chmod(0o755)
    file.chmod(0o644)
    if damage == "changed":
        file.write_bytes(b"y")
    else:
        file.unlink()
    if damage == "a folder":
        file.mkdir()
    assert found(export(tmp_path, applied)) == FILES


def test_what_a_killed_export_left_is_cleared_away(tmp_path: Path, applied: Repository) -> None:
    left = tmp_path / "generations" / f".{applied.main()}"
    (left / "old").mkdir(parents=True)
    (left / "old" / "file").write_bytes(b"half")
    (left / "old").chmod(0o555)
    folder = export(tmp_path, applied)
    assert found(folder) == FILES
    assert not left.exists()


@pytest.mark.parametrize("path", ["../out", "/abs", "a//b", "a/./b", "a/../../b", "", "a\0b"])
def test_a_path_that_leads_elsewhere_is_refused_whoever_let_it_through(tmp_path: Path, path: str) -> None:
    with pytest.raises(BuildFailed, match="is not a path a configuration can have"):
        generations.write_whole(tmp_path / "made", [("good", 0o644, b"x"), (path, 0o644, b"x")])
    assert list(tmp_path.iterdir()) == []


def test_what_the_file_system_refuses_for_its_name_is_the_configurations_fault(tmp_path: Path) -> None:
    for files in (["x" * 300], ["a", "a/b"], ["a", "a"]):
        with pytest.raises(BuildFailed, match="could not be written"):
            generations.write_whole(tmp_path / "made", [(name, 0o644, b"") for name in files])
        assert list(tmp_path.iterdir()) == []


def test_those_that_nothing_names_go_and_so_does_what_a_kill_left(tmp_path: Path) -> None:
    for name in ("kept", "old", ".half", ".old-older"):
        generations.write_whole(tmp_path / name.lstrip("."), [("file", 0o644, b"x")])
        if name.startswith("."):
            (tmp_path / name.lstrip(".")).rename(tmp_path / name)
    generations.prune(tmp_path, {"kept", "never was"})
    assert os.listdir(tmp_path) == ["kept"]
    generations.remove(tmp_path / "kept")
    generations.remove(tmp_path / "kept")
    assert os.listdir(tmp_path) == []
