"""The agent's own page, served by a real harness: who may use it, what it tells, what can be done on it."""

from __future__ import annotations

import errno
import os
import socket
from itertools import islice
from pathlib import Path

import pytest

from hive_agent.live import Live
from hive_agent.page.binding import TRIES, bind
from hive_agent.page.controls import FROM_PAGE, Controls
from hive_agent.page.handling import Handler
from hive_agent.page.login import Login
from hive_agent.page.page import Page
from hive_agent.page.shield import prove
from hive_agent.settings import from_environment
from hive_agent.waits import Waits
from tests.agent.browser import KEY, Client, free_port
from tests.agent.conftest import ROOT, Place
from tests.agent.test_harness import acknowledged, fifo, rows, wait_line
from tests.agent.test_parting import CLOSED, state
from tests.hives import eventually

__all__ = ["fifo"]

READS = ("/api/state", "/events")
ACTS = {"/api/send": {"body": "x"}, "/api/model": {"model": "x"}, "/api/cancel": {}}


def wait_log(place: Place, text: str) -> None:
    """Wait until the harness has written something to its journal."""
    from inotify_simple import INotify, flags

    with INotify() as watch:
        watch.add_watch(str(place.folder), flags.MODIFY | flags.CREATE)
        while text not in (place.log if (place.folder / "log").exists() else ""):
            assert watch.read(timeout=60_000), f"{text!r} was not written: {place.log}"


@pytest.fixture
def paged(place: Place) -> Place:
    """A place whose harness serves a page, not started yet; its program does what its message says."""
    place.environment |= {"HIVE_PORT": str(free_port()), "HIVE_PAGE_TOKEN": KEY}
    place.program("cat >/dev/null; echo it is done")
    return place


@pytest.fixture
def client(paged: Place) -> Client:
    """Who uses the page of a started harness."""
    paged.start()
    wait_log(paged, "page on port")
    return Client(paged)


# --- who may


@pytest.mark.parametrize("key", [None, "", "x", KEY[:-1], KEY + "x", "ü"])
def test_nothing_is_told_or_done_without_the_key(paged: Place, client: Client, key: str | None) -> None:
    if key is not None:
        key = key.encode().decode("latin-1")
    for path in (*READS, "/nowhere"):
        assert client.ask("GET", path, key=key)[0] == 401
    for path, body in ACTS.items():
        assert client.ask("POST", path, body, key=key)[0] == 401
    assert paged.gate.sent == []


def test_the_page_proves_that_it_has_the_key_without_giving_it_away(paged: Place, client: Client) -> None:
    nonce = "0f" * 32
    status, answer = client.ask("GET", f"/proof?nonce={nonce}", key=None)
    assert (status, answer) == (200, {"proof": prove(KEY, nonce, client.port)})
    assert len({answer["proof"], prove(KEY + "x", nonce, client.port), prove(KEY, nonce, client.port + 1)}) == 3
    for bad in ("", "x" * 64, "0f" * 15, "0f" * 65, "0F" * 32):
        assert client.ask("GET", f"/proof?nonce={bad}", key=None)[0] == 400
    assert client.ask("GET", f"/proof?nonce={nonce}", key=None, Host="evil.example")[0] == 421
    assert client.ask("POST", f"/proof?nonce={nonce}", {}, key=None)[0] == 401


def test_a_length_of_thousands_of_digits_is_refused(client: Client) -> None:
    assert client.ask("POST", "/api/send", None, Content_Length="9" * 5000)[0] == 413


def test_a_cancel_without_a_turn_says_so(client: Client) -> None:
    assert client.ask("POST", "/api/cancel", {}) == (409, {"ok": False, "error": "No turn is in progress."})


def test_the_empty_page_says_nothing_of_the_agent(client: Client) -> None:
    for path, name in {"/": "index.html", "/page.js": "page.js", "/page.css": "page.css"}.items():
        status, data = client.ask("GET", path, key=None)
        assert (status, data) == (200, (ROOT / "hive_agent/page/static" / name).read_bytes())


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "evil.example:{port}", "[::1]:{port}"])
def test_another_name_is_refused_with_the_key_too(client: Client, host: str) -> None:
    for path in ("/", *READS):
        assert client.ask("GET", path, Host=host.format(port=client.port))[0] == 421


@pytest.mark.parametrize("origin", ["null", "http://evil.example", "http://127.0.0.1:1", "https://127.0.0.1:{port}"])
def test_another_page_is_refused_with_the_key_too(paged: Place, client: Client, origin: str) -> None:
    for path, body in ACTS.items():
        assert client.ask("POST", path, body, Origin=origin.format(port=client.port))[0] == 403
    assert paged.gate.sent == []


