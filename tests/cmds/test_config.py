"""`hive.toml` in a whole hive: what it decides, who shows it, and what goes on when it cannot be used."""

from __future__ import annotations

import tomllib

import pytest

from hive_fleet.home import ports
from tests.hives import PLAIN, TestHive, eventually

pytestmark = pytest.mark.remembered
RUNNING = pytest.mark.remembered(False)
BAD = 'pronouns = "she/her"\nport = 1\n'


def settings(hive: TestHive, text: str) -> None:
    hive.home.mkdir(parents=True, exist_ok=True)
    (hive.home / "hive.toml").write_text(text)


def test_what_holds_is_shown_with_where_it_comes_from(hive: TestHive) -> None:
    settings(hive, 'pronouns = "they/them"\n[new_agents]\nmodel = "tiny"\n[new_agents.limits]\nmemory = "64M"\n')
    hive.extra["HIVE_FLAKE"] = "git+file:///nowhere"
    rows = {row["key"]: (row.get("value"), row["origin"]) for row in hive.json("config")}
    assert rows["pronouns"] == ("they/them", "hive.toml, line 1")
    assert rows["flake"] == ("git+file:///nowhere", "HIVE_FLAKE in the environment")
    assert rows["ports.manager"] == (8000, "default")
    assert rows["new_agents.runner"] == ("claude", "default")
    assert rows["new_agents.model"] == ("tiny", "hive.toml, line 3")
    assert rows["new_agents.limits"] == ('[limits] memory = "64M"', "hive.toml, line 4")


@RUNNING
def test_an_agent_is_spoken_to_of_its_operator_as_the_file_says_whoever_starts_it(hive: TestHive) -> None:
    settings(hive, 'pronouns = "they/them"\n')
    told = 'command = ["sh", "-c", "echo of $HIVE_OPERATOR_PRONOUNS; exec sleep infinity"]\nsettle_seconds = 0.05\n'
    hive.spawn("coder", told)
    eventually(lambda: "of they/them" in hive.run("journal", "coder").stdout)
    hive.extra["HIVE_OPERATOR_PRONOUNS"] = "he/him"
    hive.run("restart", "coder")
    del hive.extra["HIVE_OPERATOR_PRONOUNS"]
    eventually(lambda: "of he/him" in hive.run("journal", "coder").stdout)
    settings(hive, 'pronouns = "xe/xem"\n')
    hive.run("restart", "coder")
    eventually(lambda: "of xe/xem" in hive.run("journal", "coder").stdout)


def test_a_new_agent_begins_with_what_the_file_says(hive: TestHive) -> None:
    text = 'runner = "command"\ncommand = ["sleep", "infinity"]\nsettle_seconds = 0.05\n'
    settings(hive, f"[ports]\nfirst = 20000\ncount = 1\n[new_agents]\n{text}[new_agents.limits]\nprocesses = 50\n")
    hive.run("spawn", "coder")
    seeded = (hive.home / "agents/coder/config/agent.toml").read_text()
    assert tomllib.loads(seeded) == {**tomllib.loads(text), "limits": {"processes": 50}}
    assert hive.agent("coder")["running"]
    assert (hive.home / "agents/coder/port").read_text() == "20000\n"


def test_an_agent_keeps_the_port_it_has(hive: TestHive) -> None:
    hive.spawn("coder")
    before = (hive.home / "agents/coder/port").read_text()
    settings(hive, "[ports]\nfirst = 20000\n")
    hive.run("restart", "coder")
    assert (hive.home / "agents/coder/port").read_text() == before
    assert ports.chosen(hive.inside()).first == 20000


def test_a_file_that_cannot_be_used_stops_only_what_needs_it(hive: TestHive) -> None:
    hive.spawn("coder", PLAIN)
    settings(hive, BAD)
    for command in (
        ["list"],
        ["doctor"],
        ["events", "--since", "0"],
        ["watch", "--once"],
        ["send", "coder", "hello"],
        ["kill", "coder"],
    ):
        hive.run(*command)


def test_what_needs_the_file_is_refused_with_its_line_and_key(hive: TestHive) -> None:
    hive.spawn("coder", PLAIN)
    hive.run("kill", "coder")
    settings(hive, BAD)
    for command in (["config"], ["start", "coder"], ["spawn", "other"], ["up"]):
        told = hive.run(*command, code=1).stderr
        assert f"{hive.home}/hive.toml, line 2: port is not a key hive knows; perhaps it is ports." in told, command
    settings(hive, "")
    hive.run("start", "coder")


def test_nobody_is_ended_who_could_not_be_started_again_with_the_file_as_it_is(hive: TestHive) -> None:
    hive.spawn("coder", PLAIN)
    settings(hive, BAD)
    assert "port is not a key" in hive.run("restart", "coder", code=1).stderr
    assert hive.agent("coder")["running"]
    hive.run("estop")
    assert "port is not a key" in hive.run("resume", "--all", code=1).stderr
    # The stop holds, so nobody takes the end of what it has stopped for a crash.
    hive.run("watch", "--once")
    assert (hive.agent("coder")["halted"], hive.events("container_crash")) == (True, [])
    settings(hive, "")
    hive.run("resume", "--all")
    assert hive.agent("coder")["running"]


@RUNNING
def test_the_doctor_says_what_is_wrong_with_the_file_and_goes_on(hive: TestHive) -> None:
    settings(hive, BAD)
    rows = {row["check"]: row for row in hive.json("doctor")}
    assert rows["settings"]["ok"] is False
    assert "line 2: port is not a key" in rows["settings"]["detail"]
    assert "git" in rows
    assert rows["claude"]["detail"].endswith("perhaps it is ports: see docs/settings.md")
    settings(hive, 'pronouns = "they/them"\n')
    (row,) = (row for row in hive.json("doctor") if row["check"] == "settings")
    assert row["ok"]
    # The other says that these tests serve no page.
    assert row["detail"].startswith("2 settings ")
