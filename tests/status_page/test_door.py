"""Who may use the status page: whoever has its link. Every other process of the machine gets nothing."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.agent.test_parting import CLOSED, state
from tests.hives import TestHive, eventually
from tests.status_page.near import NearPage, served_near
from tests.status_page.routes import GUARDED, STREAM, acts, filled

pytestmark = pytest.mark.remembered
ACTS = [filled(rule) for rule in acts()]


@pytest.fixture
def near(hive: TestHive) -> Iterator[NearPage]:
    hive.spawn("coder")
    with served_near(hive) as near:
        yield near


def test_without_the_key_nothing_is_said_and_nothing_done(near: NearPage) -> None:
    for key in (None, "", "wrong"):
        for method, rule in (*GUARDED, STREAM):
            status, answer = near.client.ask(method, filled(rule), {} if method == "POST" else None, key=key)
            # Wrong keys are counted, and told to wait when there were many; to show none is no try.
            assert status in ((401,) if key is None else (401, 429)), rule
            assert "coder" not in json.dumps(answer)
    assert near.hive.agent("coder")["running"] is True


def test_the_posts_and_the_reads_are_those_that_older_clients_know() -> None:
    known = {
        *(("POST", f"/{verb}/<id:int>") for verb in ("approve", "deny", "answer-question", "cancel-question")),
        *(("POST", f"/{verb}/<name>") for verb in ("start", "stop", "kill", "restart", "rebuild", "destroy")),
        *(("POST", path) for path in ("/spawn", "/purge-tombstone/<name>", "/meta-update")),
        *(("GET", path) for path in ("/api/state", "/api/journal/<name>")),
    }
    assert known <= set(GUARDED)


def test_by_another_name_or_from_another_page_there_is_nothing(near: NearPage) -> None:
    own = f"127.0.0.1:{near.port}"
    for headers, status in [
        ({"Host": f"evil.example:{near.port}"}, 421),
        ({"Origin": "http://127.0.0.1:8100"}, 403),
        ({"Origin": "null"}, 403),
    ]:
        for path in ("/api/state", "/events", "/", "/metrics"):
            assert near.client.ask("GET", path, **headers)[0] == status
        assert near.client.ask("POST", "/stop/coder", {}, **headers)[0] == status
    assert near.hive.agent("coder")["running"] is True
    assert near.client.ask("GET", "/api/state", Host=own, Origin=f"http://{own}")[0] == 200


def test_the_link_that_looks_does_nothing(near: NearPage) -> None:
    assert near.looker.ask("GET", "/api/state")[0] == 200
    for path in ACTS:
        status, answer = near.looker.ask("POST", path, {})
        assert (status, answer["error"]) == (403, "This link only looks; `hive open` prints the one that acts, too.")


def test_whoever_guesses_keeps_the_operator_not_out(near: NearPage) -> None:
    statuses = [near.client.ask("GET", "/api/state", key=f"guess {number}")[0] for number in range(30)]
    assert statuses[-1] == 429
    assert near.client.ask("GET", "/api/state")[0] == 200


def test_strangers_without_end_do_not_break_off_what_the_operator_asks_for(near: NearPage) -> None:
    strangers = []
    with near.client.stream() as news:
        for _ in range(3):
            strangers += [socket.create_connection(("127.0.0.1", near.port)) for _ in range(100)]
            assert near.client.ask("GET", "/api/state")[0] == 200
        near.hive.run("send", "operator", "hello")
        assert "sent" in (kind for kind, _, _ in news)
    # Nor do they use up the ports of this machine, which it takes to get to the page.
    eventually(lambda: state(strangers[0]) == CLOSED)
    for connection in strangers:
        connection.close()


def test_every_answer_tells_the_browser_to_load_nothing_from_elsewhere(near: NearPage) -> None:
    for path in ("/", "/main.js", "/api/state", "/nothing", "/events", "/metrics"):
        connection, answer = near.client.request("GET", path)
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        answer.close()
        connection.close()


def test_what_cannot_be_is_refused_in_a_sentence(near: NearPage) -> None:
    body: Any
    for path, body, status, told in [
        ("/approve/99", {}, 409, "There is no request 99."),
        ("/approve/99999999999999999999", {}, 409, "is no"),
        ("/approve/1", {"sha": 7}, 409, "sha"),
        ("/start/nobody", {}, 409, "There is no agent 'nobody'."),
        ("/start/Coder!", {}, 409, "is not a name"),
        ("/start/..%2f..", {}, 404, "There is nothing here."),
        ("/spawn", {"name": "Nope"}, 409, "is not a name of an agent"),
        ("/send", {"to": "coder"}, 409, "needs body"),
        ("/nothing/at/all", {}, 404, "There is nothing here."),
        ("/meta-update", {"inputs": 7}, 400, "The inputs are a list."),
        ("/meta-update", {}, 400, "Choose an input to update."),
        ("/deny/1", [1, 2], 400, "The request is no JSON object."),
        ("/deny/1", "{" * 5000, 400, "The request is no JSON object."),
    ]:
        found, answer = near.client.ask("POST", path, body)
        assert (found, told in answer["error"]) == (status, True), (path, answer)


def test_a_body_that_does_not_arrive_is_refused(near: NearPage) -> None:
    head = f"POST /deny/1 HTTP/1.1\r\nHost: 127.0.0.1:{near.port}\r\nAuthorization: Bearer {near.key()}\r\n"
    for more, status in [
        ("Content-Length: x\r\n\r\n", b"400"),
        ("Content-Length: 9999999999\r\n\r\n", b"413"),
        ("Content-Length: -5\r\n\r\n", b"409"),
        ("Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        ("Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 9\r\n\r\n--x\r\nabcd", b"400"),
    ]:
        with socket.create_connection(("127.0.0.1", near.port)) as raw:
            raw.sendall((head + more).encode())
            raw.shutdown(socket.SHUT_WR)
            assert raw.makefile("rb").readline().split()[1] == status, more


# --- as older clients send it


def form(near: NearPage, path: str, **fields: str) -> Any:
    """What a POST as a form's is answered with."""
    headers = {"Authorization": f"Bearer {near.key()}", "Content-Type": "application/x-www-form-urlencoded"}
    connection = http.client.HTTPConnection("127.0.0.1", near.port, timeout=60)
    connection.request("POST", path, urlencode(fields), headers)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def test_forms_do_as_well(near: NearPage) -> None:
    hive = near.hive
    assert "is not a name of an agent" in form(near, "/spawn", name="wörker", description="x")["error"]
    id = form(near, "/spawn", name="worker", description="does things")["result"]["id"]
    assert hive.json("approvals")[0]["description"] == "does things"
    assert form(near, f"/deny/{id}", note="not now")["ok"]
    assert hive.json("approvals", "--all")[-1]["note"] == "not now"
    assert form(near, f"/approve/{form(near, '/spawn', name='worker')['result']['id']}")["ok"]
    question = hive.json("ask", "Which?", "--option", "a", "--option", "b", "--multi")["id"]
    assert form(near, f"/answer-question/{question}", answer="a, b")["ok"]
    other = hive.json("ask", "And?")["id"]
    assert form(near, f"/cancel-question/{other}")["ok"]
    assert [row["answer"] for row in hive.json("questions", "--all")] == ["a, b", "[cancelled]"]
    for verb in ("stop", "start", "restart", "rebuild", "kill"):
        assert form(near, f"/{verb}/worker")["ok"]
    assert form(near, "/meta-update", inputs="agent-coder,agent-worker")["ok"]
    assert form(near, "/destroy/worker")["ok"]
    assert form(near, "/purge-tombstone/worker")["ok"]
    assert form(near, "/destroy/coder", purge="on")["ok"]
    assert not (hive.home / "agents" / "coder").exists()
