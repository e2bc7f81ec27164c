"""A hive that is up with its status page, and a browser that has the page open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.agent.browser import Client, free_port
from tests.hives import PLAIN, TestHive
from tests.status_page.near import follows

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")


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
    port = free_port()
    hive.home.mkdir(parents=True)
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
def browser() -> Iterator[Any]:
    """One for a module's tests. Not for a run's: as long as there is one, nothing else there can have an event loop."""
    with playwright.sync_playwright() as runner:
        found = runner.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def tab(browser: Any, served: Served) -> Iterator[Tab]:
    opened = Tab(browser.new_page(viewport={"width": 1280, "height": 900}))
    opened.page.set_default_timeout(60_000)
    opened.page.on("request", lambda request: opened.asked.append(request.url))
    opened.page.on("pageerror", lambda error: opened.errors.append(str(error)))
    opened.page.goto(served.link)
    opened.page.wait_for_selector("#live:not(.stale)")
    yield opened
    opened.page.context.close()
    assert opened.errors == []
