"""The agent's page in a real browser: hostile text stays text, the key stays in its tab, and what it shows is live."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

import pytest

from tests.agent.browser import KEY, Client, free_port
from tests.agent.conftest import Place
from tests.agent.test_harness import acknowledged
from tests.agent.test_page import client, paged, wait_log
from tests.chromium import browser, new_page
from tests.needs import requires
from tests.stand_ins.login_program import LINK, install

__all__ = ["browser", "client", "new_page", "paged"]

pytestmark = requires("chromium")

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script> \u202egnp.exe \x1b[31m"


@pytest.fixture
def page(new_page: Any, client: Client) -> Any:
    opened = new_page()
    opened.goto(f"http://127.0.0.1:{client.port}/#key={KEY}")
    opened.wait_for_selector("#badge[data-state=idle]")
    return opened


def test_hostile_text_is_shown_as_text(paged: Place, page: Any) -> None:
    paged.program(f"cat >/dev/null; cat <<'END'\n{HOSTILE}\nEND")
    paged.gate.put("friend", HOSTILE)
    acknowledged(paged)
    paged.gate.wait(lambda gate: gate.statuses[-1]["state"] == "idle", "idle")
    page.wait_for_selector(".events .text")
    page.wait_for_selector("#messages li")
    shown = page.inner_text(".events .text")
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
    page.wait_for_selector(".events .text p:text-is('it is done')")
    page.wait_for_selector("article .end")
    assert "please look" in page.inner_text("article .message")
    assert page.inner_text("article .about").count("tiny") == 1


def test_without_the_key_it_says_where_to_get_it(new_page: Any, client: Client) -> None:
    for link in ("/", "/#key=wrong"):
        opened = new_page()
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


def test_nothing_is_loaded_from_elsewhere(new_page: Any, client: Client) -> None:
    opened = new_page()
    asked: list[str] = []
    problems: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    opened.goto(f"http://127.0.0.1:{client.port}/#key={KEY}")
    opened.wait_for_selector("#badge[data-state=idle]")
    assert all(url.startswith(f"http://127.0.0.1:{client.port}/") for url in asked), json.dumps(asked)
    assert problems == []


# --- the login


@pytest.fixture
def logging_in(place: Place, new_page: Any) -> Any:
    """The page of an agent that needs a login, in a narrow window."""
    place.environment |= {"HIVE_PORT": str(free_port()), "HIVE_PAGE_TOKEN": KEY}
    place.environment["HIVE_CLAUDE"] = str(install(place.folder / "bin"))
    place.configure(runner="claude")
    place.start()
    wait_log(place, "page on port")
    opened = new_page(viewport={"width": 390, "height": 700})
    opened.goto(f"http://127.0.0.1:{place.environment['HIVE_PORT']}/#key={KEY}")
    opened.wait_for_selector("#login-start")
    return opened


def test_a_human_logs_the_agent_in_on_its_page(place: Place, logging_in: Any) -> None:
    logging_in.click("#login-start")
    link = logging_in.wait_for_selector("#login-link")
    wanted = {"href": LINK, "target": "_blank", "rel": "noopener noreferrer"}
    assert {name: link.get_attribute(name) for name in wanted} == wanted
    assert link.inner_text() == "claude.com ↗"
    logging_in.fill("#login-code", "half")
    logging_in.click("#login-give")
    logging_in.wait_for_selector("#login-said:has-text('Invalid code.')")
    logging_in.fill("#login-code", "wrong#fake-state")
    logging_in.press("#login-code", "Enter")
    logging_in.wait_for_selector("#login-text:has-text('Login failed: Request failed')")
    logging_in.click("#login-start:text-is('Try again')")
    logging_in.wait_for_selector("#login-link")
    assert logging_in.input_value("#login-code") == ""
    logging_in.fill("#login-code", "right#fake-state")
    logging_in.press("#login-code", "Enter")
    logging_in.wait_for_selector("#login-title:text-is('Logged in')")
    logging_in.wait_for_selector("#badge[data-state=idle]")
    logging_in.click("#login-cancel:text-is('Close')")
    logging_in.wait_for_selector("#login", state="hidden")
    logging_in.reload()
    logging_in.wait_for_selector("#badge[data-state=idle]")
    assert not logging_in.is_visible("#login")


def test_a_login_is_cancelled_and_seen_by_every_page(place: Place, new_page: Any, logging_in: Any) -> None:
    logging_in.click("#login-start")
    logging_in.wait_for_selector("#login-link")
    other = new_page()
    other.goto(f"http://127.0.0.1:{place.environment['HIVE_PORT']}/#key={KEY}")
    other.wait_for_selector("#login-link")
    other.click("#login-cancel:text-is('Cancel')")
    logging_in.wait_for_selector("#login-start")
    assert logging_in.evaluate("document.documentElement.scrollWidth") == 390


def test_what_a_hostile_program_says_in_its_login_is_text(place: Place, logging_in: Any) -> None:
    (place.folder / "bin" / "claude").write_text("#!/bin/sh\necho '<img src=x onerror=\"document.title=1\">'; exit 1\n")
    logging_in.click("#login-start")
    logging_in.wait_for_selector("#login-text .failed")
    assert logging_in.inner_text("#login-text") == '<img src=x onerror="document.title=1">'
    assert logging_in.query_selector("#login img") is None
