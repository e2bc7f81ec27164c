"""Serving the page: a port that is had in the end, keys that can be changed, names of a proxy, another's socket."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from hive_agent.page import binding
from hive_core.signals import ToldToEnd, ended_by
from hive_faces.page import kept as page_kept
from hive_faces.page.kept import page_beside
from hive_faces.verbs import find
from hive_fleet.watching.rounds import tick
from tests.agent.browser import Client, free_port
from tests.hives import PATIENCE, TestHive, eventually
from tests.status_page.near import page_near, served_near

pytestmark = pytest.mark.remembered
GONE = "no link to the status page from before opens it any more"


def test_a_port_in_use_is_tried_again_and_no_link_is_printed_before_it_is_had(hive: TestHive) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)) as other, page_near(hive, port) as near:
        eventually(lambda: near.said)
        assert near.said == [f"the status page's port {port} is in use; it is tried again for a while"]
        assert "Nobody serves the status page" in hive.run("open", code=1).stderr
        other.close()
        eventually(near.file.exists)
        assert f".localhost:{port}/#key=" in hive.run("open").stdout
    assert not near.file.exists()


def test_a_page_that_waits_for_its_port_ends_at_once(hive: TestHive, monkeypatch: pytest.MonkeyPatch) -> None:
    # Else to wait for the end of its pause would pass for that.
    monkeypatch.setattr(binding, "FIRST_PAUSE", 2 * PATIENCE)
    monkeypatch.setattr(binding, "LONGEST_PAUSE", 2 * PATIENCE)
    with socket.create_server(("127.0.0.1", 0)) as other, ExitStack() as served:
        near = served.enter_context(page_near(hive, other.getsockname()[1]))
        eventually(lambda: near.said)
        assert {"page", "pages"} <= {thread.name for thread in threading.enumerate()}
        ending = threading.Thread(target=served.close, daemon=True)
        ending.start()
        ending.join(PATIENCE)
        assert not ending.is_alive()
    assert not {"page", "pages"} & {thread.name for thread in threading.enumerate()}


def test_a_port_that_cannot_be_had_is_told_to_whoever_serves_the_page(
    hive: TestHive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binding, "LONGEST_PAUSE", 0.0)
    failed: list[Exception] = []
    with socket.create_server(("127.0.0.1", 0)) as other:
        with page_near(hive, other.getsockname()[1], failed=failed.append) as near:
            eventually(lambda: failed)
        assert len(near.said) == 1
    assert "in use" in str(failed[0])
    assert "`hive page --port PORT` takes another" in str(failed[0])


@pytest.fixture
def taken(hive: TestHive, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What has the port that the page is to have."""
    monkeypatch.setattr(binding, "LONGEST_PAUSE", 0.0)
    monkeypatch.setattr(page_kept, "LONGEST", 0.01)
    hive.home.mkdir(mode=0o700)
    hive.extra["HIVE_PAGE"] = "on"
    with socket.create_server(("127.0.0.1", 0)) as other:
        (hive.home / "hive.toml").write_text(f"[ports]\npage = {other.getsockname()[1]}\n")
        yield other


def needs_of(hive: TestHive) -> list[tuple[str, str]]:
    return [(need["id"], need["text"]) for need in hive.asked("needs_you")]


def test_who_cannot_have_its_port_leaves_the_page_to_others(hive: TestHive, taken: socket.socket) -> None:
    inside, said = hive.inside(), list[str]()
    inside.say = said.append
    with ExitStack() as up:
        up.enter_context(page_beside(inside))
        eventually(lambda: said and said[-1].startswith("warning: there is no status page."))
        eventually(lambda: needs_of(hive))
        with page_near(hive) as near:
            eventually(near.file.exists)
            eventually(lambda: not needs_of(hive))
            up.close()
            assert near.file.exists()
            refused = hive.run("page", code=1).stderr
            assert refused == "hive: The status page is served already.\n  `hive open` prints its link.\n"


def test_a_port_that_is_anothers_needs_the_operator_until_the_page_is_served_by_itself(
    hive: TestHive, taken: socket.socket
) -> None:
    port, inside = taken.getsockname()[1], hive.inside()
    need = ("page_port", f"there is no status page: port {port} cannot be had")
    with page_beside(inside):
        eventually(lambda: needs_of(hive) == [need])
        # A look at everything leaves it there.
        tick(hive.inside(), seed=True)
        assert needs_of(hive) == [need]
        assert f"port {port} is another program's" in hive.run("doctor", code=1).stdout
        taken.close()
        eventually((hive.home / "page.json").exists)
        assert needs_of(hive) == []
    assert [event["kind"] for event in hive.events("need_added", "need_resolved")] == ["need_added", "need_resolved"]


def test_nobody_needs_a_port_for_a_page_that_is_to_be_served_no_more(hive: TestHive, taken: socket.socket) -> None:
    with page_beside(hive.inside()):
        eventually(lambda: needs_of(hive))
    assert needs_of(hive) == []


def test_a_service_of_its_own_waits_for_the_port_too_and_does_not_count_as_stuck(
    hive: TestHive, taken: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation, ended, ends = find("page"), *os.pipe()
    assert operation

    def serve() -> None:
        with ended_by(ended), pytest.raises(ToldToEnd):
            operation.call(hive.inside(), {})

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, ThreadPoolExecutor(1) as pool:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        serving = pool.submit(serve)
        try:
            assert manager.recv(4096).startswith(b"READY=1\nSTATUS=The port of the status page")
            eventually(lambda: needs_of(hive))
            taken.close()
            eventually((hive.home / "page.json").exists)
            assert needs_of(hive) == []
        finally:
            os.write(ends, b"x")
        serving.result(PATIENCE)
    os.close(ended)
    os.close(ends)


def test_new_keys_lock_out_the_links_and_the_tabs_from_before(hive: TestHive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("status_page.broadcaster.HEARTBEAT", 0.05)
    with served_near(hive) as near:
        before, looked = near.client, near.looker
        with before.stream() as news, looked.stream() as other:
            assert GONE in hive.run("page", "--new-key").stderr
            assert {kind for kind, _, _ in (*news, *other)} <= {"here", "away", "resync"}
        assert [client.ask("GET", "/api/state")[0] for client in (before, looked)] == [401, 401]
        after = Client(near.port, hive.run("open").stdout.strip().partition("#key=")[2])
        assert after.ask("POST", "/send", {"to": "operator", "body": "x"})[0] == 200
        assert near.looker.ask("GET", "/api/state")[0] == 200
    assert "Nobody serves the status page" in hive.run("page", "--new-key", code=1).stderr
    assert hive.run("page", "--new-key", "--port", "7001", code=2).stderr


def test_a_page_that_only_looks_has_no_key_that_acts(hive: TestHive) -> None:
    with served_near(hive, read_only=True) as near:
        assert "only looks" in hive.run("open", code=1).stderr
        link = hive.run("open", "--read-only").stdout.strip()
        looker = Client(near.port, link.partition("#key=")[2])
        assert looker.ask("GET", "/api/state")[0] == 200
        assert looker.ask("POST", "/send", {"to": "operator", "body": "x"})[0] == 403
        hive.run("page", "--new-key")
        assert near.looker.ask("POST", "/send", {"to": "operator", "body": "x"})[0] == 403
        # Nor is there one that does now.
        assert "only looks" in hive.run("open", code=1).stderr
