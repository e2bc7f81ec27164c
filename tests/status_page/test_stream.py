"""The page's stream: every event in order, exactly once, also for a tab that was away; what is gone is said to be."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.hives import TestHive, eventually
from tests.status_page.near import NearPage, served_near

pytestmark = pytest.mark.remembered


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
