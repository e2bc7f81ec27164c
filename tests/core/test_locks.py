"""Locks: one holder, the kernel's release, a word to whoever waits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hive_core import locks
from hive_core.locks import Busy, beyond_reach, file_lock
from tests.needs import needs_root

HOLDER = (
    "import sys; from pathlib import Path; from hive_core.locks import file_lock\n"
    "with file_lock(Path(sys.argv[1]), 'deploying coder'):\n    print('held', flush=True); sys.stdin.read()\n"
)


@pytest.fixture
def holder(tmp_path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "agent-coder.lock")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_who_will_not_wait_is_told_who_holds_it(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with (
        pytest.raises(Busy, match=f"process {holder.pid}, deploying coder"),
        file_lock(tmp_path / "agent-coder.lock", "x", wait=False),
    ):
        pass
    holder.communicate()


def test_who_waits_is_told_and_gets_it_when_the_holder_is_killed(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    told: list[str] = []

    def say(text: str) -> None:
        told.append(text)
        holder.send_signal(signal.SIGKILL)

    with file_lock(tmp_path / "agent-coder.lock", "mine", say=say):
        assert told == [f"waiting for agent-coder: process {holder.pid}, deploying coder"]
    holder.communicate()


def test_a_link_in_place_of_a_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic"), file_lock(tmp_path / "a.lock", "x"):
        pass
    assert not (tmp_path / "victim").exists()


def test_who_holds_it_is_known_without_all_the_locks_that_others_hold(
    tmp_path: Path, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "agent-coder.lock"
    monkeypatch.setattr(locks, "_TABLE", tmp_path / "not to be read")
    assert locks.holder(lock) == holder.pid
    with lock.open("rb"):
        assert locks.holder(lock) == holder.pid
    holder.communicate()
    assert locks.holder(lock) is None
    # A process has the number by now that has it open, too, but not locked.
    lock.write_text(f"process {os.getpid()}, gone")
    with lock.open("rb"):
        assert locks.holder(lock) is None
    assert locks.holder(tmp_path / "nothing.lock") is None


@needs_root
def test_who_could_not_say_so_on_a_full_disk_is_known_without_the_table_of_all_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_TABLE", tmp_path / "not to be read")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)], check=True)
    try:
        with pytest.raises(OSError, match="No space left"):
            (disk / "filling").write_bytes(b"x" * 2**20)
        lock = disk / "agent-coder.lock"
        with file_lock(lock, "deploying coder"):
            assert locks.holder(lock) == os.getpid()
            with pytest.raises(Busy, match=rf"is busy: process {os.getpid()}\.\n"), file_lock(lock, "x", wait=False):
                pass
        assert locks.holder(lock) is None
        (disk / "filling").unlink()
        with file_lock(lock, "deploying coder"):
            assert lock.read_text() == f"process {os.getpid()}, deploying coder"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_of_a_longer_table_than_is_read_who_says_so_is_believed(
    tmp_path: Path, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status = (tmp_path / "agent-coder.lock").stat()
    other = "1: FLOCK  ADVISORY  WRITE 1 00:00:1 0 EOF\n"
    (tmp_path / "table").write_text(other * (locks.MOST_LOCKS + 1))
    monkeypatch.setattr(locks, "_TABLE", tmp_path / "table")
    assert locks._by_table(status, holder.pid) == holder.pid
    (tmp_path / "table").write_text(other * 3)
    assert locks._by_table(status, holder.pid) is None
    monkeypatch.undo()
    assert locks._by_table(status, 1) == holder.pid
    holder.communicate()


def test_what_is_in_no_hive_has_its_lock_at_no_other_place(tmp_path: Path) -> None:
    assert beyond_reach(tmp_path / "a") is None
    (tmp_path / "locks").mkdir(mode=0o755)
    assert beyond_reach(tmp_path / "a") is None
    (tmp_path / "locks").chmod(0o700)
    assert beyond_reach(tmp_path / "a" / "b") == tmp_path / "locks" / "in.a.b.lock"
