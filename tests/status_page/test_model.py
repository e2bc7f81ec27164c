"""What a tab has made of its cold load and every event since is what another cold load says, after any history."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from hive_core.beside import Beside
from hive_core.errors import HiveError
from hive_core.events import newest
from hive_faces.gate import gate
from status_page import broadcaster
from tests.agent.browser import Client
from tests.hives import PLAIN, TestHive, eventually
from tests.needs import requires
from tests.status_page.modelled import compared
from tests.status_page.near import NearPage, follows, page_near

pytestmark = [requires("node"), pytest.mark.remembered]


class World:
    """A hive whose gate and page come and go."""

    def __init__(self, hive: TestHive) -> None:
        self.hive = hive
        self._gate: AbstractContextManager[Beside] | None = None
        self._served: Beside | None = None
        self._page: AbstractContextManager[NearPage] | None = None
        self.near: NearPage | None = None
        self.restart_gate()
        self.restart_page()

    def restart_gate(self) -> None:
        if self._gate is not None:
            self._gate.__exit__(None, None, None)
        self._gate = gate.beside(self.hive.inside())
        self._served = self._gate.__enter__()

    def restart_page(self) -> None:
        port = None
        if self._page is not None and self.near is not None:
            port = self.near.port
            self._page.__exit__(None, None, None)
        self._page = page_near(self.hive, port)
        self.near = self._page.__enter__()
        eventually(self.near.file.exists)
        follows(self.client)

    @property
    def client(self) -> Client:
        assert self.near is not None
        return self.near.client

    def state(self) -> Any:
        """What a cold load says; None while hive is away."""
        status, answer = self.client.ask("GET", "/api/state")
        assert self._served is not None
        self._served.check()
        return answer["result"] if status == 200 else None

    def close(self) -> None:
        for part in (self._page, self._gate):
            if part is not None:
                part.__exit__(None, None, None)

    def newest(self) -> int:
        with self.hive.inside().store.read() as db:
            return newest(db)

    def vacuum(self, kept: int) -> None:
        """Have the history begin with its newest events, as it does when the others have become old."""
        with self.hive.inside().store.write() as db:
            db.execute("update events set at = 0 where seq <= ?", (self.newest() - kept,))
        assert "event" in self.hive.run("vacuum").stdout


class Reader:
    """A tab: one cold load, then the stream, by the number of its last event; what it learned, in order."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self._world, self._chance = world, chance
        self.learned: list[Any] = []
        self.loads = 0
        self._seq: int | None = None
        self._history = ""
        self._asleep: ExitStack | None = None

    def catch_up(self) -> None:
        """Learn everything there is, over as many connections as it takes."""
        until = self._world.newest()
        self.wake()
        while self._seq is None or self._seq < until:
            if self._seq is None:
                self._load()
            else:
                with self._stream() as news:
                    self._read(news, until)

    def sleep(self) -> None:
        """Have a stream open, and read nothing of it."""
        if self._seq is not None and self._asleep is None:
            self._asleep = ExitStack()
            self._news = self._asleep.enter_context(self._stream())

    def wake(self) -> None:
        """Read on where it was, as far as that goes: what waited is there, then perhaps the end."""
        if self._asleep is not None:
            with self._asleep:
                self._read(self._news, self._world.newest())
            self._asleep = None

    def _stream(self) -> AbstractContextManager[Iterator[tuple[str, int, Any]]]:
        return self._world.client.stream(f"/events?history={self._history}", Last_Event_ID=str(self._seq))

    def _load(self) -> None:
        state = eventually(self._world.state)
        self.loads += 1
        self.learned.append(state)
        self._seq, self._history = state["seq"], state["page"]["history"]

    def _read(self, news: Iterator[tuple[str, int, Any]], until: int) -> None:
        for kind, seq, event in news:
            if kind in ("away", "here"):
                continue
            if kind == "resync":
                self._seq = None
                return
            assert seq == event["seq"] == (self._seq or 0) + 1, "an event was left out or told twice"
            self.learned.append(event)
            self._seq = seq
            if seq >= until or self._chance.random() < 0.05:
                return


def act(world: World, chance: random.Random, number: int) -> None:
    """Do one thing that may be done now, or be refused."""
    hive = world.hive
    pending = [row["id"] for row in hive.asked("approvals")]
    asked = [row["id"] for row in hive.asked("questions")]
    deeds: list[tuple[str, dict[str, Any]]] = [
        ("send", {"to": "coder", "body": f"word {number} " + "é" * chance.randrange(5000)}),
        ("ask", {"question": f"question {number}?", "options": ["a"], "multi": True}),
        ("request_spawn", {"name": f"agent{number}", "description": "made by a test"}),
        *((verb, {"name": "coder"}) for verb in ("stop", "start", "rebuild", "pause", "resume")),
        *((verb, {"name": f"spawned{number % 3}"}) for verb in ("spawn", "destroy", "purge")),
        *(("deny", {"id": id, "note": "no"}) for id in pending[:1]),
        *(("approve", {"id": id}) for id in pending[-1:]),
        *(("answer", {"id": id, "text": "yes"}) for id in asked[:1]),
        *(("cancel_question", {"id": id}) for id in asked[-1:]),
    ]
    verb, arguments = chance.choice(deeds)
    with suppress(HiveError):
        hive.asked(verb, **arguments)


def flood(world: World) -> None:
    """More than who sleeps can have waiting for it."""
    for _ in range(20):
        assert world.client.ask("POST", "/send", {"to": "coder", "body": "x" * 60_000})[0] == 200


@pytest.fixture
def world(hive: TestHive) -> Iterator[World]:
    hive.spawn("coder")
    made = World(hive)
    yield made
    made.close()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_model_is_what_a_cold_load_says(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(broadcaster, "MOST_BEHIND", 50_000)
    chance = random.Random(seed)
    reader = Reader(world, chance)
    reader.catch_up()
    world.hive.request("coder", PLAIN + "# one\n")
    happen = [world.restart_gate, world.restart_page, reader.sleep, reader.catch_up, lambda: flood(world)]
    happen.append(lambda: world.vacuum(kept=chance.randrange(8)))
    for number in range(30):
        if chance.random() < 0.35:
            chance.choice(happen)()
        act(world, chance, number)
    reader.catch_up()
    [(mine, fresh)] = compared(tmp_path, [(reader.learned, eventually(world.state))])
    for part in mine.keys() | fresh.keys():
        assert mine[part] == fresh[part], part


def test_a_vacuum_leaves_a_tab_that_is_away_its_events_until_the_page_has_lost_them_too(world: World) -> None:
    reader = Reader(world, random.Random(1))
    reader.catch_up()
    world.hive.run("send", "coder", "one")
    world.hive.run("send", "coder", "two")
    follows(world.client)
    world.vacuum(kept=0)
    reader.catch_up()
    assert reader.loads == 1
    world.hive.run("send", "coder", "three")
    world.vacuum(kept=0)
    world.restart_page()
    reader.catch_up()
    assert reader.loads == 2
