"""The page's stream: every event in order, exactly once, also for a tab that was away; what is gone is said to be."""

from __future__ import annotations

import socket
from typing import Any

from tests.hives import eventually
from tests.status_page.conftest import Served


def sent(news: Any, body: str) -> list[int]:
    """Read on until a message with this body is told; the seqs on the way."""
    seqs = []
    for kind, seq, data in news:
        seqs.append(seq)
        if kind == "sent" and data["body"] == body:
            return seqs
    raise AssertionError(body)


def test_a_tab_that_was_away_is_told_what_it_lacks_and_nothing_twice(served: Served) -> None:
    hive, client = served.hive, served.client
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


def test_a_tab_that_asks_for_what_is_not_kept_is_told_to_begin_anew(served: Served) -> None:
    for last in ("0", "999999999"):
        with served.client.stream(Last_Event_ID=last) as news:
            assert next(kind for kind, _, _ in news) == "resync"


def test_a_tab_that_stops_reading_costs_the_others_nothing(served: Served) -> None:
    key = served.client.key
    stuck = []
    for _ in range(50):
        connection = socket.create_connection(("127.0.0.1", served.port))
        head = f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nAuthorization: Bearer {key}\r\n\r\n"
        connection.sendall(head.encode())
        stuck.append(connection)
    start = served.client.ask("GET", "/api/state")[1]["result"]["seq"]
    with served.client.stream(Last_Event_ID=str(start)) as news:
        for number in range(20):
            served.hive.run("send", "coder", f"{number} " + "x" * 50_000)
        assert len(sent(news, "19 " + "x" * 50_000)) >= 20
    assert served.client.ask("GET", "/api/state")[0] == 200
    for connection in stuck:
        connection.close()


def test_connections_that_say_nothing_keep_nobody_out(served: Served) -> None:
    idle = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(200)]
    eventually(lambda: served.client.ask("GET", "/api/state")[0] == 200)
    for connection in idle:
        connection.close()
