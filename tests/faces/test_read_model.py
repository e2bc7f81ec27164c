"""The state and the stream on the operator's socket: what a client knows by them is what there is, whatever happens."""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from typing import Any

import pytest

from hive_core.caller import Identity, Role
from hive_core.client import Client
from hive_core.context import Hive
from hive_core.errors import HiveError, Refused
from hive_core.event_kinds import EVENT_KINDS
from hive_core.events import emit, newest
from hive_core.mirror import Mirror
from hive_faces.verbs import everything
from hive_fleet.changes import running
from hive_fleet.flake import staleness
from hive_fleet.messages import messages
from tests import clients
from tests.hives import PLAIN, TestHive, at_work, eventually

pytestmark = pytest.mark.remembered


@pytest.fixture
def served(hive: TestHive) -> Iterator[TestHive]:
    """A hive whose sockets are served."""
    serve(hive)
    return hive


def serve(hive: TestHive) -> None:
    hive.start("gate")
    eventually(lambda: listening(hive))


def listening(hive: TestHive) -> bool:
    with suppress(OSError):
        clients.Client(hive.root / "run" / "host.sock").close()
        return True
    return False


def client_of(hive: TestHive) -> Client:
    return Client(hive.root / "run" / "host.sock")


@pytest.fixture
def client(served: TestHive) -> Iterator[Client]:
    made = client_of(served)
    yield made
    made.close()


@pytest.fixture
def host(served: TestHive) -> Iterator[clients.Client]:
    with clients.Client(served.root / "run" / "host.sock") as made:
        yield made


def ask(host: clients.Client, op: str, **arguments: object) -> dict[str, Any]:
    host.send(json.dumps({"op": op, **arguments}).encode() + b"\n")
    answer: dict[str, Any] = host.read()
    return answer


# --- Operations whole.


def test_an_operation_asked_for_by_op_answers_with_its_value_whatever_that_is(host: clients.Client) -> None:
    sent = ask(host, "send", to="operator", body="hello")
    assert list(sent) == ["ok", "result"]
    assert sent["result"]["ids"]
    assert ask(host, "recv", wait=0)["result"]["messages"][0]["body"] == "hello"
    assert ask(host, "list") == {"ok": True, "result": []}
    request = ask(host, "request_spawn", name="coder")["result"]
    assert request["status"] == "pending"
    assert ask(host, "deny", id=request["id"], note="no")["result"]["note"] == "no"


def test_what_is_refused_says_why_and_what_to_do_apart(host: clients.Client) -> None:
    refused = ask(host, "kill", name="nobody")
    assert list(refused) == ["ok", "error", "hint"]
    assert (refused["ok"], refused["error"]) == (False, "There is no agent 'nobody'.")
    assert "hive list" in refused["hint"]
    assert ask(host, "nonsense") == {"ok": False, "error": "There is no command 'nonsense'."}
    assert ask(host, "list", more=1)["ok"] is False
    assert ask(host, "deny", id="1")["error"].startswith("id is of the JSON type integer")
    for word in (7, None, ["list"]):
        host.send(json.dumps({"op": word}).encode() + b"\n")
        assert host.read()["ok"] is False


def test_a_parked_operation_answers_when_there_is_something(served: TestHive, host: clients.Client) -> None:
    host.send(b'{"op":"recv","wait":60}\n')
    served.run("send", "operator", "at last")
    assert host.read()["result"]["messages"][0]["body"] == "at last"


def test_what_needs_a_person_at_a_shell_is_served_to_nobody(host: clients.Client) -> None:
    for verb in ("up", "watch", "gate", "login", "restore"):
        assert ask(host, verb)["error"] == f"There is no command {verb!r}."


@pytest.mark.remembered(False)
def test_a_journal_is_followed_over_the_socket_until_nobody_reads_it(served: TestHive, client: Client) -> None:
    served.spawn("coder", PLAIN.replace("echo ready;", "echo ready; read line </state/go; echo gone on;"))
    os.mkfifo(served.home / "agents/coder/state/go", 0o666)
    served.run("restart", "coder")
    told = client.stream("journal", name="coder", follow=True)
    assert any(item.get("text", "").endswith("ready") for item in told)
    (served.home / "agents/coder/state/go").write_text("on\n")
    assert any(item.get("text", "").endswith("gone on") for item in told)
    told.close()  # type: ignore[attr-defined]
    served.run("stop", "coder")
    with pytest.raises(Refused, match="There is no agent"):
        client.stream("journal", name="nobody", follow=True)
    with pytest.raises(Refused, match="has no page"):
        client.stream("attach", name="coder")


