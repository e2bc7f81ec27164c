"""The agent's page in a real browser: hostile text stays text, the key stays in its tab, and what it shows is live."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.agent.browser import KEY, Client
from tests.agent.conftest import Place
from tests.agent.test_harness import acknowledged
from tests.agent.test_page import client, paged
from tests.needs import requires

__all__ = ["client", "paged"]

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")
pytestmark = requires("chromium")

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script> \u202egnp.exe \x1b[31m"


@pytest.fixture
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as runner:
        found = runner.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Any, client: Client) -> Any:
    opened = browser.new_page()
    opened.set_default_timeout(60_000)
    opened.goto(f"http://127.0.0.1:{client.port}/#key={KEY}")
    opened.wait_for_selector("#badge[data-state=idle]")
    return opened


def test_hostile_text_is_shown_as_text(paged: Place, page: Any) -> None:
    paged.program(f"cat >/dev/null; cat <<'END'\n{HOSTILE}\nEND")
    paged.gate.put("friend", HOSTILE)
    acknowledged(paged)
    paged.gate.wait(lambda gate: gate.statuses[-1]["state"] == "idle", "idle")
    page.wait_for_selector("article .text")
    page.wait_for_selector("#messages li")
    shown = page.inner_text("article .text")
    assert "<script>document.title='owned'</script>" in shown
    assert "\\u{202e}gnp.exe \\u{1b}[31m" in shown
    assert page.query_selector("article img, article script, #messages img") is None
    assert page.title() != "owned"


def test_the_key_leaves_the_address_and_is_in_no_cookie_for_another_port(page: Any, client: Client) -> None:
    assert page.url == f"http://127.0.0.1:{client.port}/"
    assert page.context.cookies() == []
    with socket.create_server(("127.0.0.1", 0)) as other:
        heard: list[bytes] = []

        def listen() -> None:
            connection, _ = other.accept()
            with connection:
                heard.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        thread = threading.Thread(target=listen)
        thread.start()
        page.goto(f"http://127.0.0.1:{other.getsockname()[1]}/")
        thread.join(60)
    assert heard
    assert KEY.encode() not in heard[0]
    assert page.evaluate("sessionStorage.getItem('key')") is None


def test_turns_come_live_and_the_model_is_chosen_by_its_chip(paged: Place, page: Any) -> None:
    page.click("#model")
    page.keyboard.type("tiny")
    page.keyboard.press("Enter")
    page.wait_for_selector("#model:text-is('tiny')")
    page.fill("#text", "please look")
    page.press("#text", "Enter")
    acknowledged(paged)
    page.wait_for_selector("article .text:text-is('it is done')")
    page.wait_for_selector("article .end")
    assert "please look" in page.inner_text("article .message")
    assert page.inner_text("article .about").count("tiny") == 1


def test_without_the_key_it_says_where_to_get_it(browser: Any, client: Client) -> None:
    for link in ("/", "/#key=wrong"):
        opened = browser.new_page()
        opened.goto(f"http://127.0.0.1:{client.port}{link}")
        opened.wait_for_selector("#badge[data-state=gone]")
        assert "hive open" in opened.inner_text("#notice")
        assert not opened.is_visible("#composer")


def test_it_goes_on_after_the_harness_was_away(paged: Place, page: Any) -> None:
    assert paged.stop() == 0
    page.wait_for_selector("#badge[data-state=gone]")
    paged.start()
    page.wait_for_selector("#badge[data-state=idle]")
    paged.gate.put("operator", "hello")
    page.wait_for_selector("article .end")
    assert page.locator("article").count() == 1


def test_nothing_is_loaded_from_elsewhere(browser: Any, client: Client) -> None:
    opened = browser.new_page()
    asked: list[str] = []
    problems: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    opened.goto(f"http://127.0.0.1:{client.port}/#key={KEY}")
    opened.wait_for_selector("#badge[data-state=idle]")
    assert all(url.startswith(f"http://127.0.0.1:{client.port}/") for url in asked), json.dumps(asked)
    assert problems == []
