"""A database that is removed, overwritten or cut off while agents run: they are seen, ended and taken back."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.clients import Client
from tests.cmds.test_killed import SAY, killed_at, lines_of, places_of
from tests.hives import PLAIN, TestHive, eventually
from tests.telling import Told

pytestmark = pytest.mark.remembered
RUNNING = pytest.mark.remembered(False)


def unlink(hive: TestHive) -> None:
    (hive.home / "hive.db").unlink()


def overwrite(hive: TestHive) -> None:
    with closing(sqlite3.connect(hive.home / "hive.db")) as db:
        db.execute("pragma wal_checkpoint(truncate)")
    (hive.home / "hive.db").write_bytes(b"junk" * 100_000)


def cut_off(hive: TestHive) -> None:
    with closing(sqlite3.connect(hive.home / "hive.db")) as db:
        db.execute("pragma wal_checkpoint(truncate)")
    os.truncate(hive.home / "hive.db", 3 * 4096 + 17)


def empty(hive: TestHive) -> None:
    os.truncate(hive.home / "hive.db", 0)


DAMAGES = [overwrite, cut_off]
LOSSES = [unlink, empty, *DAMAGES]


@pytest.fixture
def two(hive: TestHive) -> TestHive:
    """A hive with two agents, of which one was stopped, and no process of hive's own."""
    hive.spawn("coder", PLAIN)
    hive.spawn("quiet", PLAIN)
    hive.run("stop", "quiet")
    return hive


def states(hive: TestHive) -> dict[str, str]:
    return {row["name"]: "running" if row["running"] else "stopped" for row in hive.json("list")}


@pytest.mark.parametrize("lose", LOSSES)
def test_list_shows_the_containers_kill_ends_one_and_purge_refuses(
    two: TestHive, lose: Callable[[TestHive], None]
) -> None:
    lose(two)
    shown = two.run("list", "--json")
    assert "hive adopt" in shown.stderr
    assert [(row["name"], row["running"], row["unknown"]) for row in json.loads(shown.stdout)] == [
        ("coder", True, True),
        ("quiet", False, True),
    ]
    assert "recorded nowhere" in two.run("kill", "coder").stderr
    assert states(two) == {"coder": "stopped", "quiet": "stopped"}
    for name in ("coder", "quiet"):
        two.run("purge", name, "--yes", code=1)
        two.run("spawn", name, code=1)
        assert (two.home / "agents" / name / "state").is_dir()
        assert (two.home / "containers" / name).is_dir()
    assert "bug" not in two.run("doctor").stderr


@RUNNING
@pytest.mark.parametrize("lose", [unlink, overwrite])
def test_adopt_takes_back_what_git_and_the_containers_know(two: TestHive, lose: Callable[[TestHive], None]) -> None:
    denied = two.request("coder", SAY.format("denied"))
    two.run("deny", str(denied), "--note", "too loud")
    two.git("agents/coder/config", "reset", "-q", "--hard", two.git("applied/coder", "rev-parse", "main"))
    approved = two.request("coder", SAY.format("approved"))
    two.run("approve", str(approved))
    failed = two.request("coder", 'runner = "nonsense"\n')
    two.run("approve", str(failed), code=1)
    two.git("agents/coder/config", "reset", "-q", "--hard", two.git("applied/coder", "rev-parse", "main"))
    waiting = two.request("coder", SAY.format("waiting"))
    before, pid, last = two.json("approvals", "--all"), two.pid("coder"), two.events()[-1]["seq"]
    uids = {name: (two.home / "agents" / name / "state").stat().st_uid for name in ("coder", "quiet")}

    lose(two)
    assert [row["ok"] for row in two.json("adopt")] == [True, True]

    assert states(two) == {"coder": "running", "quiet": "stopped"}
    assert two.pid("coder") == pid
    rows = {row["id"]: row for row in two.json("approvals", "--all")}
    same = ("id", "agent", "kind", "fetched_sha", "status", "note")
    commits = [row for row in before if row["kind"] == "apply_commit"]
    assert [{key: rows[row["id"]].get(key) for key in same} for row in commits] == [
        {key: row.get(key) for key in same} for row in commits
    ]
    with two.inside().store.read() as db:
        kept = {row["name"]: row["uid"] for row in db.execute("select name, uid from agents")}
    assert os.geteuid() != 0 or kept == uids
    assert two.events()[0]["seq"] > last
    two.run("approve", str(waiting))
    assert two.json("request-spawn", "third")["id"] == waiting + 1
    assert two.json("adopt") == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_database_is_kept_when_another_takes_its_place(
    two: TestHive, damage: Callable[[TestHive], None]
) -> None:
    damage(two)
    junk = (two.home / "hive.db").read_bytes()
    two.run("adopt")
    (aside,) = (path for path in two.home.glob("hive.db.damaged-*") if not path.name.endswith("-wal"))
    assert aside.read_bytes() == junk


