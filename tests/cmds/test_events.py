"""`hive events`: sentences for a person, everything for a program."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from hive_core.client import Client as OperatorClient
from hive_core.errors import Refused
from hive_fleet.messages.messages import post
from tests.hives import TestHive, line_of


def test_events_are_sentences_for_a_person_and_json_for_a_program(hive: TestHive) -> None:
    hive.spawn("coder")
    shown = hive.run("events", "--since", "0").stdout
    assert any(line.split()[-2:] == ["coder", "running"] for line in shown.splitlines())
    assert "transient" not in shown
    rows = [json.loads(line) for line in hive.run("events", "--since", "0", "--json").stdout.splitlines()]
    assert {"transient_set", "transient_cleared", "container_state_changed"} <= {row["kind"] for row in rows}
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))


def test_a_person_is_shown_what_was_said_however_much_the_system_tells(hive: TestHive) -> None:
    inside = hive.inside()
    hive.run("send", "operator", "of a person")
    with inside.store.write() as db:
        for number in range(100):
            post(db, "system", "manager", str(number))
    assert "of a person" in hive.run("events").stdout
    told = hive.run("events", "--system").stdout.splitlines()
    assert (len(told), "of a person" in told[0]) == (50, False)
    assert len(hive.run("events", "--json", "--since", "0").stdout.splitlines()) == 101


@pytest.mark.remembered
def test_events_are_chosen_by_agent_and_by_time(hive: TestHive) -> None:
    for name in ("coder", "tester"):
        hive.spawn(name)
    with hive.inside().store.write() as db:
        db.execute("update events set at = at - 7200 where seq <= 3")
    of_coder = [event["seq"] for event in hive.asked("events", since=0, agent=["coder"])]
    assert of_coder
    assert {event["seq"] for event in hive.events()} > set(of_coder)
    assert [event["seq"] for event in hive.asked("events", agent=["coder"])] == of_coder[-50:]
    assert hive.asked("events", since="1h")[0]["seq"] == 4
    assert [event["kind"] for event in hive.asked("events", agent=["tester"], kind=["spawned"])] == ["spawned"]
    both = hive.asked("events", since=0, agent=["coder", "tester"], kind=["spawned"])
    assert [event["agent"] for event in both] == ["coder", "tester"]


@pytest.mark.remembered
def test_an_agent_of_which_nothing_was_ever_told_is_not_known(hive: TestHive) -> None:
    hive.spawn("coder")
    said = hive.run("events", "--agent", "coders", code=1).stderr
    assert "There is no agent 'coders'." in said
    assert "Did you mean 'coder'?" in said
    hive.run("destroy", "coder", "--purge", "--yes")
    assert "destroyed" in hive.run("events", "--agent", "coder").stdout
    follow = hive.start("events", "--follow", "--agent", "later", "--kind", "spawned", "--json")
    assert follow.stderr is not None
    assert "There is no agent 'later'." in follow.stderr.readline()
    hive.spawn("later")
    assert json.loads(line_of(follow))["agent"] == "later"


@pytest.mark.remembered
def test_a_client_of_the_socket_chooses_events_in_the_same_way(hive: TestHive) -> None:
    hive.start("gate")
    for name in ("coder", "tester"):
        hive.spawn(name)
    client = OperatorClient(hive.root / "run" / "host.sock")
    with closing(client):
        told = client.call("events", agent=["tester"], kind=["spawned"])
        assert [event["agent"] for event in told] == ["tester"]
        assert client.call("events", since="1h", agent=["tester"])[0]["seq"] > 1
        with pytest.raises(Refused):
            client.call("events", since="soon")
