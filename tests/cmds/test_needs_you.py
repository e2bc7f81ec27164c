"""`hive needs-you` and `hive ack`: what they print, and how a prompt and a program use them."""

from __future__ import annotations

import json
import sys
from contextlib import closing

import pytest

from hive_core.client import Client
from hive_core.containers.memory import MemoryHost
from hive_fleet.watching.rounds import tick
from tests import clients
from tests.hives import CHECKOUT, TestHive, eventually

pytestmark = pytest.mark.remembered


def test_each_row_says_what_there_is_and_what_to_type(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.run("request-spawn", "tester", "--description", "tests")
    hive.run("ask", "Which?")
    inside = hive.inside()
    tick(inside, seed=True)
    MemoryHost(inside.settings).finish("coder", 1)
    tick(inside, seed=False)
    rows = json.loads(hive.run("needs-you", "--json", code=1).stdout)
    assert {row["id"]: (row["agent"], row["command"], row["weight"]) for row in rows} == {
        "request/2": ("tester", "hive show 2", 2),
        "question/1": ("operator", "hive answer 1 TEXT", 2),
        "crash/coder": ("coder", "hive journal coder", 3),
    }
    assert [row["since"] for row in rows] == sorted(row["since"] for row in rows)
    for row in rows:
        assert list(row) == [name for name in ("id", "kind", "agent", "since", "text", "quote", "command", "weight")
                             if name != "quote" or row["kind"] != "crash"]  # fmt: skip
    printed = hive.run("needs-you", code=1).stdout.splitlines()
    assert printed[0].split() == ["ID", "AGE", "COMMAND", "DETAIL"]
    assert any("operator asks to make tester: tests" in line for line in printed)


def test_nothing_is_said_with_exit_code_0(hive: TestHive) -> None:
    done = hive.run("needs-you")
    assert (done.stdout, done.stderr) == ("", "Nothing needs you.\n")
    assert hive.run("needs-you", "--json").stdout == "[]\n"
    assert hive.run("needs-you", "--short").stdout == "\n"
    assert not hive.home.exists()


def test_a_prompt_is_told_in_a_few_words_the_gravest_first(hive: TestHive) -> None:
    hive.run("ask", "Which?")
    hive.run("ask", "What?")
    hive.run("request-spawn", "tester")
    assert hive.run("needs-you", "--short", code=1).stdout == "2 × question, 1 × request\n"
    short = json.loads(hive.run("needs-you", "--short", "--json", code=1).stdout)
    assert short == {"count": 3, "weight": 2, "kinds": {"question": 2, "request": 1}}


def test_a_prompt_loads_neither_what_reads_command_lines_nor_git(hive: TestHive) -> None:
    hive.run("ask", "Which?")
    program = [sys.executable, "-X", "importtime", str(CHECKOUT / "hive")]
    done = hive.run("needs-you", "--short", program=program, code=1)
    assert done.stdout == "1 × question\n"
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "sqlite3" in loaded
    assert not loaded & {"typer", "rich", "pygit2", "plumbum", "apprise", "subprocess"}


def test_what_is_acknowledged_is_shown_to_who_asks_for_all(hive: TestHive) -> None:
    hive.run("ask", "Which?")
    assert hive.run("ack", "question/1").stdout == "question/1: operator asks you: Which? (acknowledged)\n"
    assert hive.run("needs-you", "--short").stdout == "\n"
    assert json.loads(hive.run("needs-you", "--all", "--json").stdout)[0]["acknowledged_at"] > 0
    assert "question/2" in hive.run("ack", "question/2", code=1).stderr
    assert "is not the id" in hive.run("ack", "2", code=2).stderr
    hive.run("answer", "1", "this")
    assert hive.run("needs-you", "--all").stderr == "Nothing needs you.\n"


def test_an_agent_s_ack_is_its_own_and_the_operator_s_is_not_on_its_socket(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.run("send", "coder", "hello")
    hive.run("ask", "Which?")
    hive.start("gate")
    path = hive.root / "run" / "agents" / "coder.sock"
    eventually(path.exists)
    with clients.Client(path) as agent:
        assert agent.ask("recv", wait=0)["messages"][0]["body"] == "hello"
        assert agent.ask("ack")["ok"] is True
        assert agent.ask("acknowledge", id="question/1")["ok"] is False
        assert agent.ask("needs_you")["ok"] is False
    with closing(Client(hive.root / "run" / "host.sock")) as host:
        assert [row["id"] for row in host.call("needs_you")] == ["question/1"]
        assert host.call("acknowledge", id="question/1")["acknowledged_at"] > 0
        assert [row["id"] for row in host.call("state")["needs"]] == ["question/1"]
    with hive.inside().store.read() as db:
        query = "select acknowledged_at from messages where body = 'hello'"
        assert db.execute(query).fetchone()[0] is not None


def test_a_restored_database_lists_what_it_holds(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.run("ask", "Which?")
    inside = hive.inside()
    tick(inside, seed=True)
    MemoryHost(inside.settings).finish("coder", 1)
    tick(inside, seed=False)
    hive.run("backup", str(hive.root / "kept"))
    hive.run("answer", "1", "this")
    hive.run("restore", str(hive.root / "kept"), "--yes")
    # How the agent is, is looked at anew.
    assert [row["id"] for row in hive.asked("needs_you")] == ["question/1"]