def test_an_adoption_killed_anywhere_is_finished_by_the_next(hive: TestHive) -> None:
    hive.spawn("coder", PLAIN)
    files = ("hive_fleet/changes/adoptions.py", "hive_fleet/requests/tags.py", "hive_core/store.py")
    unlink(hive)
    places = places_of(hive, files, "adopt")
    killed = 0
    for line in places[:: max(1, len(places) // 10)]:
        request = hive.request("coder", SAY.format(f"n{line}"))
        instance = hive.instance("coder")
        unlink(hive)
        killed += killed_at(hive, line, files, "adopt") == -9
        hive.asked("list")
        hive.asked("adopt")
        assert states(hive) == {"coder": "running"}
        assert hive.instance("coder") == instance
        rows = {row["id"]: row["status"] for row in hive.asked("approvals", all=True) if row["kind"] == "apply_commit"}
        assert rows[request] == "pending"
        assert hive.git("meta", "status", "--porcelain") == ""
        hive.asked("deny", id=request)
        hive.git("agents/coder/config", "reset", "-q", "--hard", hive.git("applied/coder", "rev-parse", "main"))
    assert killed > 3


@pytest.mark.parametrize("line", [5, 18])
def test_a_deploy_cut_short_before_the_loss_ends_all_new_or_all_old(hive: TestHive, line: int) -> None:
    hive.spawn("coder", PLAIN)
    before = hive.git("applied/coder", "rev-parse", "main")
    number = hive.request("coder", SAY.format("new"))
    target = hive.git("agents/coder/config", "rev-parse", "HEAD")
    files = ("hive_fleet/changes/deploys.py",)
    count = lines_of(hive, files, "approvals")
    assert killed_at(hive, count + line, files, "approve", str(number)) in (-9, 0)
    unlink(hive)
    hive.run("adopt")
    main = hive.git("applied/coder", "rev-parse", "main")
    status = {row["id"]: row["status"] for row in hive.json("approvals", "--all")}[number]
    assert (main, status) in ((before, "pending"), (target, "approved"))
    agent = hive.agent("coder")
    assert (agent["running"], agent["deployed_sha"]) == (True, main[:12])


@RUNNING
@pytest.mark.parametrize("lose", [unlink, cut_off])
def test_up_says_that_the_database_is_lost_and_goes_on_when_there_is_one(
    two: TestHive, lose: Callable[[TestHive], None]
) -> None:
    up = Told(two.start("up"))
    up.until("hive is up")
    pids = {name: two.pid(name) for name in ("coder", "manager")}
    lose(two)
    if lose in DAMAGES:
        two.run("adopt")
    else:
        two.run("list")
    up.until("coder was taken back" if lose not in DAMAGES else "hive is up")
    assert {name: two.pid(name) for name in pids} == pids
    with Client(two.root / "run" / "host.sock") as host:
        eventually(lambda: {row["name"]: row["running"] for row in host.ask("agent_status")["agent_statuses"]}
                   == {"manager": True, "coder": True, "quiet": False})  # fmt: skip
    two.run("kill", "coder")
    up.until("killed")
    assert up.process.poll() is None
    assert "Traceback" not in up.text
    assert up.repeated("warning: the watch") == []
