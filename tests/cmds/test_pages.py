"""The way to an agent's page: the key for the operator, who listens there, and the live stream in the terminal."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar
from urllib.parse import urlsplit

import pytest

from hive_agent.page.door import private_name
from hive_core import signals
from hive_core.client import Client
from hive_core.containers.local.listeners import listeners
from hive_core.errors import Refused
from hive_fleet.agents.page import PageAddress, post, reach_page
from hive_fleet.agents.page_stream import stream
from tests.agent.browser import free_port
from tests.hives import PATIENCE, TestHive, eventually, interrupt

PROGRAM = 'runner = "exec"\ncommand = ["sh", "-c", "cat >/dev/null; printf \'it is \\\\033[31mdone\\\\n\'"]\n'


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestHive]:
    """One with an agent whose page is served, for all tests."""
    hive = TestHive(tmp_path_factory.mktemp("kept") / "hive")
    try:
        yield serve_page(hive)
    finally:
        hive.close()


@pytest.fixture
def standing(kept: TestHive) -> TestHive:
    """The same, whatever another test has made of it."""
    kept.run("start", "coder")
    eventually(lambda: listeners([port_of(kept)]))
    return kept


def serve_page(hive: TestHive) -> TestHive:
    hive.start("gate")
    hive.configure("coder", PROGRAM)
    # Not the port that every agent of this name on the machine has.
    (hive.home / "agents/coder/port").write_text(f"{free_port()}\n")
    hive.run("spawn", "coder")
    eventually(lambda: listeners([port_of(hive)]))
    return hive


def port_of(hive: TestHive) -> int:
    return int((hive.home / "agents/coder/port").read_text())


def link(hive: TestHive) -> tuple[int, str]:
    """The port and the key of the link that the operator is given."""
    parts = urlsplit(hive.run("open", "coder").stdout.strip())
    key = parts.fragment.removeprefix("key=")
    assert (parts.hostname, parts.path) == (private_name(key), "/")
    return int(parts.port or 0), key


class Lines:
    """What a process writes, read line by line past every buffer of ours."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.descriptor, self.pending = process.stdout.fileno(), b""

    def until(self, text: str) -> str:
        """The lines up to the first one that holds `text`."""
        seen = ""
        while True:
            line, end, rest = self.pending.partition(b"\n")
            if end:
                self.pending = rest
                seen += line.decode() + "\n"
                if text in line.decode():
                    return seen
                continue
            assert select.select([self.descriptor], [], [], PATIENCE)[0], seen
            data = os.read(self.descriptor, 65536)
            assert data, seen
            self.pending += data


