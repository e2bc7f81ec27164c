"""A backup of a hive that runs, and the way back from it: here, on another machine, and after a kill in between."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.cmds.test_killed import SAY, killed_at, places_of
from tests.hives import PLAIN, TestHive, eventually
from tests.telling import Told

pytestmark = pytest.mark.remembered
RUNNING = pytest.mark.remembered(False)
FILES = ("hive_cmds/backup.py", "hive_core/git/bundles.py", "hive_core/git/made.py")


@pytest.fixture
def full(hive: TestHive) -> TestHive:
    """A hive with two agents, a deploy, a denial, a request that waits, and a message."""
    for name in ("coder", "tester"):
        hive.spawn(name, PLAIN)
    hive.run("approve", str(hive.request("coder", SAY.format("deployed"))))
    hive.run("deny", str(hive.request("coder", SAY.format("denied"))), "--note", "no")
    hive.git("agents/coder/config", "reset", "-q", "--hard", hive.git("applied/coder", "rev-parse", "main"))
    hive.request("coder", SAY.format("waiting"))
    hive.run("send", "coder", "hello")
    return hive


@pytest.fixture
def other(hive: TestHive, tmp_path: Path) -> Iterator[TestHive]:
    """Another machine: nothing is there."""
    made = TestHive(tmp_path / "other", dict(hive.extra))
    yield made
    made.close()


def refs(hive: TestHive, repository: str) -> str:
    return hive.git(repository, "for-each-ref", "--format=%(refname) %(objectname)")


def requests(hive: TestHive) -> list[tuple[int, str, str]]:
    return [(row["id"], row["status"], row.get("fetched_sha", "")) for row in hive.json("approvals", "--all")]


def test_a_backup_restored_elsewhere_has_everything_and_up_starts_what_ran(
    full: TestHive, other: TestHive, tmp_path: Path
) -> None:
    full.run("stop", "tester")
    (full.home / "hive.toml").write_text('pronouns = "they/them"\n')
    full.run("backup", str(tmp_path / "kept"))
    assert (tmp_path / "kept").stat().st_mode & 0o077 == 0
    (row,) = (row for row in full.asked("doctor") if row["check"] == "backup")
    assert row["ok"] is True
    assert row["detail"].startswith(f"{tmp_path / 'kept'}, ")
    last = full.events()[-1]["seq"]
    rows = other.json("restore", str(tmp_path / "kept"), "--yes")
    assert [(row["name"], row["ok"]) for row in rows] == [("coder", True), ("tester", True)]
    assert other.asked("config")[0]["value"] == "they/them"
    for repository in ("applied/coder", "applied/tester"):
        assert refs(other, repository) == refs(full, repository)
        assert other.git(repository, "status", "--porcelain") == ""
    assert requests(other) == requests(full)
    ports = [(hive.home / "agents/coder/port").read_text() for hive in (full, other)]
    assert ports[0] == ports[1]
    with other.inside().store.read() as db:
        assert db.execute("select count(*) from messages where body = 'hello'").fetchone()[0] == 1
    assert {row["name"]: row["running"] for row in other.json("list")} == {"coder": False, "tester": False}
    assert min(row["seq"] for row in other.events("adopted")) > last
    up = Told(other.start("up"))
    up.until("hive is up")
    running = {row["name"]: row["running"] for row in other.json("list")}
    assert running == {"manager": True, "coder": True, "tester": False}
    assert other.json("request-spawn", "third")["id"] == max(number for number, *_ in requests(full)) + 1


@RUNNING
def test_a_hive_that_runs_goes_back_to_a_backup_and_keeps_what_git_and_containers_know(
    full: TestHive, tmp_path: Path
) -> None:
    up = Told(full.start("up"))
    up.until("hive is up")
    full.run("backup", str(tmp_path / "kept"))
    waiting = requests(full)[-1][0]
    full.run("approve", str(waiting))
    full.spawn("later", PLAIN)
    full.run("send", "coder", "since")
    main, last = full.git("applied/coder", "rev-parse", "main"), full.events()[-1]["seq"]
    pids = {name: full.pid(name) for name in ("coder", "tester", "later", "manager")}
    rows = full.json("restore", str(tmp_path / "kept"), "--yes")
    assert sorted(row["name"] for row in rows if row["ok"]) == ["coder", "later", "manager", "tester"]
    assert {name: full.pid(name) for name in pids} == pids
    assert full.git("applied/coder", "rev-parse", "main") == main
    assert (waiting, "approved", main) in requests(full)
    with full.inside().store.read() as db:
        assert db.execute("select count(*) from messages where body = 'since'").fetchone()[0] == 0
    (kept,) = full.home.glob("hive.db.before-restore-*")
    with closing(sqlite3.connect(kept)) as before:
        assert before.execute("select count(*) from messages where body = 'since'").fetchone()[0] == 1
    assert full.events("adopted")[0]["seq"] > last
    full.run("kill", "later")
    up.until("later         stopped")
    assert "crashed" not in up.text
    assert up.process.poll() is None


def test_a_backup_is_made_while_messages_are_written_and_is_whole(full: TestHive, tmp_path: Path) -> None:
    over = threading.Event()

    def write() -> None:
        while not over.is_set():
            full.asked("send", to="coder", body="more")

    with ThreadPoolExecutor(1) as beside, ExitStack() as end:
        writing = beside.submit(write)
        end.callback(over.set)
        eventually(lambda: len(full.events("sent")) > 3)
        for number in range(3):
            full.run("backup", str(tmp_path / f"kept{number}"))
            with closing(sqlite3.connect(tmp_path / f"kept{number}" / "hive.db")) as db:
                assert db.execute("pragma integrity_check").fetchone()[0] == "ok"
                sent = db.execute("select count(*) from messages").fetchone()[0]
                assert sent == db.execute("select count(*) from events where kind = 'sent'").fetchone()[0]
            assert not writing.done()


def test_a_backup_killed_anywhere_is_none_and_the_next_is_whole(hive: TestHive, tmp_path: Path) -> None:
    hive.spawn("coder", PLAIN)
    # What a backup writes is on the way to somewhere else.
    watched = places_of(hive, FILES, "backup", str(hive.home / "first"))
    killed = 0
    for line in watched[:: max(1, len(watched) // 12)]:
        target = tmp_path / f"at{line}"
        killed += killed_at(hive, line, FILES, "backup", str(target)) == -9
        if not target.exists():
            hive.run("backup", str(target))
        assert sorted(path.name for path in target.iterdir()) == ["applied", "backup.json", "hive.db", "meta.bundle"]
        assert not list(tmp_path.glob(".at*"))
    assert killed > 5


def test_a_restore_killed_anywhere_is_finished_by_the_next(hive: TestHive, other: TestHive, tmp_path: Path) -> None:
    hive.spawn("coder", PLAIN)
    hive.request("coder", SAY.format("waiting"))
    kept = str(tmp_path / "kept")
    hive.run("backup", kept)
    files = ("hive_cmds/backup.py", "hive_fleet/changes/adoptions.py", "hive_core/git/bundles.py", "hive_core/store.py")
    places = places_of(other, files, "restore", kept, "--yes")
    killed = 0
    for line in places[:: max(1, len(places) // 12)]:
        other.close()
        shutil.rmtree(other.home)
        killed += killed_at(other, line, files, "restore", kept, "--yes") == -9
        other.run("list")
        assert other.json("restore", kept, "--yes") == [{"name": "coder", "ok": True}]
        assert [(number, status) for number, status, _ in requests(other)] == [(1, "approved"), (2, "pending")]
        assert other.git("applied/coder", "status", "--porcelain") == ""
        assert not (other.home / ".restoring").exists()
    assert killed > 5


def test_what_is_no_backup_is_refused_and_nothing_is_touched(full: TestHive, tmp_path: Path) -> None:
    before = requests(full)
    (tmp_path / "empty").mkdir()
    assert "There is no backup of a hive at" in full.run("restore", str(tmp_path / "empty"), "--yes", code=1).stderr
    full.run("backup", str(tmp_path / "kept"))
    again = full.run("backup", str(tmp_path / "kept"), code=1).stderr
    assert "already" in again
    assert "Name a folder that is not there yet" in again
    assert "Add --yes" in full.run("restore", str(tmp_path / "kept"), code=1).stderr
    (tmp_path / "kept/hive.db").write_bytes(b"junk" * 10_000)
    assert "bug" not in full.run("restore", str(tmp_path / "kept"), "--yes", code=1).stderr
    assert requests(full) == before


def test_a_damaged_repository_is_taken_from_the_backup(full: TestHive, tmp_path: Path) -> None:
    full.run("backup", str(tmp_path / "kept"))
    before = refs(full, "applied/coder")
    shutil.rmtree(full.home / "applied/coder/.git/refs")
    (full.home / "applied/coder/.git/HEAD").write_text("junk")
    told = json.loads(full.run("restore", str(tmp_path / "kept"), "--yes", "--json").stdout)
    assert [row["ok"] for row in told] == [True, True]
    assert refs(full, "applied/coder") == before
    assert len(list((full.home / "damaged").iterdir())) == 1


def test_backups_of_a_timer_are_kept_by_their_date_and_no_more_than_asked_for(hive: TestHive) -> None:
    hive.spawn("coder")
    kept = hive.root / "kept"
    kept.mkdir()
    for old in ("2020-01-01T00-00-00", "2020-01-02T00-00-00"):
        hive.run("backup", str(kept / old))
    (kept / "2020-01-03T00-00-00").mkdir()
    (kept / "mine").mkdir()
    hive.run("backup", str(kept), "--keep", "2")
    names = sorted(path.name for path in kept.iterdir())
    # What is no backup is somebody's.
    assert names[:2] == ["2020-01-02T00-00-00", "2020-01-03T00-00-00"]
    assert names[3:] == ["mine"]
    assert (kept / names[2] / "backup.json").is_file()
