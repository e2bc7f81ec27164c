"""The checks one by one, in process: each says what there is, whether that is in order, and what to do."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import inotify_simple
import pytest

from hive_core import repairs
from hive_core.containers.base import Container
from hive_core.context import Hive
from hive_core.errors import Refused
from hive_core.git.repository import Repository
from hive_fleet.agents import desired, table
from hive_fleet.checkup import agents, database, home, machine, service
from hive_fleet.checkup.finding import Examination, Finding
from hive_fleet.notifications import outbox
from tests.hives import TestHive, harness_repository

pytestmark = pytest.mark.remembered

EVERY = {each.name: each for part in (agents, database, home, machine, service) for each in part.CHECKS}


@pytest.fixture
def inside(hive: TestHive) -> Hive:
    """A hive whose database is there, and in which two agents are rows alone."""
    made = hive.inside()
    with made.store.write() as db:
        for name in ("coder", "tester"):
            table.add(db, name, uid=None, desired=desired.STOPPED, created_at=1.0)
    return made


def found(hive: Hive, check: str) -> list[Finding]:
    return list(EVERY[check].findings(hive))


def answer(monkeypatch: pytest.MonkeyPatch, hive: Hive, **methods: Callable[..., Any]) -> None:
    """Have the backend say something else."""
    for name, method in methods.items():
        monkeypatch.setattr(type(hive.host._kept), name, lambda _self, *given, _m=method, **more: _m(*given, **more))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Refused("No.", "Do this."), "could not be looked at: No."),
        (OSError(28, "No space left on device", "/x"), "could not be looked at: /x: No space left on device."),
        (OSError("strange"), "could not be looked at: strange"),
        (sqlite3.OperationalError("odd"), "could not be looked at: odd"),
    ],
)
def test_a_check_that_fails_is_a_finding(inside: Hive, error: Exception, said: str) -> None:
    def look(_hive: Hive) -> Iterator[Finding]:
        yield Finding("x", True, "so far so good")
        raise error

    assert list(Examination("x", look).findings(inside)) == [
        Finding("x", True, "so far so good"),
        Finding("x", False, said),
    ]


def test_a_bug_in_a_check_is_no_finding(inside: Hive) -> None:
    def look(_hive: Hive) -> Iterator[Finding]:
        raise ValueError("a bug")
        yield

    with pytest.raises(ValueError, match="a bug"):
        list(Examination("x", look).findings(inside))


def test_what_to_do_stands_in_the_words_and_by_itself() -> None:
    assert Finding("x", False, "it is open.", "chmod 700 x").wire() == {
        "check": "x", "ok": False, "detail": "it is open: chmod 700 x", "todo": "chmod 700 x",
    }  # fmt: skip
    assert Finding("x", None, "it is not there").wire() == {"check": "x", "detail": "it is not there"}


def test_an_agent_without_a_repository_or_a_container_is_told_apart(inside: Hive) -> None:
    inside.settings.applied.mkdir()
    Repository.create(inside.applied_path("tester"), {"agent.toml": b"x"}, "first")
    assert [(each.ok, each.todo) for each in found(inside, "agents")] == [
        (False, "hive restore DIR"),
        (False, "hive rebuild tester"),
        (False, "hive meta-update agent-tester"),
    ]


def test_a_port_that_another_program_serves_is_told_with_whose_that_is(
    inside: Hive, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [each.ok for each in found(inside, "ports")] == [True]
    answer(monkeypatch, inside, listeners=lambda ports: {port: {0, 4_000_123} for port in ports})
    rows = found(inside, "ports")
    assert len(rows) == 2
    assert "of coder is served by another program, of root and user 4000123" in rows[0].said
    assert rows[0].todo.endswith("then hive restart coder")


def test_an_agent_on_the_port_of_the_status_page_is_told(inside: Hive) -> None:
    inside.agent_path("coder").mkdir(parents=True)
    (inside.agent_path("coder") / "port").write_text("7000\n")
    (row,) = found(inside, "ports")
    assert row.said == "coder and the status page both have port 7000"


def test_who_was_built_with_another_hive_is_named_and_so_are_changes_that_no_agent_is_given(
    inside: Hive, tmp_path: Path
) -> None:
    checkout = harness_repository(tmp_path / "checkout")
    inside = replace(inside, settings=inside.settings._replace(source=checkout, environment=()))
    assert [each.ok for each in found(inside, "hive")] == [True]
    with inside.store.write() as db:
        table.record_build(db, "coder", base="0" * 40, runner="command", restart="never", given=(), recipients=())
    (checkout / "hive_agent" / "new.py").write_text("")
    stale, changed = found(inside, "hive")
    assert stale.ok is None
    assert "coder" in stale.said
    assert "tester" not in stale.said
    assert (changed.check, changed.ok, changed.todo) == ("checkout", None, "commit them, hive update --stale")


def test_without_a_database_there_is_nothing_wrong_with_it(hive: TestHive) -> None:
    inside = hive.inside()
    (row,) = found(inside, "database")
    assert (row.ok, row.todo) == (None, "what changes anything makes it")
    assert found(inside, "repairs") == [Finding("repairs", True, "nothing is left half-done")]
    assert not inside.settings.database.exists()


def test_a_large_database_is_not_read_through(inside: Hive, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(inside, "database")[0].said.endswith(", whole")
    monkeypatch.setattr(database, "READ_THROUGH", 0)
    assert "not read through" in found(inside, "database")[0].said


def test_a_database_of_an_older_hive_is_rewritten_once_to_become_smaller(hive: TestHive) -> None:
    hive.home.mkdir()
    with closing(sqlite3.connect(hive.home / "hive.db")) as db, db:
        db.execute("create table older (hive)")
    inside = hive.inside()
    whole, rewrite = found(inside, "database")
    assert whole.ok is True
    assert (rewrite.ok, rewrite.todo) == (None, "hive vacuum --rewrite")


def test_a_clock_of_long_ago_is_told(inside: Hive, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(inside, "clock")[0].ok is True
    monkeypatch.setattr(database, "LONG_AGO", time.time() + 60)
    (row,) = found(inside, "clock")
    assert (row.ok, row.said) == (False, "it is long ago by this clock")


def test_a_repair_that_fails_is_told_with_when_it_is_tried_again(inside: Hive) -> None:
    def mend() -> None:
        raise Refused("There is no space.")

    now = inside.clock()
    for age in (7300, 100, 5):
        inside.clock = lambda age=age: now - age  # type: ignore[misc]
        repairs.attempt(inside, "operation/coder", "coder", mend)
    inside.clock = lambda: now
    (row,) = found(inside, "repairs")
    assert row.ok is False
    assert row.said == "operation/coder: There is no space. (tried 3 times in 2 h; again in 35 s)"


def test_a_home_of_another_user_is_told(inside: Hive, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = inside.settings.home.stat().st_uid
    monkeypatch.setattr(home.os, "geteuid", lambda: owner + 1)
    assert found(inside, "home")[0].todo == "run hive as that user"


def test_of_a_home_that_is_not_there_nothing_is_wrong(hive: TestHive) -> None:
    inside = hive.inside()
    for check in ("home", "permissions", "leftovers"):
        assert not [each for each in found(inside, check) if each.ok is False]


def test_how_many_settings_are_the_operators_own_is_told(inside: Hive) -> None:
    def own() -> int:
        told = re.fullmatch(
            "([0-9]+) settings? other than the defaults: `hive config` shows them", found(inside, "settings")[-1].said
        )
        assert told
        return int(told[1])

    before = own()
    (inside.settings.home / "hive.toml").write_text('pronouns = "they/them"\n')
    assert own() == before + 1
    (inside.settings.home / "hive.toml").write_text("pronouns = 7\n")
    (row,) = found(inside, "settings")
    assert row.ok is False
    assert "line 1: pronouns is 7" in row.said


def test_who_does_what_runs_and_who_should_is_told(inside: Hive) -> None:
    assert [(each.ok, each.todo) for each in found(inside, "running")] == [(None, "`hive up` does")] * 2
    with inside.lone("watch", "a test"):
        watch, gate = found(inside, "running")
    assert (watch.ok, gate.ok) == (True, None)


def test_a_service_that_takes_nothing_is_told_with_how_to_try_it(inside: Hive) -> None:
    assert found(inside, "notifications")[0].ok is None
    (inside.settings.home / "hive.toml").write_text('[notify.services]\nlog = ["/bin/log"]\nmail = ["/bin/mail"]\n')
    assert found(inside, "notifications") == [Finding("notifications", True, "to log, mail")]
    with inside.store.write() as db:
        outbox.refused(db, "log", "/bin/log is not there", time.time() - 130)
        outbox.refused(db, "no longer named", "x", time.time())
    (row,) = found(inside, "notifications")
    assert row.detail == "log has taken none for 2 min: /bin/log is not there: hive notify --test"


def test_an_upkeep_that_is_late_is_told(inside: Hive, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(inside, "upkeep")[0].said == "none was made yet"
    with inside.lone("vacuum", "a test"):
        pass
    assert found(inside, "upkeep")[0].ok is True
    monkeypatch.setattr(service, "LATE", 0)
    (row,) = found(inside, "upkeep")
    assert row.ok is None
    assert row.said.startswith("the last was ")


def test_what_the_machine_lacks_is_said_with_what_to_install(inside: Hive, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("sandbox", False, "none"), ("limit of memory", False, "none"), ("claude", False, "x"), ("odd", False, "x")]
    answer(monkeypatch, inside, capabilities=lambda: [*rows, ("codex", None, "missing"), ("fine", True, "fine")])
    assert [each.todo for each in found(inside, "machine")] == [
        "apt-get install bubblewrap",
        "let hive write the control groups that it runs in (a service with Delegate=memory pids cpu)",
        "see docs/settings.md",
        "see docs/security.md",
        "",
        "",
    ]


def test_git_is_asked_for_where_it_is_not_there(inside: Hive, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(inside, "git")[0].ok is True
    monkeypatch.setenv("PATH", "/nonexistent")
    assert found(inside, "git") == [Finding("git", False, "missing", "apt-get install git")]


def test_whether_agents_have_users_of_their_own_is_told(inside: Hive, monkeypatch: pytest.MonkeyPatch) -> None:
    for pool, said in ((None, "all agents run as your own user (hive is not root)"), (range(5), "each agent runs as")):
        answer(monkeypatch, inside, users=lambda pool=pool: pool)
        assert found(inside, "users")[0].said.startswith(said)


def test_an_inotify_that_is_used_up_is_told_with_a_limit_that_would_do(
    inside: Hive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(inotify_simple, "INotify", none_left)
    row = next(each for each in found(inside, "limits") if each.check == "inotify")
    assert row.ok is False
    assert row.said.endswith("instances of this user are in use")
    assert row.todo.startswith("sysctl fs.inotify.max_user_instances=")


def test_a_container_that_has_no_row_is_told_with_what_takes_it_in(
    inside: Hive, monkeypatch: pytest.MonkeyPatch
) -> None:
    stray = Container("stray", True, "one", "a" * 40, None, None, None)
    answer(monkeypatch, inside, containers=lambda: {"stray": stray})
    assert found(inside, "agents")[0].detail == "stray has a container that the database does not know: hive adopt"
