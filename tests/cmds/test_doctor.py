"""`hive doctor`: each check finds what it is for, says what to do, and mends what is safe to mend."""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hive_cmds import doctor
from hive_core import last_backup
from hive_core.git.repository import Repository
from hive_core.process import Owner
from hive_fleet.checkup import machine, service
from tests.cmds.test_killed import killed_at, places_of
from tests.hives import PLAIN, TestHive

pytestmark = pytest.mark.remembered

OTHER = PLAIN.replace("ready", "ready again")


def findings(hive: TestHive, *arguments: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in hive.json("doctor", *arguments):
        found.setdefault(row["check"], []).append(row)
    return found


def wrong(hive: TestHive, check: str, *arguments: str) -> list[str]:
    """What is to be done about what one check finds to be wrong, or not as it might be."""
    return [row.get("todo", "") for row in findings(hive, *arguments)[check] if row.get("ok") is not True]


@pytest.fixture
def coder(hive: TestHive) -> TestHive:
    """A hive with an agent, that is as closed as one which no test has made folders for."""
    hive.home.mkdir(mode=0o700)
    hive.spawn("coder")
    (hive.home / "agents" / "coder").chmod(0o700)
    return hive


def test_a_hive_that_is_in_order_is_found_to_be(coder: TestHive) -> None:
    hive = coder
    hive.run("approve", str(hive.request("coder", OTHER)))
    hive.run("rollback", "coder")
    hive.run("vacuum")
    found = findings(hive)
    assert [row for row in found["agents"] if row.get("ok") is not True] == []
    # The backend of this test has no sandbox, and says so.
    assert {check for check, rows in found.items() for row in rows if row.get("ok") is False} <= {
        "sandbox",
        "disk",
        "inotify",
    }


def test_the_exit_code_says_whether_anything_is_wrong(coder: TestHive, monkeypatch: pytest.MonkeyPatch) -> None:
    hive, inside = coder, coder.inside()
    monkeypatch.setattr(type(inside.host._kept), "capabilities", lambda _: [("sandbox", True, "fine")])
    assert [row for row in doctor.doctor(inside) if row.ok is False and row.check not in ("disk", "inotify")] == []
    (hive.home / "applied" / "coder").rename(hive.home / "gone")
    assert [row.todo for row in doctor.doctor(inside) if row.ok is False and row.check not in ("disk", "inotify")] == [
        "hive restore DIR"
    ]
    assert hive.forked("doctor").returncode == 1


def test_whatever_is_wrong_is_said_with_what_to_do(hive: TestHive) -> None:
    hive.home.mkdir(mode=0o755)
    wrong = [row for rows in findings(hive).values() for row in rows if row.get("ok") is False]
    assert "home" in {row["check"] for row in wrong}
    for row in wrong:
        assert row["todo"], row
        assert row["todo"] in row["detail"]


def test_what_is_open_to_others_is_closed(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.home.chmod(0o755)
    places = (hive.home, hive.home / "hive.db", hive.home / "agents" / "coder")
    for path in places:
        path.chmod(0o755)
    assert wrong(hive, "home") == [f"chmod 700 {hive.home}"]
    assert {f"chmod go= {path}" for path in places[1:]} <= set(wrong(hive, "permissions"))
    assert wrong(hive, "home", "--fix") == []
    assert wrong(hive, "permissions") == []
    assert {path.stat().st_mode & 0o077 for path in places} == {0}


def test_what_nobody_else_comes_to_may_have_any_mode(coder: TestHive) -> None:
    (coder.home / "hive.toml").write_text('[notify]\nto = ["me"]\n[notify.services]\nme = ["/bin/true"]\n')
    (coder.home / "hive.toml").chmod(0o644)
    inside = coder.inside()
    look = next(check for check in doctor.CHECKS if check.name == "permissions")
    assert [found.ok for found in look.findings(inside)] == [True]
    coder.home.chmod(0o711)
    assert f"chmod go= {coder.home / 'hive.toml'}" in [found.todo for found in look.findings(inside)]


def test_what_is_left_over_is_swept_away(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.run("approve", str(hive.request("coder", OTHER)))
    assert wrong(hive, "leftovers") == ["hive vacuum"]
    assert wrong(hive, "leftovers", "--fix") == []


def left_behind(path: Path) -> None:
    """A socket whose server has died."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # By the folder: a whole path may be longer than an address can be.
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    with socket.socket(socket.AF_UNIX) as served:
        served.bind(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)


def test_sockets_that_nobody_serves_are_removed_and_others_are_not(hive: TestHive, tmp_path: Path) -> None:
    hive.spawn("coder")
    run = hive.root / "run"
    stale = (run / "host.sock", run / "sockets" / "coder" / "agent.sock")
    for path in stale:
        left_behind(path)
    with socket.socket(socket.AF_UNIX) as served:
        served.bind(str(run / "manager.sock"))
        served.listen()
        (found,) = findings(hive)["sockets"]
        assert found["detail"].startswith(f"nobody listens on {stale[0]}, nor on 1 other here: ")
        assert wrong(hive, "sockets", "--fix") == []
    assert [path.exists() for path in (*stale, run / "manager.sock")] == [False, False, True]


def test_sockets_are_left_to_the_gate_that_runs(hive: TestHive) -> None:
    hive.spawn("coder")
    left_behind(hive.root / "run" / "host.sock")
    with hive.inside().lone("gate", "a test"):
        (row,) = findings(hive, "--fix")["sockets"]
    assert (row["ok"], row["todo"]) == (False, "end `hive up` and start it again")
    assert (hive.root / "run" / "host.sock").exists()


def test_where_git_database_and_containers_differ_it_is_said(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.spawn("other")
    applied = Repository(hive.home / "applied" / "coder")
    applied.commit({"agent.toml": b"x"}, "by hand")
    assert wrong(hive, "agents") == ["hive rebuild coder", "hive meta-update agent-coder"]
    hive.inside().host.destroy("other")
    assert "hive rebuild other" in wrong(hive, "agents")
    with hive.inside().store.write() as db:
        db.execute("delete from agents where name = 'coder'")
    assert "hive adopt" in wrong(hive, "agents")


def test_what_an_operation_is_at_is_not_called_wrong(hive: TestHive) -> None:
    hive.spawn("coder")
    Repository(hive.home / "applied" / "coder").commit({"agent.toml": b"x"}, "half-way")
    inside = hive.inside()
    with inside.store.write() as db:
        columns = "agent, kind, since, owner, change, detail"
        db.execute(
            f"insert into operations ({columns}) values ('coder', 'x', 0, ?, null, '{{}}')",
            (Owner.current().to_json(),),
        )
    assert [row.ok for check in doctor.CHECKS if check.name == "agents" for row in check.findings(inside)] == [True]


def test_two_agents_with_one_port_are_named(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.spawn("other")
    for name in ("coder", "other"):
        (hive.home / "agents" / name / "port").write_text("8200\n")
    (todo,) = wrong(hive, "ports")
    assert "agents/other/port" in todo


def test_a_database_that_is_damaged_or_of_a_newer_hive_is_told(hive: TestHive) -> None:
    hive.spawn("coder")
    inside = hive.inside()
    with inside.store.write() as db:
        db.executemany("insert into events (at, kind, data) values (0, 'started', ?)", [("x" * 5000,)] * 200)
    inside.store.close()
    assert findings(hive)["database"][0]["ok"] is True
    with closing(sqlite3.connect(hive.home / "hive.db")) as db, db:
        db.execute("insert into migrations values ('m999_future', 0)")
    assert "newer hive" in findings(hive)["database"][0]["detail"]
    with closing(sqlite3.connect(hive.home / "hive.db")) as db, db:
        db.execute("delete from migrations where name = 'm999_future'")
    with (hive.home / "hive.db").open("r+b") as file:
        for page in range(60, 120):
            file.seek(page * 4096)
            file.write(b"\xff" * 4096)
    (row,) = findings(hive)["database"]
    assert row["ok"] is False


def test_a_clock_that_has_gone_back_is_told(hive: TestHive) -> None:
    with hive.inside().store.write() as db:
        db.execute("insert into events (at, kind, data) values (?, 'started', '{}')", (time.time() + 7200,))
    assert "set the clock" in wrong(hive, "clock")[0]


def test_the_folder_of_the_sockets_is_anothers(hive: TestHive) -> None:
    hive.spawn("coder")
    (hive.root / "run" / "home").write_text("/another/hive")
    assert "HIVE_RUN" in wrong(hive, "run")[0]


def test_a_backup_that_was_never_made_or_is_old_is_told(hive: TestHive) -> None:
    hive.spawn("coder")
    assert wrong(hive, "backup") == ["hive backup DIR"]
    week = service.OLD_BACKUP * service.DAY
    for age, todo in ((week - 60, []), (week + 60, ["hive backup DIR"])):
        last_backup.remember(hive.inside().settings, Path("/backups/1"), time.time() - age)
        assert wrong(hive, "backup") == todo


def test_who_removes_what_is_old_is_told(hive: TestHive) -> None:
    hive.spawn("coder")
    assert "hive vacuum" in wrong(hive, "upkeep")[0]
    hive.run("vacuum")
    assert wrong(hive, "upkeep") == []


def test_a_file_of_settings_that_holds_a_services_address_is_closed(hive: TestHive) -> None:
    hive.spawn("coder")
    settings = hive.home / "hive.toml"
    settings.write_text('pronouns = "they/them"\n')
    settings.chmod(0o644)
    assert f"chmod go= {settings}" not in wrong(hive, "permissions")
    settings.write_text('[notify.services]\nphone = "ntfy://127.0.0.1:1/secret"\n')
    assert f"chmod go= {settings}" in wrong(hive, "permissions")
    wrong(hive, "permissions", "--fix")
    assert settings.stat().st_mode & 0o077 == 0


def test_too_few_descriptors_and_a_full_disk_are_told(hive: TestHive, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = hive.inside()
    monkeypatch.setattr(machine, "DESCRIPTORS", 2**62)
    monkeypatch.setattr(machine, "SCARCE", 2**62)
    monkeypatch.setattr(machine, "SHARE", 1.0)
    monkeypatch.setattr(machine, "INSTANCES", 2**62)
    todo = [(row.check, row.todo) for row in doctor.doctor(inside)]
    assert ("inotify", f"sysctl fs.inotify.max_user_instances={2**63}") in todo
    assert ("open files", f"ulimit -n {2**62}") in todo
    assert ("disk", "hive disk, hive vacuum") in todo


def test_a_check_that_fails_is_a_finding_and_the_others_are_made(hive: TestHive) -> None:
    hive.spawn("coder")
    (hive.home / "meta" / "flake.lock").write_text("{")
    found = findings(hive)
    assert found["agents"][0]["ok"] is False
    assert "git" in found
    assert "backup" in found


def test_a_mending_that_is_killed_is_finished_by_the_next_and_takes_nothing(hive: TestHive) -> None:
    # Below what is watched for changes.
    hive.extra["HIVE_RUN"] = str(hive.home / "run")
    hive.spawn("coder")
    files = ("fleet/checkup/home.py", "fleet/checkup/service.py", "upkeep/sweeping.py", "upkeep/leftovers.py")
    command = ("doctor", "--fix")
    stale = (hive.home / "run/host.sock", hive.home / "run/sockets/coder/agent.sock")
    loose = (hive.home, hive.home / "hive.db", hive.home / "agents/coder")
    looks = [check for check in doctor.CHECKS if check.mend is not None]

    def amiss() -> set[str]:
        inside = hive.inside()
        return {check.name for check in looks for found in check.findings(inside) if found.ok is not True}

    def make_a_mess(line: int) -> None:
        hive.asked("approve", id=hive.request("coder", PLAIN.replace("ready", f"n{line}")))
        for path in stale:
            path.unlink(missing_ok=True)
            left_behind(path)
        for path in loose:
            path.chmod(0o755)

    make_a_mess(0)
    assert amiss() == {"home", "permissions", "leftovers", "sockets"}
    places = places_of(hive, files, *command)
    assert amiss() == set()
    for line in [*places[1:-1:2], places[-1]]:
        make_a_mess(line)
        runs, main = hive.instance("coder"), hive.git("applied/coder", "rev-parse", "main")
        killed_at(hive, line, files, *command)
        hive.asked("doctor", fix=True)
        assert amiss() == set(), f"killed at line {line}"
        assert (hive.instance("coder"), hive.agent("coder")["deployed_sha"]) == (runs, main[:12])
