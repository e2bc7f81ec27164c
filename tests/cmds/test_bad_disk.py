"""A disk that is full, read-only or damaged: it is said so, nothing is called a bug, and all goes on after."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hives import TestHive
from tests.needs import needs_root


@pytest.fixture
def small(tmp_path: Path) -> Iterator[TestHive]:
    """A hive with an agent on a disk of its own, of 12 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m,mode=711", "none", str(disk)], check=True)
    made = TestHive(disk)
    try:
        made.spawn("coder")
        yield made
        made.close()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


COMMANDS = [["send", "coder", "hi " * 5000], ["stop", "coder"], ["request-spawn", "other"], ["watch", "--once"]]


@needs_root
def test_a_full_disk_is_said_to_be_full_and_all_goes_on_when_there_is_room(small: TestHive) -> None:
    filling = small.root / "filling"
    with filling.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(b"x" * 4096)
    for command in COMMANDS:
        assert "disk" in small.run(*command, code=1).stderr
    filling.unlink()
    small.run("watch", "--once")
    small.run("stop", "coder")
    small.run("start", "coder")
    assert small.agent("coder")["running"] is True


def test_a_database_that_is_none_is_told_of(hive: TestHive) -> None:
    hive.run("list")
    for name in ("hive.db-wal", "hive.db-shm"):
        (hive.home / name).unlink(missing_ok=True)
    (hive.home / "hive.db").write_bytes(b"nonsense" * 1000)
    assert "damaged" in hive.run("list", code=1).stderr


@pytest.mark.parametrize("damage", ["garbage", "removed"])
def test_a_rebuild_mends_a_damaged_generation(hive: TestHive, damage: str) -> None:
    hive.spawn("coder")
    hive.run("stop", "coder")
    generation = next((hive.home / "containers" / "coder" / "generations").iterdir())
    generation.chmod(0o700)
    (generation / "agent.toml").unlink()
    if damage == "garbage":
        (generation / "agent.toml").write_text("garbage [")
    else:
        generation.rmdir()
    assert "bug" not in hive.run("start", "coder", code=1).stderr
    hive.run("rebuild", "coder")
    hive.run("start", "coder")
    assert hive.agent("coder")["running"] is True
