"""Reading and writing journals, over rotations and broken ends."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hive_core.containers.local.journal import follow, tail
from hive_core.containers.local.journal_writer import FILE_BYTES, LINE_BYTES, JournalWriter
from hive_core.containers.local.output import CHUNK, Output
from tests.hives import eventually


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def bodies(lines: Iterator[str] | list[str]) -> list[str]:
    return [line.split(" ", 1)[1] for line in lines]


def test_the_last_lines_come_from_both_files(path: Path) -> None:
    writer = JournalWriter(str(path))
    count = FILE_BYTES // 8000 + 3
    for number in range(count):
        writer.feed(f"{number} {'x' * 8000}\n".encode())
    assert path.with_name("journal.1").exists()
    assert [body.split()[0] for body in bodies(tail(path, 100))] == [str(count - 100 + n) for n in range(100)]
    assert tail(path, 0) == []
    assert len(tail(path, 5000)) == count


def test_a_journal_that_is_not_there_is_empty(path: Path) -> None:
    assert tail(path, 10) == []


def test_a_line_that_a_killed_writer_left_broken_does_not_swallow_the_next(path: Path) -> None:
    path.write_bytes(b"2026-11-21T07:46:01.123Z bro")
    JournalWriter(str(path)).feed(b"next\n")
    assert bodies(tail(path, 10)) == ["bro", "next"]


def test_a_line_is_only_read_when_it_is_whole(path: Path) -> None:
    path.write_bytes(b"1 a\n2 b\n3 unfinished")
    assert tail(path, 10) == ["1 a", "2 b"]


def test_a_full_disk_is_told_when_there_is_room_again(path: Path) -> None:
    import os

    writer = JournalWriter(str(path))
    writer.feed(b"before\n")
    real = os.dup(writer._file)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, writer._file)
    writer.feed(b"lost\n")
    os.dup2(real, writer._file)
    writer.feed(b"after\n")
    os.close(real)
    os.close(full)
    written = [line for line in tail(path, 10) if line]
    assert bodies(written) == ["before", "hive: lines are missing here: No space left on device", "after"]


def test_nothing_that_a_container_writes_passes_for_a_line_of_hive_s_own(path: Path) -> None:
    writer = JournalWriter(str(path))
    writer.say("sandbox: bwrap")
    # A line that is cut begins another one with what comes next.
    writer.feed(b"hive: forged\nhive agent: its own\n" + b"x" * LINE_BYTES + b"hive: behind it\nhive: half")
    writer.flush()
    written = bodies(tail(path, 10))
    assert [line for line in written if line.startswith("hive: ")] == ["hive: sandbox: bwrap"]
    assert written[1:3] == [" hive: forged", "hive agent: its own"]
    assert written[-2:] == [" hive: behind it", " hive: half"]


def test_who_writes_without_end_has_to_wait_and_is_heard_again(path: Path) -> None:
    output, end = os.pipe()
    os.set_blocking(output, False)
    poll = select.poll()
    written = Output(output, JournalWriter(str(path)), poll)
    while (rest := written.milliseconds()) is None:
        # Empty lines: a byte each, to which the journal adds the time.
        os.write(end, b"\n" * CHUNK)
        assert poll.poll(0)
        assert written.take()
    os.write(end, b"heard\n")
    assert 0 < rest < 2000
    assert not poll.poll(0)
    eventually(lambda: written.milliseconds() is None)
    assert poll.poll(0)
    written.take()
    assert bodies(tail(path, 1)) == ["heard"]
    os.close(end)
    assert not written.take()
    assert written.milliseconds() is None
    assert not poll.poll(0)
    os.close(output)
    assert all(file.stat().st_size <= FILE_BYTES for file in path.parent.glob("journal*"))


def test_the_writer_follows_no_link(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))
    with pytest.raises(OSError, match="symbolic links"):
        JournalWriter(str(path))


def test_a_follower_sees_every_line_once_over_a_rotation(path: Path) -> None:
    writer = JournalWriter(str(path))
    writer.feed(b"-2\n-1\n")
    follower = follow(path, 1)
    assert bodies([next(follower)]) == ["-1"]
    count = FILE_BYTES // 8000 + 200

    def write() -> None:
        for number in range(count):
            writer.feed(f"{number} {'x' * 8000}\n".encode())

    thread = threading.Thread(target=write)
    thread.start()
    found = [next(follower).split()[1] for _ in range(count)]
    thread.join()
    assert found == [str(number) for number in range(count)]


def test_a_follower_may_begin_before_the_journal(path: Path) -> None:
    follower = follow(path, 10)
    thread = threading.Thread(target=lambda: JournalWriter(str(path)).feed(b"first\n"))
    thread.start()
    assert bodies([next(follower)]) == ["first"]
    thread.join()


def test_a_follower_ends_with_the_container(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    JournalWriter(str(folder / "journal")).feed(b"one\n")
    follower = follow(folder / "journal", 10)
    next(follower)
    folder.rename(tmp_path / ".a")
    assert list(follower) == []
