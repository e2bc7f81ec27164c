"""A long-running process ends for nothing that the machine refuses: it says so once, and comes back by itself."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients import Client
from tests.hives import PLAIN, TestHive, eventually
from tests.needs import needs_root
from tests.telling import Told


@pytest.fixture
def small(tmp_path: Path) -> Iterator[TestHive]:
    """A hive on a disk of its own, of 12 MiB and 4000 inodes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    options = "size=12m,nr_inodes=4000,mode=711"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(disk)], check=True)
    made = TestHive(disk)
    try:
        yield made
        made.close()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(folder: Path, kind: str) -> None:
    """Use up all bytes, or all inodes, of the disk that a folder is on."""
    folder.mkdir()
    with pytest.raises(OSError, match="No space"):
        if kind == "inodes":
            for number in range(1_000_000):
                (folder / str(number)).touch()
        with (folder / "file").open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


@needs_root
@pytest.mark.parametrize("kind", ["bytes", "inodes"])
def test_up_goes_on_through_a_disk_that_is_full_and_tells_of_a_crash_of_that_time(small: TestHive, kind: str) -> None:
    small.spawn("coder", PLAIN)
    up = Told(small.start("up"))
    # From its first look on a crash is one that it has seen.
    up.until("watching 2 agents")
    fill(small.root / "filling", kind)
    os.kill(small.pid("coder"), 9)
    if kind == "bytes":
        up.until("warning: the watch")
    small.run("list")
    assert up.process.poll() is None
    empty(small.root / "filling")
    up.until("coder         crashed")
    # What ends with the agent gives a little room, so that the watch may go on in between.
    assert up.repeated("warning: the watch") == []
    small.run("start", "coder")
    with Client(small.root / "run" / "host.sock") as host:
        assert host.ask("send", to="coder", body="hello")["ok"] is True


@needs_root
def test_up_on_a_disk_that_is_full_already_brings_the_agents_up_when_there_is_room(small: TestHive) -> None:
    small.spawn("coder", PLAIN)
    first = Told(small.start("up", "--stop"))
    first.until("hive is up")
    first.process.terminate()
    first.process.wait()
    assert small.agent("coder")["running"] is False
    fill(small.root / "filling", "bytes")
    up = Told(small.start("up"))
    up.until("Is the disk full")
    empty(small.root / "filling")
    up.until("hive is up")
    assert small.agent("coder")["running"] is True


@pytest.mark.parametrize("what", ["up", "gate", "watch"])
def test_a_process_without_descriptors_goes_on_when_it_has_some_again(hive: TestHive, what: str) -> None:
    hive.spawn("coder", PLAIN)
    running = Told(hive.start(what))
    sock = hive.root / "run" / "host.sock"
    if what == "watch":
        running.until("watching")
    else:
        eventually(sock.exists)
    if what == "up":
        running.until("hive is up")
    pid = running.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    # No number is left for another descriptor, however many it closes.
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
    if what == "watch":
        os.kill(hive.pid("coder"), 9)
        running.until("Too many open files")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    else:
        # It is let in by the kernel, and waits there.
        with Client(sock) as host:
            host.send(b'{"cmd": "send", "to": "coder", "body": "hello"}\n')
            running.until("Too many open files")
            assert running.process.poll() is None
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
            assert _read(host, running)["ok"] is True
    if what == "watch":
        running.until("crashed")
    if what == "up":
        hive.run("kill", "coder")
        running.until("stopped")
    assert running.repeated("Too many open files") == []
    assert "Traceback" not in running.text


def _read(host: Client, running: Told) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = host.read()
    except ConnectionError as error:
        raise AssertionError(running.text) from error
    return answer