def test_what_is_no_address_is_refused_and_leaves_no_line_in_the_journal(
    client: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_connection(("127.0.0.1", client.port)) as stranger:
        stranger.sendall(f"GET http://[/ HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\n\r\n".encode())
        assert b" 400 " in stranger.recv(100)
    assert "page:" not in capfd.readouterr().err


def test_a_second_origin_counts_too(paged: Place, client: Client) -> None:
    with socket.create_connection(("127.0.0.1", client.port)) as stranger:
        own = f"127.0.0.1:{client.port}"
        lines = ["POST /api/cancel HTTP/1.1", f"Host: {own}", f"Authorization: Bearer {KEY}"]
        lines += [f"Origin: http://{own}", "Origin: http://evil.example", "", ""]
        stranger.sendall("\r\n".join(lines).encode())
        assert b" 403 " in stranger.recv(100)


def test_its_own_pages_may_act(paged: Place, client: Client) -> None:
    assert client.ask("POST", "/api/send", {"body": "x"}, Origin=f"http://localhost:{client.port}")[0] == 200


def test_every_answer_allows_only_itself_and_sets_no_cookie(client: Client) -> None:
    for path, key in (("/", None), ("/api/state", KEY), ("/api/state", None)):
        connection, answer = client.request("GET", path, key=key)
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Set-Cookie"] is None
        connection.close()


def test_the_programs_of_the_agent_are_not_given_the_key(paged: Place) -> None:
    paged.program("cat >/dev/null; env | grep HIVE_P")
    paged.start()
    paged.gate.put("operator", "show")
    acknowledged(paged)
    ((detail,),) = rows(paged, "select detail from turns")
    assert "HIVE_PORT" in str(detail)
    assert KEY not in str(detail)


def test_strangers_who_hold_connections_open_keep_nobody_out(client: Client) -> None:
    crowd = [socket.create_connection(("127.0.0.1", client.port)) for _ in range(100)]
    try:
        assert client.ask("GET", "/api/state")[0] == 200
        # Nor do they use up the ports of this machine, which it takes to get to the page.
        eventually(lambda: state(crowd[0]) == CLOSED)
    finally:
        for one in crowd:
            one.close()


# --- what it tells


def test_a_page_opens_with_everything_and_the_stream_goes_on_from_there(paged: Place, client: Client) -> None:
    paged.gate.put("operator", "first")
    acknowledged(paged)
    _, state = client.ask("GET", "/api/state")
    assert state["now"]["label"] == "coder"
    assert [turn["body"] for turn in state["turns"]] == ["first"]
    assert [event["kind"] for event in state["events"]] == ["started", "text"]
    with client.stream(Last_Event_ID=str(state["seq"])) as news:
        paged.gate.put("operator", "second")
        seqs, bodies = [], []
        for kind, seq, data in news:
            bodies += [data["body"]] if kind == "turn" else []
            seqs += [seq] if kind == "event" else []
            if len(seqs) == 2:
                break
    assert seqs == [state["seq"] + 1, state["seq"] + 2]
    assert "second" in bodies


def test_seq_continues_after_a_reconnect_and_after_a_restart(paged: Place, client: Client) -> None:
    seen: list[int] = []
    for number in range(3):
        paged.gate.put("operator", f"message {number}")
        # Broken off in the middle of a turn's two events, the second time across a restart of the harness.
        with client.stream(Last_Event_ID=str(seen[-1] if seen else 0)) as news:
            seen += [next(seq for kind, seq, _ in news if kind == "event")]
        acknowledged(paged, number + 1)
        if number == 1:
            assert paged.stop() == 0
            (paged.folder / "log").unlink()
            paged.start()
            wait_log(paged, "page on port")
    with client.stream(Last_Event_ID=str(seen[-1])) as news:
        seen += islice((seq for kind, seq, _ in news if kind == "event"), 3)
    assert seen == [1, 2, 3, 4, 5, 6]


def test_a_page_that_knows_more_than_there_is_loads_anew(client: Client) -> None:
    with client.stream(Last_Event_ID="999999999999999999999") as news:
        assert next(news)[0] == "reset"


def test_the_badge_is_what_the_harness_says(paged: Place, client: Client, fifo: str) -> None:
    paged.program(f"cat >/dev/null; echo begun >{fifo}; exec sleep 1000")
    assert paged.stop() == 0
    (paged.folder / "log").unlink()
    paged.start()
    wait_log(paged, "page on port")
    with client.stream() as news:
        paged.gate.put("operator", "work")
        said = next(data for kind, _, data in news if kind == "now" and data["state"] == "thinking")
        assert said["text"] == "on a message from operator"
        wait_line(fifo)
        assert client.ask("POST", "/api/cancel", {}) == (200, {"ok": True})
        assert next(data for kind, _, data in news if kind == "now" and data["state"] == "idle")
    acknowledged(paged)
    assert rows(paged, "select outcome from turns") == [("cancelled",)]


def test_pause_and_inbox_are_shown_as_they_change(paged: Place, client: Client) -> None:
    with client.stream() as news:
        paged.gate.set(paused=True)
        assert next(data for kind, _, data in news if kind == "now" and data["paused"])
        paged.gate.put("friend", "hello")
        found = next(data for kind, _, data in news if kind == "now" and data["inbox"])
        assert found["inbox"][0]["from"] == "friend"
        paged.gate.set(paused=False)
    acknowledged(paged)


# --- what can be done


def test_a_model_takes_effect_at_the_next_turn_and_survives_a_restart(paged: Place, client: Client) -> None:
    paged.program('cat >/dev/null; echo "model $HIVE_MODEL"')
    assert client.ask("POST", "/api/model", {"model": "tiny"})[0] == 200
    assert client.ask("GET", "/api/state")[1]["now"]["next_model"] == "tiny"
    paged.gate.put("operator", "hello")
    acknowledged(paged)
    assert paged.stop() == 0
    paged.start()
    paged.gate.put("operator", "hello")
    acknowledged(paged, 2)
    assert rows(paged, "select detail from turns") == [("model tiny",), ("model tiny",)]


def test_what_is_sent_from_the_page_is_a_message_from_the_agent_to_itself(paged: Place, client: Client) -> None:
    assert client.ask("POST", "/api/send", {"body": "look here"})[0] == 200
    acknowledged(paged)
    (message,) = paged.gate.inbox
    assert (message.sender, message.body) == ("coder", f"{FROM_PAGE}look here")


def test_a_gate_that_refuses_is_passed_on(paged: Place, client: Client) -> None:
    paged.gate.refuse["send"] = "you may not"
    assert client.ask("POST", "/api/send", {"body": "x"}) == (409, {"ok": False, "error": "send: you may not"})


def test_a_request_that_is_none_is_refused_with_a_sentence(paged: Place, client: Client) -> None:
    for body, told in (
        ([], (400, "The request is no JSON object.")),
        ("x", (400, "The request is no JSON object.")),
        ({}, (409, "The request lacks `body`.")),
        ({"body": 3}, (409, "The request lacks `body`.")),
        ({"body": " "}, (409, "The request lacks `body`.")),
        ({"body": "x" * 300_000}, (409, "`body` is longer than 200000 characters.")),
    ):
        status, answer = client.ask("POST", "/api/send", body)
        assert (status, answer["error"]) == told
    assert paged.gate.sent == []


def test_a_request_too_large_or_without_a_length_is_refused(client: Client) -> None:
    for length in ("99999999", "-1", "x", "1_0", ""):
        with socket.create_connection(("127.0.0.1", client.port)) as raw:
            head = f"POST /api/send HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\nAuthorization: Bearer {KEY}\r\n"
            raw.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode())
            assert b" 413 " in raw.recv(4096)