def test_an_agent_s_socket_knows_no_op(served: TestHive) -> None:
    served.spawn("coder")
    path = served.root / "run" / "agents" / "coder.sock"
    eventually(path.exists)
    with clients.Client(path) as agent:
        for op in ("state", "events", "send"):
            assert ask(agent, op) == {"version": 1, "ok": False, "error": 'A request is an object with "cmd".'}
            assert agent.ask(op)["ok"] is False


# --- The state.


def test_the_state_holds_what_was_last_told_of_everything(served: TestHive, client: Client) -> None:
    served.spawn("coder")
    number = served.request("coder", PLAIN.replace("ready", "steady"))
    served.run("request-spawn", "tester", "--description", "tests")
    served.run("deny", str(served.json("request-spawn", "writer")["id"]), "--note", "no")
    served.run("send", "coder", "do it")
    served.run("ask", "Which?", "--option", "a", "--option", "b")
    state = client.call("state")
    assert state["seq"] == served.events()[-1]["seq"]
    assert [agent["name"] for agent in state["agents"]] == ["coder"]
    assert state["agents"][0] == served.events("container_state_changed")[-1]["container"]
    assert [row["id"] for row in state["approvals"]] == [number, number + 1]
    added = served.events("approval_added")[1]
    assert state["approvals"][0] == {name: added[name] for name in state["approvals"][0]}
    assert len(state["approvals"][0]["sha"]) == 40
    assert state["approvals"][1]["description"] == "tests"
    assert (state["decided"][-1]["status"], state["decided"][-1]["note"]) == ("denied", "no")
    assert state["messages"][-1]["body"] == "do it"
    assert state["questions"][0]["options"] == ["a", "b"]
    assert [row["name"] for row in state["inputs"]] == ["hive", "agent-coder"]
    assert state == served.json("state")


def test_what_an_event_may_lack_is_null_in_it(served: TestHive) -> None:
    served.run("request-spawn", "tester")
    served.run("ask", "When?")
    for kind in ("approval_added", "question_added"):
        (event,) = served.events(kind)
        assert {*EVENT_KINDS[kind].fields, *EVENT_KINDS[kind].optional} <= event.keys()
    assert served.events("approval_added")[0]["sha_short"] is None


def test_a_long_message_is_shown_in_part_with_its_length(served: TestHive, client: Client) -> None:
    served.run("send", "operator", "é" * 5000)
    (row,) = client.call("state")["messages"]
    assert (row["body"], row["length"]) == ("é" * 4000, 5000)


def test_a_state_beside_a_long_rebuild_waits_for_none(served: TestHive, client: Client) -> None:
    """All threads that change things for the operator wait for a lock; those that look do not."""
    served.spawn("coder")
    inside = served.inside()
    with inside.lock("coder", "a test"):
        waiting = [threading.Thread(target=client.call, args=("restart",), kwargs={"name": "coder"}) for _ in range(9)]
        for thread in waiting:
            thread.start()
        assert client.call("state")["agents"]
    for thread in waiting:
        thread.join()


# --- The stream.


def test_events_come_in_order_each_once_and_then_as_they_happen(served: TestHive, host: clients.Client) -> None:
    for number in range(3):
        served.run("send", "operator", f"message {number}")
    assert ask(host, "events", since=0, follow=True) == {"ok": True, "result": {"seq": 0}}
    seen = [host.read() for _ in range(3)]
    served.run("send", "operator", "message 3")
    seen.append(host.read())
    assert [event["body"] for event in seen] == [f"message {number}" for number in range(4)]
    assert seen == served.events()


def test_a_connection_that_follows_answers_all_the_same(served: TestHive, host: clients.Client) -> None:
    assert ask(host, "events", follow=True)["result"] == {"seq": 0}
    host.send(b'{"op":"list"}\n')
    assert host.read() == {"ok": True, "result": []}
    served.run("send", "operator", "hello")
    assert host.read()["kind"] == "sent"


def test_events_are_read_in_pages_by_who_does_not_follow(served: TestHive, host: clients.Client) -> None:
    with served.inside().store.write() as db:
        for _ in range(450):
            emit(db, "started", agent="coder")
    seen: list[dict[str, Any]] = []
    while page := ask(host, "events", since=seen[-1]["seq"] if seen else 0)["result"]:
        seen += page
    assert [event["seq"] for event in seen] == list(range(1, 451))
    assert [event["seq"] for event in ask(host, "events")["result"]] == list(range(401, 451))


def test_only_the_kinds_that_were_asked_for_come(served: TestHive, host: clients.Client) -> None:
    served.run("send", "operator", "hello")
    ask(host, "events", since=0, follow=True, kind=["question_added"])
    served.run("ask", "What?")
    assert host.read()["kind"] == "question_added"
    assert ask(host, "events", since=0, kind=["nonsense"])["ok"] is False


