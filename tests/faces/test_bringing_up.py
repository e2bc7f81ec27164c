"""What `hive up` does first and last, in process: it makes, starts and tells of what should run, and has it rest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hive_core.context import Hive
from hive_core.events import Event
from hive_core.process import Owner
from hive_faces import up
from hive_fleet.agents import desired, halt, table
from hive_fleet.events.feed import lines
from hive_fleet.needs import needs
from hive_fleet.needs.need import Need
from tests.hives import PLAIN, TestHive

pytestmark = pytest.mark.remembered
CRASH = Need("crash", "coder", "coder", "crashed: SIGKILL", "hive journal coder")


@pytest.fixture
def inside(hive: TestHive) -> Hive:
    return hive.inside()


@pytest.fixture
def said(inside: Hive) -> list[str]:
    lines: list[str] = []
    inside.say = lines.append
    return lines


def bring_up(hive: Hive, *, again: bool = False) -> None:
    up.bring_up(hive, "leaves the agents as they are", again)


def running(hive: Hive) -> dict[str, bool]:
    return {name: container.running for name, container in sorted(hive.host.containers().items())}


def test_the_first_makes_the_manager_and_says_where_hive_is(inside: Hive, said: list[str]) -> None:
    bring_up(inside)
    assert running(inside) == {"manager": True}
    assert "making the manager" in said
    assert f"hive is up in {inside.settings.home}; Ctrl-C ends this and leaves the agents as they are" in said
    said.clear()
    bring_up(inside)
    assert "making the manager" not in said


def test_what_should_run_is_started_and_who_was_stopped_by_hand_is_named(
    hive: TestHive, inside: Hive, said: list[str]
) -> None:
    bring_up(inside)
    for name in ("w10", "w2", "worker"):
        hive.configure(name, PLAIN)
        hive.asked("spawn", name=name)
    for name in ("w10", "w2"):
        hive.asked("stop", name=name)
    inside.host.stop("worker", grace=0)
    said.clear()
    bring_up(inside)
    assert running(inside) == {"manager": True, "w10": False, "w2": False, "worker": True}
    assert [line for line in said if "by hand" in line] == [
        f"{name} was stopped by hand and stays so; `hive start {name}` starts it" for name in ("w2", "w10")
    ]


def test_a_halt_is_told_and_nothing_is_started_in_it(hive: TestHive, inside: Hive, said: list[str]) -> None:
    bring_up(inside)
    hive.asked("estop")
    said.clear()
    bring_up(inside)
    assert running(inside) == {"manager": False}
    assert any(line.startswith("everything was stopped by `hive estop` ") for line in said)
    # It is the halt that has stopped it, and nobody's hand.
    assert not [line for line in said if "by hand" in line]


def test_what_needs_you_is_said_last_but_not_when_the_database_has_become_another(
    inside: Hive, said: list[str]
) -> None:
    with inside.store.write() as db:
        needs.put(db, CRASH)
    bring_up(inside)
    # That of the manager, which was just made, is among it.
    assert said[-1] == "1 × crash, 1 × needs login: `hive needs-you` shows what needs you"
    said.clear()
    bring_up(inside, again=True)
    assert not [line for line in said if "needs you" in line]


def test_who_a_lost_database_knew_is_taken_back(hive: TestHive, inside: Hive, said: list[str]) -> None:
    bring_up(inside)
    hive.configure("coder", PLAIN)
    hive.asked("spawn", name="coder")
    with inside.store.write() as db:
        table.remove(db, "coder")
    bring_up(inside)
    assert "coder was taken back" in said
    assert running(inside) == {"coder": True, "manager": True}


def test_at_the_end_those_that_run_rest_until_the_next_one(hive: TestHive, inside: Hive, said: list[str]) -> None:
    bring_up(inside)
    for name in ("coder", "idler"):
        hive.configure(name, PLAIN)
        hive.asked("spawn", name=name)
    hive.asked("stop", name="idler")
    said.clear()
    up.rest(inside)
    assert running(inside) == {"coder": False, "idler": False, "manager": False}
    assert sorted(said) == ["stopping coder", "stopping manager"]
    with inside.store.read() as db:
        assert desired.names(db, desired.RESTING) == ["manager", "coder"]
        assert desired.names(db, desired.STOPPED) == ["idler"]
        assert halt.since(db) is None
    bring_up(inside)
    assert running(inside) == {"coder": True, "idler": False, "manager": True}


def test_one_that_cannot_be_stopped_keeps_no_other_from_resting(hive: TestHive, inside: Hive, said: list[str]) -> None:
    bring_up(inside)
    hive.configure("coder", PLAIN)
    hive.asked("spawn", name="coder")
    with inside.store.write() as db:
        columns = "agent, kind, since, owner, change, detail, steps"
        owner = Owner(1, 1, "another boot").to_json()
        row = ("coder", "stopping", 1.0, owner, "hive_fleet.changes.later:LATER", "{}", "[]")
        db.execute(f"insert into operations ({columns}) values (?, ?, ?, ?, ?, ?, ?)", row)
    up.rest(inside)
    assert running(inside) == {"coder": True, "manager": False}
    (warning,) = [line for line in said if line.startswith("warning: coder could not be stopped")]
    assert "This hive knows no change 'hive_fleet.changes.later:LATER'" in warning


def test_the_title_says_what_needs_you_from_the_first_line_on_and_when_that_changes(inside: Hive) -> None:
    def event(kind: str) -> Event:
        return Event(1, 0.0, kind, "coder", {"agent": "coder", "need": CRASH.wire()})

    def happenings() -> Iterator[Event]:
        yield event("started")
        yield event("started")
        with inside.store.write() as db:
            needs.put(db, CRASH)
        yield event("started")
        yield event("need_added")

    titles = [line.terminal_title for line in up._titled(inside, lines(happenings(), whole=True))]
    assert titles == ["hive: nothing needs you", None, None, "hive: 1 × crash"]


def test_a_title_is_worth_no_trouble(inside: Hive) -> None:
    with inside.store.write():
        pass
    inside.store.close()
    inside.settings.database.write_bytes(b"nonsense " * 1000)
    assert up._title(inside) is None


def test_that_nothing_keeps_the_agents_from_the_machine_is_said(inside: Hive, said: list[str]) -> None:
    # The backend of this test is one that confines nothing, and says so.
    bring_up(inside)
    assert any(line.startswith("warning: the agents' sandbox is ") for line in said)
