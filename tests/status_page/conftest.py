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


@pytest.fixture
def tab(browser: Any, served: Served) -> Iterator[Tab]:
    with opened(browser, served) as tab:
        yield tab


@contextmanager
def opened(browser: Any, served: Served, **options: Any) -> Iterator[Tab]:
    """A tab of its own, as of a person who has just opened the link; nothing may fail in its script."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **STILL, **options})
    tab = Tab(context.new_page())
    tab.page.set_default_timeout(60_000)
    tab.page.on("request", lambda request: tab.asked.append(request.url))
    tab.page.on("pageerror", lambda error: tab.errors.append(str(error)))
    tab.page.goto(served.link)
    tab.page.wait_for_selector("#live:not(.stale)")
    yield tab
    context.close()
    assert tab.errors == []