def prune(hive: Hive, seq: int) -> None:
    """As time does: what is old is no longer kept."""
    with hive.store.write() as db:
        db.execute("delete from events where seq <= ?", (seq,))


def test_a_since_that_is_not_kept_or_of_another_history_is_told_to_begin_anew(
    served: TestHive, host: clients.Client
) -> None:
    inside = served.inside()
    with inside.store.write() as db:
        for _ in range(7):
            emit(db, "started", agent="coder")
    prune(inside, 5)
    anew: list[object] = ["resync"]
    for since, told in {0: anew, 4: anew, 5: [6, 7], 6: [7], 7: [], 8: anew, 10**12: anew}.items():
        page = ask(host, "events", since=since)["result"]
        assert [event["kind"] if event["kind"] == "resync" else event["seq"] for event in page] == told, since
        assert all(event["seq"] == 7 for event in page if event["kind"] == "resync"), since


def test_a_history_of_which_nothing_is_kept_goes_on_from_its_last_number(served: TestHive, client: Client) -> None:
    served.run("send", "operator", "hello")
    inside = served.inside()
    with inside.store.read() as db:
        seq = newest(db)
    prune(inside, seq)
    assert client.call("state")["seq"] == seq
    assert client.call("events", since=seq) == []
    assert [event["kind"] for event in client.call("events", since=0)] == ["resync"]


def test_what_was_announced_as_a_whole_outlives_its_event(served: TestHive, client: Client) -> None:
    served.spawn("coder")
    served.run("destroy", "coder", "--yes")
    before = client.call("state")
    assert [row["name"] for row in before["tombstones"]] == ["coder"]
    prune(served.inside(), before["seq"])
    after = client.call("state")
    assert (after["tombstones"], after["inputs"]) == (before["tombstones"], before["inputs"])


def test_the_gate_may_be_restarted_and_no_event_is_lost_or_told_twice(served: TestHive, client: Client) -> None:
    stream = client.events(0)
    seen = []
    for number in range(3):
        served.run("send", "operator", f"before {number}")
        seen.append(next(stream))
        served.started[-1].terminate()
        served.started[-1].wait()
        served.run("send", "operator", f"between {number}")
        serve(served)
        seen.append(next(stream))
    assert [event for event in seen if event["kind"] != "heartbeat"] == served.events()


def test_what_no_event_tells_in_full_is_followed_by_a_resync(
    served: TestHive, client: Client, host: clients.Client
) -> None:
    served.spawn("coder")
    served.run("send", "coder", "a secret")
    backup = served.root / "backup"
    served.run("backup", str(backup))
    ask(host, "events", follow=True, kind=["purged"])
    served.run("destroy", "coder", "--purge", "--yes")
    assert host.read()["kind"] == "resync"
    assert "a secret" not in json.dumps(client.call("state"))
    served.run("restore", str(backup), "--yes")
    assert host.read()["kind"] == "resync"
    assert "a secret" in json.dumps(client.call("state"))


def test_another_database_is_noticed_at_once_by_its_numbers(served: TestHive, client: Client) -> None:
    served.spawn("coder")
    mirror = Mirror(client)
    for name in ("hive.db", "hive.db-wal", "hive.db-shm"):
        (served.home / name).unlink(missing_ok=True)
    served.run("adopt")
    assert any(event["kind"] == "resync" for event in until(mirror, lambda state: state["seq"] > 1_000_000))
    assert [agent["name"] for agent in mirror.state["agents"]] == ["coder"]


def until(mirror: Mirror, reached: Callable[[dict[str, Any]], bool]) -> list[Any]:
    """Follow until the mirror shows something; the events on the way."""
    seen: list[Any] = []
    with closing(mirror.follow()) as stream:
        while not reached(mirror.state):
            seen.append(next(stream))
    return seen


def is_at_least(seq: int, state: dict[str, Any]) -> bool:
    return bool(state["seq"] >= seq)


# --- Whatever happens.

AGENTS = ("manager", "coder", "tester", "w2", "w10")


