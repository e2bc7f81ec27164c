"""`hive events`: sentences for a person, everything for a program."""

from __future__ import annotations

import json

from hive_fleet.messages.messages import post
from tests.hives import TestHive


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
