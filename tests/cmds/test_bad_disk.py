"""A disk that is full, read-only or damaged: it is said so, nothing is called a bug, and all goes on after."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients import Client
from tests.hives import TestHive, eventually
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
    filling = fill(small)
    for command in COMMANDS:
        assert "disk" in small.run(*command, code=1).stderr
    filling.unlink()
    small.run("watch", "--once")
    small.run("stop", "coder")
    small.run("start", "coder")
    assert small.agent("coder")["running"] is True


@needs_root
@pytest.mark.parametrize("verb", ["kill", "stop"])
def test_who_has_filled_the_disk_can_be_ended_all_the_same(small: TestHive, verb: str) -> None:
    small.start("gate")
    eventually((small.root / "run" / "host.sock").exists)
    filling = fill(small)
    refused = small.run(verb, "coder", code=1).stderr
    assert "coder was ended, but that could not be recorded" in refused
    assert small.agent("coder")["running"] is False
    filling.unlink()
    small.run("stop", "coder")
    assert small.agent("coder")["failed"] is False


@needs_root
def test_on_a_full_disk_a_vacuum_removes_what_is_old_and_makes_room(small: TestHive) -> None:
    with small.inside().store.write() as db:
        columns = "sender, recipient, body, sent_at, delivered_at, acknowledged_at"
        row = f"insert into messages ({columns}) values ('operator', 'coder', ?, 0, 0, 0)"
        db.executemany(row, [("word " * 400,) for _ in range(700)])
    # While there is room, some of it is set aside.
    (small.home / "hive.toml").write_text("[retention]\nmessages = 30000\n")
    assert small.forked("vacuum").returncode == 0
    (small.home / "hive.toml").unlink()
    used = small.home / "hive.db"
    before = used.stat().st_size
    fill(small)
    small.run("send", "coder", "hi " * 5000, code=1)
    rows = {row["what"]: row for row in json.loads(small.forked("vacuum", "--json").stdout)}
    assert "messages" in rows, rows
    assert (rows["messages"]["ok"], rows["messages"]["count"]) == (True, 700)
    assert rows["database"]["ok"] is True, rows
    assert used.stat().st_size < 0.7 * before
    small.run("send", "coder", "hi " * 5000)


def fill(hive: TestHive) -> Path:
    filling = hive.root / "filling"
    with filling.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(b"x" * 4096)
    return filling


@needs_root
def test_the_gate_says_of_a_full_disk_that_it_is_full_and_serves_on(small: TestHive) -> None:
    serving = small.start("gate")
    sockets = [small.root / "run" / "host.sock", small.root / "run" / "agents" / "coder.sock"]
    eventually(lambda: all(path.exists() for path in sockets))
    with Client(sockets[0]) as host, Client(sockets[1]) as agent:
        assert agent.ask("ask", question="why?", ttl=1)["ok"] is True
        filling = fill(small)
        for _ in range(3):
            for client, to in ((host, "coder"), (agent, "operator")):
                assert "disk" in client.ask("send", to=to, body="x" * 100_000)["error"]
        assert agent.ask("recent")["ok"] is host.ask("list")["ok"] is True
        # The question's deadline passes meanwhile, and its end cannot be written.
        assert serving.stderr is not None
        while "could not be used" not in serving.stderr.readline():
            continue
        threading.Thread(target=serving.stderr.read, daemon=True).start()
        filling.unlink()
        for client, to in ((host, "coder"), (agent, "operator")):
            assert client.ask("send", to=to, body="x" * 100_000)["ok"] is True
        eventually(lambda: agent.ask("questions")["result"] == [])
    with small.inside().store.read() as db:
        sent = db.execute("select count(*) from messages where length(body) = 100000").fetchone()[0]
        assert sent == db.execute("select count(*) from events where length(data) > 100000").fetchone()[0] == 2


@needs_root
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_disk_that_is_read_only_is_said_to_be_so_and_all_goes_on_when_it_is_writable(
    small: TestHive, command: list[str]
) -> None:
    # Bound onto itself, so that the agent, whose sandbox holds the disk as it is, does not keep it from being changed.
    subprocess.run(["mount", "--bind", str(small.root), str(small.root)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(small.root)], check=True)
        told = small.run(*command, code=1).stderr
        assert re.search(r"Is the disk full, or read-only\?|Make room, or make it writable\.", told)
        assert "Traceback" not in told
    finally:
        subprocess.run(["umount", str(small.root)], check=True)
    small.run("watch", "--once")
    # An agent is ended also where that cannot be written down.
    assert small.agent("coder")["running"] is (command[0] != "stop")
    small.run("start", "coder")
    assert small.agent("coder")["running"] is True


def test_a_database_that_is_none_is_told_of(hive: TestHive) -> None:
    hive.run("request-spawn", "coder")
    for name in ("hive.db-wal", "hive.db-shm"):
        (hive.home / name).unlink(missing_ok=True)
    (hive.home / "hive.db").write_bytes(b"nonsense" * 1000)
    assert "damaged" in hive.run("list", code=1).stderr
    assert "damaged" in hive.run("approvals", code=1).stderr


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