class Chance:
    """Things that happen at random, of those that change what is shown."""

    def __init__(self, place: TestHive, seed: int) -> None:
        self.random = random.Random(seed)
        self.place, self.hive = place, place.inside()
        self.deeds: list[Callable[[], None]] = [
            self.talk, self.talk, self.read, self.ask, self.answer, self.request, self.decide, self.operate,
            self.tell_of_itself, self.pause, self.forget, self.destroy, self.rebuild,
        ]  # fmt: skip
        for name in AGENTS:
            self.enlist(name)

    def enlist(self, name: str) -> None:
        with self.hive.store.write() as db:
            row = "insert or ignore into agents (name, desired, created_at) values (?, 'stopped', 0)"
            db.execute(row, (name,))

    def some(self, count: int) -> None:
        """Do so many things, and say at the end that it was the end."""
        try:
            for _ in range(count):
                self.random.choice(self.deeds)()
        finally:
            self.call("send", to="operator", body=f"the end {self.random.random()}")

    def call(self, verb: str, by: str = "operator", **arguments: object) -> Any:
        """An operation as somebody calls it; what is refused changes nothing."""
        caller = {"operator": Role.OPERATOR, "manager": Role.MANAGER}.get(by, Role.AGENT)
        with suppress(HiveError):
            return everything()[verb].call(self.hive.acting_as(Identity(caller, by)), arguments)
        return None

    def somebody(self, *more: str) -> str:
        return self.random.choice([*AGENTS, *more])

    def talk(self) -> None:
        body = "long " * self.random.choice([1, 1, 1500])
        self.call("send", self.somebody("operator"), to=self.somebody("operator", "*"), body=body)

    def read(self) -> None:
        by = self.somebody("operator")
        self.call("recv", by, wait=0, limit=self.random.randint(1, 5))
        if by != "operator":
            self.call(self.random.choice(["ack", "nack"]), by)

    def ask(self) -> None:
        options = self.random.choice([None, ["yes", "no"]])
        self.call("ask", self.somebody(), question="may I?", options=options, ttl=self.random.choice([None, 3600]))

    def answer(self) -> None:
        if found := self.call("questions"):
            number = self.random.choice(found).id
            self.random.choice([lambda: self.call("answer", id=number, text="yes"),
                                lambda: self.call("cancel_question", id=number)])()  # fmt: skip

    def request(self) -> None:
        by, name = self.random.choice(["manager", "operator"]), f"new{self.random.randint(1, 9)}"
        self.call("request_spawn", by, name=name, description=self.random.choice([None, "to help"]))
        self.call("request_commit", by, agent=self.somebody(), sha=f"{self.random.randrange(16**12):012x}")

    def decide(self) -> None:
        if found := self.call("approvals"):
            number = self.random.choice(found).id
            self.call("deny", id=number, note="no") if self.random.random() < 0.5 else self.call("cancel", id=number)

    def operate(self) -> None:
        with at_work(self.hive, self.somebody(), running.RESTARTING):
            self.talk()

    def tell_of_itself(self) -> None:
        by = self.somebody()
        state = self.random.choice(["idle", "thinking", "compacting"])
        self.call("set_status", by, state=state, text=f"at {self.random.randint(1, 99)}", model="m")

    def pause(self) -> None:
        self.call(self.random.choice(["pause", "resume"]), name=self.somebody())

    def forget(self) -> None:
        if self.random.random() < 0.1:
            with self.hive.store.write() as db:
                messages.forget_inbox(db, self.somebody())

    def destroy(self) -> None:
        """One that is destroyed is a tombstone, and may be purged or come again."""
        name = self.random.choice(["w2", "w10"])
        (self.hive.settings.agents / name).mkdir(parents=True, exist_ok=True)
        self.call("destroy", name=name)
        if self.random.random() < 0.3:
            self.call("purge", name=name)
        self.enlist(name)

    def rebuild(self) -> None:
        """A fan-out, of which some are done when it is broken off."""
        chosen = [self.somebody() for _ in range(3)]
        with staleness.rebuilding(self.hive, chosen) as fan_out:
            fan_out.done(chosen[0], self.random.choice([None, "it is broken"]))

    def prune(self) -> None:
        """Forget a part of the history."""
        with self.hive.store.read() as db:
            last = newest(db)
        prune(self.hive, self.random.randint(max(0, last - 60), last))


@pytest.fixture
def others() -> Iterator[ThreadPoolExecutor]:
    """Somebody else, who does things meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.mark.parametrize("seed", range(4))
def test_who_follows_knows_what_there_is_whatever_happens(
    served: TestHive, others: ThreadPoolExecutor, seed: int
) -> None:
    chance = Chance(served, seed)
    known: dict[str, Any] | None = None
    for _ in range(12):
        client = client_of(served)
        mirror = Mirror(client, known)
        busy = others.submit(chance.some, chance.random.randint(1, 25))
        if chance.random.random() < 0.3:
            served.started[-1].kill()
            served.started[-1].wait()
            served.start("gate")
        until(mirror, lambda state: any(row["body"].startswith("the end") for row in state["messages"][-1:]))
        busy.result()
        fresh = client.state()
        until(mirror, partial(is_at_least, fresh["seq"]))
        assert mirror.state == fresh
        known = mirror.state
        client.close()
        # What happens while nobody follows.
        chance.some(chance.random.randint(0, 5))
        if chance.random.random() < 0.5:
            chance.prune()