def status(port: int, key: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/api/state", headers={"Authorization": f"Bearer {key}"})
    try:
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_operator_is_given_a_key_that_opens_the_page(standing: TestHive) -> None:
    port, key = link(standing)
    assert status(port, key) == 200
    assert key not in standing.run("list", "--json").stdout
    assert stat.S_IMODE((standing.home / "containers/coder/page-key").stat().st_mode) == 0o600


def test_every_start_has_a_key_of_its_own(standing: TestHive) -> None:
    _, old = link(standing)
    standing.run("restart", "coder")
    eventually(lambda: listeners([port_of(standing)]))
    port, new = link(standing)
    assert (status(port, old), status(port, new)) == (401, 200)
    standing.run("start", "coder")
    assert link(standing) == (port, new)


def test_an_agent_that_is_stopped_or_unknown_has_no_page(standing: TestHive) -> None:
    standing.run("stop", "coder")
    assert "is not running" in standing.run("open", "coder", code=1).stderr
    assert "no agent" in standing.run("open", "nobody", code=1).stderr
    assert "is not running" in standing.run("attach", "coder", code=1).stderr


class Impostor(BaseHTTPRequestHandler):
    """Who has taken a page's port, and proves what it can."""

    answer = b""
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(f"{self.path} {self.headers}")
        self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" + self.answer)

    def log_message(self, format: str, *args: object) -> None:
        """It keeps quiet."""


PROOFS = [b"", b"{}", b'{"proof": "%s"}' % (b"0" * 64), b"[" * 4000, b'{"proof": "\\ud800"}']


def test_the_key_is_not_given_out_while_somebody_else_has_the_port(standing: TestHive) -> None:
    standing.run("stop", "coder")
    asked: list[str] = []
    handler = type("Handler", (Impostor,), {"asked": asked})
    with HTTPServer(("127.0.0.1", port_of(standing)), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        standing.run("start", "coder")
        key = (standing.home / "containers/coder/page-key").read_text().strip()
        for answer in PROOFS:
            handler.answer = answer
            asked.clear()
            for verb in ("open", "attach"):
                done = standing.run(verb, "coder", code=1)
                assert f"is held by another process, of user {os.geteuid()}." in done.stderr, answer
                assert "key=" not in done.stdout, answer
            assert asked, answer
            assert not any(key in one for one in asked), answer
        server.shutdown()
        thread.join()
    standing.run("stop", "coder")


HEAD = b"HTTP/1.0 200 OK\r\n"


def trickle(server: socket.socket, over: threading.Event, begin: bytes) -> None:
    """Serve whoever comes an answer without an end, a byte at a time."""
    client, _ = server.accept()
    with client, contextlib.suppress(OSError):
        client.sendall(begin)
        while not over.wait(0.05):
            client.sendall(b"x")


@contextlib.contextmanager
def trickling(begin: bytes) -> Iterator[PageAddress]:
    """A page that answers so; it was waited for in vain where it comes to its end."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=trickle, args=(server, over, begin))
        thread.start()
        end = threading.Timer(20, over.set)
        end.start()
        yield PageAddress("127.0.0.1", server.getsockname()[1], "key")
        assert not over.is_set()
        end.cancel()
        over.set()
        thread.join()


@pytest.mark.parametrize("begin", [HEAD + b"X: ", HEAD + b"\r\ndata: "])
def test_who_no_longer_follows_is_not_kept_by_a_page_that_sends_a_byte_at_a_time(begin: bytes) -> None:
    stop = os.eventfd(1)

    def follow() -> None:
        with signals.ended_by(stop), pytest.raises(signals.ToldToEnd):
            next(stream("coder", page, 20))

    with trickling(begin) as page, ThreadPoolExecutor(1) as threads:
        threads.submit(follow).result()
    os.close(stop)


def test_what_a_page_is_to_do_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hive_fleet.agents.page.PROOF_SECONDS", 0.5)
    with trickling(b"HTTP/1.0 100 Continue\r\nX: ") as page:
        assert not post(page, "/api/nudge")


def test_a_page_that_answers_a_byte_at_a_time_is_not_waited_for_without_end(
    standing: TestHive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hive_fleet.agents.page.PROOF_SECONDS", 0.5)
    own = standing.home / "agents/coder/port"
    before = own.read_text()
    with trickling(HEAD + b"X: ") as page:
        own.write_text(f"{page.port}\n")
        try:
            with pytest.raises(Refused, match="is held by another process"):
                reach_page(standing.inside(), "coder")
        finally:
            own.write_text(before)


def test_turns_are_followed_live_and_printed_safely(standing: TestHive) -> None:
    process = standing.start("attach", "coder")
    lines = Lines(process)
    lines.until("idle")
    standing.run("send", "coder", "go \u202eon")
    text = lines.until("go \\u{202e}on") + lines.until("ended: done")
    assert "a message from operator\n  go \\u{202e}on" in text
    assert "it is \\x1b[31mdone" in text
    assert "\x1b" not in text
    assert interrupt(process) == 130


def test_what_is_followed_is_json_for_a_program_and_begins_with_what_was(standing: TestHive) -> None:
    standing.run("send", "coder", "hello")
    first = standing.start("attach", "coder")
    lines = Lines(first)
    lines.until("hello")
    lines.until("ended: done")
    interrupt(first)
    process = standing.start("attach", "coder", "--json")
    *_, line = Lines(process).until('"kind":"event"').splitlines()
    assert json.loads(line)["data"]["data"]["text"] == "it is \x1b[31mdone"
    assert interrupt(process) == 130


def test_turns_are_followed_over_the_operator_s_socket_too(standing: TestHive) -> None:
    told = Client(standing.root / "run" / "host.sock").stream("attach", name="coder", last=20)
    assert next(item for item in told if item["kind"] == "now")["data"]["state"]
    standing.run("send", "coder", "over the socket")
    assert any(item["kind"] == "turn" and item["data"]["body"] == "over the socket" for item in told)
    told.close()  # type: ignore[attr-defined]


def test_what_was_comes_turn_by_turn(standing: TestHive) -> None:
    first = standing.start("attach", "coder")
    lines = Lines(first)
    for number in range(3):
        standing.run("send", "coder", f"task {number}")
        lines.until(f"task {number}")
        lines.until("ended: done")
    interrupt(first)
    process = standing.start("attach", "coder")
    seen = Lines(process)
    seen.until("task 0")
    for number in range(1, 3):
        assert "it is" in seen.until("ended: done")
        assert "ended" not in seen.until(f"task {number}")
    assert "it is" in seen.until("ended: done")
    interrupt(process)


def test_a_stream_ends_with_the_agent(standing: TestHive) -> None:
    process = standing.start("attach", "coder")
    Lines(process).until("idle")
    standing.run("stop", "coder")
    _, told = process.communicate(timeout=60)
    assert (process.returncode, "turns have ended with it" in told) in {(0, True), (1, False)}
