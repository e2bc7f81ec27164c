"""The page's stream: every event in order, exactly once, also for a tab that was away; what is gone is said to be."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from hive_core.events import newest
from tests.clients import Client
from tests.hives import TestHive, eventually
from tests.status_page.near import NearPage, served_near

pytestmark = pytest.mark.remembered


# What existing clients read of each kind, null where there is nothing.
FIELDS = {
    "sent": "from to body at",
    "delivered": "from to body at",
    "approval_added": "id agent approval_kind sha_short diff description",
    "approval_resolved": "id agent approval_kind sha_short status resolved_at note description",
    "question_added": "id asker question options multi asked_at deadline_at",
    "question_resolved": "id answer answerer answered_at cancelled",
    "transient_set": "name transient_kind since_unix",
    "transient_cleared": "name",
    "container_state_changed": "container",
    "container_removed": "name",
    "tombstones_changed": "tombstones",
    "meta_inputs_changed": "inputs",
}
NULL = {
    "approval_added": {"sha_short", "diff", "description"},
    "approval_resolved": {"sha_short", "note", "description"},
    "question_added": {"deadline_at"},
}


@pytest.fixture
def near(hive: TestHive) -> Iterator[NearPage]:
    hive.spawn("coder")
    with served_near(hive) as near:
        yield near


def sent(news: Any, body: str) -> list[int]:
    """Read on until a message with this body is told; the seqs on the way."""
    seqs = []
    for kind, seq, data in news:
        seqs.append(seq)
        if kind == "sent" and data["body"] == body:
            return seqs
    raise AssertionError(body)


def test_a_tab_that_was_away_is_told_what_it_lacks_and_nothing_twice(near: NearPage) -> None:
    hive, client = near.hive, near.client
    start = client.ask("GET", "/api/state")[1]["result"]["seq"]
    hive.run("send", "coder", "one")
    with client.stream(Last_Event_ID=str(start)) as news:
        first = sent(news, "one")
    hive.run("send", "coder", "two")
    hive.run("stop", "coder")
    hive.run("send", "coder", "three")
    with client.stream(Last_Event_ID=str(first[-1])) as news:
        second = sent(news, "three")
    with hive.inside().store.read() as db:
        every = [row["seq"] for row in db.execute("select seq from events where seq > ? order by seq", (start,))]
    seen = first + second
    assert seen == every[: len(seen)]


def test_a_tab_that_asks_for_what_is_not_kept_is_told_to_begin_anew(near: NearPage) -> None:
    for last in ("0", "999999999"):
        with near.client.stream(Last_Event_ID=last) as news:
            assert next(kind for kind, _, _ in news) == "resync"


def test_a_tab_that_stops_reading_costs_the_others_nothing(near: NearPage) -> None:
    key = near.client.key
    stuck = []
    for _ in range(50):
        connection = socket.create_connection(("127.0.0.1", near.port))
        head = f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{near.port}\r\nAuthorization: Bearer {key}\r\n\r\n"
        connection.sendall(head.encode())
        stuck.append(connection)
    start = near.client.ask("GET", "/api/state")[1]["result"]["seq"]
    with near.client.stream(Last_Event_ID=str(start)) as news:
        for number in range(20):
            near.hive.run("send", "coder", f"{number} " + "x" * 50_000)
        assert len(sent(news, "19 " + "x" * 50_000)) >= 20
    assert near.client.ask("GET", "/api/state")[0] == 200
    for connection in stuck:
        connection.close()


def test_connections_that_say_nothing_keep_nobody_out(near: NearPage) -> None:
    idle = [socket.create_connection(("127.0.0.1", near.port)) for _ in range(200)]
    eventually(lambda: near.client.ask("GET", "/api/state")[0] == 200)
    for connection in idle:
        connection.close()


def test_a_number_of_another_history_is_answered_with_the_word_to_begin_anew(near: NearPage) -> None:
    state = near.client.ask("GET", "/api/state")[1]["result"]
    with near.client.stream("/events?history=another", Last_Event_ID=str(state["seq"])) as news:
        assert next(kind for kind, _, _ in news) == "resync"
    # Who is ahead of what the page has heard, as after asking hive itself, is told what comes after that, and no more.
    with near.client.stream(f"/events?history={state['page']['history']}", Last_Event_ID=str(state["seq"] + 1)) as news:
        near.hive.run("send", "coder", "one")
        near.hive.run("send", "coder", "two")
        assert next(data["body"] for kind, _, data in news if kind == "sent") == "two"


def test_each_kind_has_the_fields_that_clients_know_and_null_where_there_is_nothing(near: NearPage) -> None:
    hive = near.hive
    state = near.client.ask("GET", "/api/state")[1]["result"]
    hive.run("send", "coder", "hello")
    with Client(hive.root / "run" / "agents" / "coder.sock") as coder:
        assert coder.ask("recv", wait=10)["ok"]
    hive.run("deny", str(hive.json("request-spawn", "worker")["id"]))
    hive.run("answer", str(hive.json("ask", "which?")["id"]), "this")
    hive.spawn("other")
    hive.run("destroy", "other", "--yes")
    hive.run("send", "coder", "the end")
    last = hive.inside()
    with last.store.read() as db:
        end = newest(db)
    events = []
    with near.client.stream(Last_Event_ID=str(state["seq"])) as news:
        for kind, seq, event in news:
            assert (kind, seq) == (event["kind"], event["seq"])
            events.append(event)
            if seq == end:
                break
    for kind, names in FIELDS.items():
        found = [event for event in events if event["kind"] == kind]
        assert found, kind
        for event in found:
            assert set(names.split()) <= event.keys(), kind
            assert all(
                type(event[name]) is int
                for name in event
                if name in ("at", "id") or name.endswith(("_unix", "resolved_at"))
            )
    for kind, names in NULL.items():
        assert any(all(event[name] is None for name in names) for event in events if event["kind"] == kind), kind
