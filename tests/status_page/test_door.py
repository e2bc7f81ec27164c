"""Who may use the status page: whoever has its link. Every other process of the machine gets nothing."""

from __future__ import annotations

import http.client
import json

import pytest

from tests.status_page.conftest import Served

ACTS = ["/approve/1", "/deny/1", "/stop/coder", "/kill/coder", "/destroy/coder", "/spawn", "/send", "/meta-update",
        "/answer-question/1", "/cancel-question/1", "/purge-tombstone/coder"]  # fmt: skip


@pytest.mark.parametrize("key", [None, "", "wrong"])
def test_without_the_key_nothing_is_said_and_nothing_done(served: Served, key: str | None) -> None:
    for method, path in [("GET", "/api/state"), ("GET", "/api/journal/coder"), ("GET", "/events"),
                         ("GET", "/api/request/1"), *(("POST", path) for path in ACTS)]:  # fmt: skip
        status, answer = served.client.ask(method, path, {} if method == "POST" else None, key=key)
        assert status in (401, 429), path
        assert "coder" not in json.dumps(answer)
    assert served.hive.agent("coder")["running"] is True


def test_by_another_name_or_from_another_page_there_is_nothing(served: Served) -> None:
    own = f"127.0.0.1:{served.port}"
    for headers, status in [
        ({"Host": f"evil.example:{served.port}"}, 421),
        ({"Origin": "http://127.0.0.1:8100"}, 403),
        ({"Origin": "null"}, 403),
    ]:
        assert served.client.ask("GET", "/api/state", **headers)[0] == status
        assert served.client.ask("GET", "/events", **headers)[0] == status
        assert served.client.ask("GET", "/", **headers)[0] == status
    assert served.client.ask("GET", "/api/state", Host=own, Origin=f"http://{own}")[0] == 200


def test_the_link_that_looks_does_nothing(served: Served) -> None:
    assert served.looker.ask("GET", "/api/state")[0] == 200
    for path in ACTS:
        status, answer = served.looker.ask("POST", path, {})
        assert (status, answer["error"]) == (403, "This link only looks; `hive open` prints the one that acts, too.")


def test_whoever_guesses_keeps_the_operator_not_out(served: Served) -> None:
    statuses = [served.client.ask("GET", "/api/state", key=f"guess {number}")[0] for number in range(30)]
    assert statuses[-1] == 429
    assert served.client.ask("GET", "/api/state")[0] == 200


def test_every_answer_tells_the_browser_to_load_nothing_from_elsewhere(served: Served) -> None:
    for path in ("/", "/main.js", "/api/state", "/nothing"):
        connection, answer = served.client.request("GET", path)
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        connection.close()


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("/approve/99", {}, 409, "There is no request 99."),
        ("/start/nobody", {}, 409, "There is no agent 'nobody'."),
        ("/start/Coder!", {}, 409, "is not a name"),
        ("/start/..%2f..", {}, 404, "There is nothing here."),
        ("/spawn", {"name": "Nope"}, 409, "is not a name of an agent"),
        ("/send", {"to": "coder"}, 409, "needs body"),
        ("/nothing/at/all", {}, 404, "There is nothing here."),
        ("/meta-update", {"inputs": 7}, 400, "The inputs are a list."),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    served: Served, path: str, body: dict[str, object], status: int, told: str
) -> None:
    found, answer = served.client.ask("POST", path, body)
    assert found == status, answer
    assert told in answer["error"]


def test_a_body_that_is_no_object_is_refused(served: Served) -> None:
    headers = {"Content-Type": "application/json"}
    assert served.client.ask("POST", "/deny/1", [1, 2], **headers)[0] == 400


def test_a_form_does_as_well(served: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    headers = {"Authorization": f"Bearer {served.client.key}", "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/spawn", "name=w%C3%B6rker&description=x", headers)
    assert "is not a name of an agent" in json.loads(connection.getresponse().read())["error"]
    connection.request("POST", "/spawn", "name=worker&description=does+things", headers)
    assert json.loads(connection.getresponse().read())["ok"] is True
    connection.close()
    assert served.hive.json("approvals")[0]["description"] == "does things"
