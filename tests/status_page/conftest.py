"""A hive that is up with its status page, and a browser that has the page open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.agent.browser import Client, free_port
from tests.chromium import STILL, browser
from tests.hives import PLAIN, TestHive
from tests.status_page.near import follows

__all__ = ["browser"]

SIZE = {"width": 1280, "height": 900}


@dataclass
class Served:
    """A hive's page: where it is, and the keys that open it."""

    hive: TestHive
    port: int
    link: str
    look: str

    @property
    def client(self) -> Client:
        return Client(self.port, self.link.partition("#key=")[2])

    @property
    def looker(self) -> Client:
        return Client(self.port, self.look.partition("#key=")[2])


@pytest.fixture
def served(hive: TestHive) -> Served:
    return serve(hive)


def serve(hive: TestHive) -> Served:
    """Have a hive up, with an agent and its page."""
    port = free_port()
    hive.home.mkdir(parents=True, exist_ok=True)
    (hive.home / "hive.toml").write_text(f"[ports]\npage = {port}\n")
    hive.extra["HIVE_PAGE"] = ""
    hive.configure("manager", PLAIN)
    hive.spawn("coder")
    up = hive.start("up")
    assert up.stderr is not None
    while "`hive open` prints the link" not in up.stderr.readline():
        continue
    link = hive.run("open").stdout.strip()
    served = Served(hive, port, link, hive.run("open", "--read-only").stdout.strip())
    follows(served.client)
    return served


@dataclass
class Tab:
    """One tab: the page in it, and what it has asked for."""

    page: Any
    asked: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def states(self) -> int:
        return sum(1 for url in self.asked if url.endswith("/api/state"))


@pytest.fixture(scope="module")
def window(browser: Any) -> Iterator[Any]:
    """Where a module's tabs are shown, one after another: to make a window costs more than to show the page in it."""
    with browser.new_context(**STILL) as context:
        yield context.new_page()


@pytest.fixture
def tab(window: Any, served: Served) -> Iterator[Tab]:
    """The link opened by somebody who has never been here: nothing is kept, and the pointer is in the corner."""
    window.goto(served.link.partition("#")[0] + "icon.svg")
    window.evaluate("[sessionStorage, localStorage].forEach((kept) => kept.clear())")
    window.set_viewport_size(SIZE)
    window.mouse.move(0, 0)
    with shown(window, served) as tab:
        yield tab


@contextmanager
def opened(browser: Any, served: Served, **options: Any) -> Iterator[Tab]:
    """A tab in a window of its own, as of another person."""
    with (
        browser.new_context(**{"viewport": SIZE, **STILL, **options}) as context,
        shown(context.new_page(), served) as tab,
    ):
        yield tab


@contextmanager
def shown(page: Any, served: Served) -> Iterator[Tab]:
    """The page as of a person who has just opened the link; nothing may fail in its script."""
    tab = Tab(page)
    heard = {
        "request": lambda request: tab.asked.append(request.url),
        "pageerror": lambda error: tab.errors.append(str(error)),
    }
    for kind, hear in heard.items():
        page.on(kind, hear)
    page.set_default_timeout(60_000)
    page.goto(served.link)
    page.wait_for_selector("#live:not(.stale)")
    yield tab
    for kind, hear in heard.items():
        page.remove_listener(kind, hear)
    assert tab.errors == []