# --- the port


def test_a_port_in_use_is_tried_again_and_holds_no_turn_up(paged: Place) -> None:
    with socket.create_server(("127.0.0.1", int(paged.environment["HIVE_PORT"]))):
        paged.start()
        wait_log(paged, "in use; it is tried again")
        paged.gate.put("operator", "hello")
        acknowledged(paged)
    wait_log(paged, "page on port")
    assert Client(paged).ask("GET", "/api/state")[0] == 200


def test_the_tries_are_twelve_with_doubling_pauses_and_other_errors_end_them_at_once(tmp_path: Path) -> None:
    settings, live, pauses, said = from_environment({"HIVE_CONFIG": str(tmp_path / "none")}), Live(), [], []
    controls = Controls(settings, Waits(), live, lambda: None, lambda: None, Login(settings, live))
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(OSError, match="in use"):
        port = other.getsockname()[1]
        bind(port, lambda number: Page(number, Handler, settings, live, controls), pauses.append, said.append)
    assert pauses == [0.25, 0.5, 1.0, *[2.0] * (TRIES - 4)]
    assert said == [f"port {port} is in use; it is tried again for a while"]
    pauses.clear()
    with pytest.raises(OSError, match=os.strerror(errno.EADDRNOTAVAIL)):
        make = lambda port: Page(port, Handler, settings, live, controls, address="192.0.2.1")  # noqa: E731
        bind(free_port(), make, pauses.append, said.append)
    assert pauses == []


def test_without_a_key_there_is_no_page(paged: Place) -> None:
    del paged.environment["HIVE_PAGE_TOKEN"]
    paged.start()
    paged.gate.put("operator", "hello")
    acknowledged(paged)
    assert "page" not in paged.log
