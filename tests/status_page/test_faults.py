"""What goes wrong between a tab and hive: each is told in a sentence, nothing is done twice, and it goes on by itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from hive_core import store
from hive_faces.gate import gate
from tests.hives import PLAIN, TestHive, eventually
from tests.status_page.near import NearPage, follows, page_near, served_near
from tests.status_page.routes import ENDLESS, GUARDED, filled

pytestmark = pytest.mark.remembered
AWAY = "Nobody answers for hive. Is `hive up` running?"


@pytest.fixture
def near(hive: TestHive) -> Iterator[NearPage]:
    hive.spawn("coder")
    with served_near(hive) as near:
        yield near


def at_once(near: NearPage, path: str, body: Any, times: int = 4) -> tuple[list[Any], list[str]]:
    """The same POST from several tabs at the same time: what those got for whom it was done, and the other's refusals."""
    answers: list[tuple[int, Any]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(near.client.ask("POST", path, body))) for _ in range(times)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {status for status, _ in answers} <= {200, 409}
    return [told["result"] for status, told in answers if status == 200], [
        told["error"] for status, told in answers if status == 409
    ]


def test_what_is_submitted_twice_is_done_once(near: NearPage) -> None:
    hive = near.hive
    for path, body, told in [
        (f"/approve/{hive.request('coder', PLAIN + '# one')}", {}, "is already approved"),
        (f"/deny/{hive.request('coder', PLAIN + '# two')}", {"note": "no"}, "is already denied"),
        (f"/answer-question/{hive.json('ask', 'which?')['id']}", {"answer": "a"}, "is answered already"),
        (f"/cancel-question/{hive.json('ask', 'which?')['id']}", {}, "is answered already"),
    ]:
        done, refused = at_once(near, path, body)
        assert (len(done), len(refused)) == (1, 3), path
        # Who comes while it is done is told that.
        assert all(told in sentence or "being carried out already" in sentence for sentence in refused), refused
    assert len(hive.events("approval_resolved")) == 3  # The first is the spawn's.
    assert len(hive.events("question_resolved")) == 2


def test_an_approve_of_what_was_not_shown_approves_nothing(near: NearPage) -> None:
    id = near.hive.request("coder", PLAIN + "# seen")
    status, told = near.client.ask("POST", f"/approve/{id}", {"sha": "0" * 40})
    assert (status, "nothing was approved" in told["error"]) == (409, True)
    shown = near.client.ask("GET", f"/api/request/{id}")[1]["result"]["approval"]["fetched_sha"]
    assert near.client.ask("POST", f"/approve/{id}", {"sha": shown})[0] == 200


def test_while_hive_is_away_every_route_says_so_and_comes_back_by_itself(hive: TestHive) -> None:
    hive.spawn("coder")
    with page_near(hive) as near:
        eventually(near.file.exists)
        for method, rule in GUARDED:
            body = None if method == "GET" else {"inputs": ["hive"], "name": "x", "to": "x", "body": "x"}
            if rule not in ENDLESS | {"/metrics"}:
                assert near.client.ask(method, filled(rule), body) == (503, {"ok": False, "error": AWAY}), rule
        with near.client.stream(Last_Event_ID="1") as news:
            assert next(news)[0] == "away"
            with gate.beside(hive.inside()):
                kinds = (kind for kind, _, _ in news)
                assert "here" in kinds
                assert near.client.ask("GET", "/api/state")[0] == 200


def test_a_page_that_was_started_anew_asks_for_its_new_link(hive: TestHive) -> None:
    with gate.beside(hive.inside()):
        with page_near(hive) as first:
            eventually(first.file.exists)
            old = first.client
        with page_near(hive, first.port) as second:
            eventually(second.file.exists)
            follows(second.client)
            status, told = old.ask("GET", "/api/state")
            assert (status, "`hive open` prints the link" in told["error"]) == (401, True)
            assert old.ask("GET", "/events", Last_Event_ID="1")[0] == 401


def test_while_the_database_is_busy_it_can_be_looked_at_and_what_waits_too_long_is_told(
    hive: TestHive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "BUSY_SECONDS", 0.2)
    with served_near(hive) as near, hive.inside().store.write():
        status, told = near.client.ask("POST", "/send", {"to": "operator", "body": "x"})
        assert (status, "busy" in told["error"]) == (409, True), told
        assert near.client.ask("GET", "/api/state")[0] == 200
    assert not hive.events("sent")
