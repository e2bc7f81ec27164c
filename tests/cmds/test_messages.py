"""Messages at the shell and the sockets: who may write to whom, and what is found again."""

from __future__ import annotations

import json

import pytest

from hive_cmds import inbox, messages
from hive_core.context import Hive
from hive_core.errors import NotFound, Refused
from hive_fleet.messages.messages import kick, tell
from tests.hives import TestHive, eventually
from tests.mail import as_agent, bodies, inside

__all__ = ["inside"]


def test_a_broadcast_reaches_everybody_but_its_sender(inside: Hive) -> None:
    messages.send(as_agent(inside, "coder"), "*", "hello all")
    for name, expected in (("coder", []), ("tester", ["hello all"]), ("manager", ["hello all"])):
        assert bodies(inbox.recv(as_agent(inside, name), limit=10)) == expected


def test_a_long_broadcast_is_written_one_copy_at_a_time_so_that_others_write_in_between(inside: Hive) -> None:
    coder, statements = as_agent(inside, "coder"), list[str]()
    coder.store.connection().set_trace_callback(statements.append)
    for body, transactions in (("short", 1), ("x" * (messages.AT_ONCE + 1), 2)):
        statements.clear()
        ids = messages.send(coder, "*", body).ids
        assert [statement.lower().strip() for statement in statements].count("commit") == transactions
        assert ids == [ids[0], ids[0] + 1]
        for name in ("tester", "manager"):
            assert bodies(inbox.recv(as_agent(inside, name), limit=10)) == [body]
    coder.store.connection().set_trace_callback(None)


def test_only_those_that_the_configuration_allows_can_be_written_to(inside: Hive) -> None:
    with inside.store.write() as db:
        db.execute("update agents set allowed_recipients = ? where name = 'coder'", (json.dumps(["manager"]),))
    coder = as_agent(inside, "coder")
    messages.send(coder, "manager", "fine")
    for to in ("tester", "operator", "*"):
        with pytest.raises(Refused, match="may not write"):
            messages.send(coder, to, "not fine")
    assert bodies(inbox.recv(as_agent(inside, "tester"), limit=10)) == []


def test_nobody_is_written_to_who_is_not_there(inside: Hive) -> None:
    with pytest.raises(NotFound, match="no agent 'nobody'"):
        messages.send(inside, "nobody", "hello")


def test_an_agent_finds_only_what_it_sent_or_got(inside: Hive) -> None:
    messages.send(inside, "coder", "for the coder: apple")
    messages.send(as_agent(inside, "tester"), "operator", "from the tester: apple")
    assert len(messages.search(inside, "apple").messages) == 2
    assert [m.recipient for m in messages.search(as_agent(inside, "coder"), "apple").messages] == ["coder"]
    assert [m.sender for m in messages.search(as_agent(inside, "tester"), "apple").messages] == ["tester"]


def test_what_the_system_tells_is_readable_for_a_person_and_whole_for_a_program(hive: TestHive, inside: Hive) -> None:
    with inside.store.write() as db:
        tell(
            inside,
            db,
            "container_crash",
            "coder",
            cause="SIGKILL",
            code=137,
            reason="signal",
            lately=1,
            journal="one\n\x1btwo",
        )
    messages.send(inside, "coder", '{"event": "no, a text"}')
    assert "container_crash" not in hive.run("recent").stdout
    shown = hive.run("recent", "--system").stdout
    assert "  | event: container_crash\n  | agent: coder\n  | cause: SIGKILL\n  | code: 137\n" in shown
    assert "  | journal:\n  |   | one\n  |   | \\x1btwo\n" in shown
    assert '  | {"event": "no, a text"}\n' in shown
    assert "  | event: container_crash\n" in hive.run("why", "1").stdout
    told, _ = hive.json("recent", "--system")
    assert json.loads(told["body"])["journal"] == "one\n\x1btwo"


def test_the_way_of_a_message_is_told(hive: TestHive, inside: Hive) -> None:
    number = messages.send(inside, "coder", "follow me").ids[0]
    assert hive.run("why", str(number)).stdout.count("not yet") == 2
    sent = ["id", "from", "to", "body", "sent_at"]
    assert list(hive.json("why", str(number))) == [*sent, "deliveries"]
    inbox.recv(as_agent(inside, "coder"))
    inbox.ack(as_agent(inside, "coder"))
    told = hive.json("why", str(number))
    assert list(told) == [*sent, "delivered_at", "acknowledged_at", "deliveries"]
    assert (told["from"], told["to"], told["deliveries"]) == ("operator", "coder", 1)
    assert "no message" in hive.run("why", "999", code=1).stderr


def test_who_writes_while_nobody_serves_the_sockets_is_told(hive: TestHive, inside: Hive) -> None:
    with inside.store.write() as db:
        db.execute("update agents set runner = 'claude' where name = 'coder'")
    assert hive.run("send", "coder", "hello").stderr.startswith("note: nobody carries it there yet: `hive up`")
    assert hive.run("send", "operator", "hello").stderr == ""
    hive.start("gate")
    eventually((hive.root / "run" / "host.sock").exists)
    assert hive.run("send", "coder", "hello").stderr == ""


def test_who_writes_to_a_command_is_told_that_no_harness_reads_it(hive: TestHive, inside: Hive) -> None:
    assert hive.run("send", "coder", "hello").stderr.startswith("note: coder runs a command of its own")
    assert hive.run("send", "*", "hello").stderr.startswith("note: coder, manager, tester run commands of their own")
    with inside.store.write() as db:
        db.execute("update agents set runner = 'claude'")
    assert "of its own" not in hive.run("send", "coder", "hello").stderr


def test_only_who_looks_after_the_agents_is_told_which_name_was_meant(inside: Hive) -> None:
    with pytest.raises(NotFound) as told:
        messages.send(inside, "codr", "hello")
    assert "Did you mean 'coder'" in str(told.value)
    with pytest.raises(NotFound) as told:
        messages.send(as_agent(inside, "tester"), "codr", "hello")
    assert "'coder'" not in str(told.value)


def test_the_operator_is_shown_what_was_said_and_asks_for_what_the_system_tells(hive: TestHive, inside: Hive) -> None:
    messages.send(inside, "coder", "of a person")
    with inside.store.write() as db:
        for number in range(30):
            kick(db, "coder", f"restarted {number}")
    assert [message["body"] for message in hive.json("recent")] == ["of a person"]
    assert len(hive.json("recent", "--system", "--limit", "100")) == 31
    assert len(messages.recent(as_agent(inside, "coder"), 100).messages) == 31
