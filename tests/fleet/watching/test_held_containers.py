"""The long watch: it holds on to whoever runs, and looks only at whom there is a reason to look at."""

from __future__ import annotations

import errno
import os
import queue
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pytest

from hive_core.context import Hive
from hive_core.events import Event, emit
from hive_faces.verbs import find
from hive_fleet.agents import last_seen, restarts
from hive_fleet.agents.observation import observe
from hive_fleet.watching.held_containers import HeldContainers
from hive_fleet.watching.looks import look_at
from hive_fleet.watching.rounds import tick, watching
from tests.hives import PATIENCE, TestHive, eventually

ASKING = ("container", "containers", "exits")


class Over(Exception):
    """The test is over, and so is its watch."""


class Asked:
    """Notes whom a backend is asked for; None stands for everybody. times: how often the clock was read."""

    def __init__(self, hive: Hive) -> None:
        self.names: list[str | None] = []
        self.times = 0
        self._clock, hive.clock = hive.clock, self._at
        for method in ASKING:
            object.__setattr__(hive.host, method, self._noting(getattr(hive.host, method)))

    def _at(self) -> float:
        self.times += 1
        return self._clock()

    def _noting(self, real: Any) -> Any:
        def ask(*names: Any) -> Any:
            for name in names or [None]:
                self.names += name if isinstance(name, list) else [name]
            return real(*names)

        return ask


@pytest.fixture
def pair(hive: TestHive) -> TestHive:
    hive.spawn("coder")
    hive.spawn("other")
    return hive


@pytest.fixture
def told(pair: TestHive) -> Iterator[tuple[Asked, queue.Queue[Event]]]:
    """A watch of both in a thread of this process: whom it asks for, and the events that it tells."""
    inside, seen = pair.inside(), queue.Queue[Event]()
    asked, ready, ends = Asked(inside), threading.Event(), os.pipe()

    class Beside:
        """Ends the watch."""

        def fileno(self) -> int:
            return ends[0]

        def check(self) -> None:
            if ended.is_set():
                raise Over

    ended = threading.Event()
    inside.say = lambda _text: ready.set()

    def serve() -> None:
        with suppress(Over), closing(inside.store):
            for event in watching(inside, 3600, beside=Beside()):
                seen.put(event)

    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(PATIENCE)
    yield asked, seen
    ended.set()
    os.write(ends[1], b"!")
    thread.join(PATIENCE)
    for end in ends:
        os.close(end)


def heard(seen: queue.Queue[Event], kind: str) -> Event:
    while True:
        event = seen.get(timeout=PATIENCE)
        if event.kind == kind:
            return event


@pytest.mark.remembered
def test_for_a_message_nobody_is_looked_at(pair: TestHive, told: tuple[Asked, queue.Queue[Event]]) -> None:
    asked, seen = told
    pair.run("send", "operator", "the first: what came before the watch is heard by then")
    heard(seen, "sent")
    asked.names.clear()
    asked.times = 0
    for whom in ("operator", "coder"):
        pair.run("send", whom, "hello")
        heard(seen, "sent")
    pair.run("send", "operator", "what followed from the one before is done by then")
    heard(seen, "sent")
    # In a look at everybody, who is held need not be asked for; but what is due is known by the clock.
    assert (asked.names, asked.times) == ([], 0)


def test_for_an_end_one_is_looked_at(pair: TestHive, told: tuple[Asked, queue.Queue[Event]]) -> None:
    asked, seen = told
    pair.run("send", "operator", "the first")
    heard(seen, "sent")
    asked.names.clear()
    os.kill(pair.pid("coder"), signal.SIGKILL)
    assert heard(seen, "container_crash").agent == "coder"
    assert set(asked.names) == {"coder"}


@pytest.mark.remembered
def test_of_whom_something_was_mended_is_looked_at(pair: TestHive, told: tuple[Asked, queue.Queue[Event]]) -> None:
    asked, seen = told
    for kind, fields in (
        ("repair_failed", {"agent": "coder", "repair": "denied/1", "note": "its commit is lost"}),
        ("recovered", {"name": "coder", "transient_kind": "denying", "outcome": "tagged denied/1"}),
    ):
        pair.run("send", "operator", "the first")
        heard(seen, "sent")
        asked.names.clear()
        with pair.inside().store.write() as db:
            emit(db, kind, **fields)
        pair.run("send", "operator", "what followed from that is done by then")
        heard(seen, "sent")
        eventually(lambda: asked.names)
        assert set(asked.names) == {"coder"}, kind


def test_whoever_is_started_while_the_watch_runs_is_held(
    pair: TestHive, told: tuple[Asked, queue.Queue[Event]]
) -> None:
    _, seen = told
    pair.spawn("third")
    os.kill(pair.pid("third"), signal.SIGKILL)
    assert heard(seen, "container_crash").agent == "third"
    pair.run("restart", "coder")
    os.kill(pair.pid("coder"), signal.SIGKILL)
    assert heard(seen, "container_crash").agent == "coder"


def test_whoever_ends_between_the_look_and_the_hold_is_told_of_at_once(pair: TestHive) -> None:
    inside = pair.inside()
    real = inside.host.container
    with closing(HeldContainers(inside)) as held:
        tick(inside, seed=True)

        def container(name: str) -> object:
            found = real(name)
            if found is not None and found.running:
                os.kill(pair.pid(name), signal.SIGKILL)
                eventually(lambda: not real(name).running)  # type: ignore[union-attr]
            return found

        object.__setattr__(inside.host, "container", container)
        verdicts = look_at(inside, ["coder"], held=held)
    assert [(verdict.kind, verdict.agent) for verdict in verdicts] == [("container_crash", "coder")]


def test_whoever_ends_between_two_looks_at_everything_is_not_taken_for_running(pair: TestHive) -> None:
    inside = pair.inside()
    with closing(HeldContainers(inside)) as held:
        tick(inside, seed=True, held=held)
        assert set(held.running()) == {"coder", "other"}
        os.kill(pair.pid("coder"), signal.SIGKILL)
        eventually(lambda: held.ended() == {"coder"})
        assert [verdict.kind for verdict in tick(inside, seed=False, held=held)] == ["container_crash"]
        assert (held.ended(), set(held.running())) == (set(), {"other"})
        pair.run("destroy", "other", "--yes")
        tick(inside, seed=False, held=held)
        assert held.running() == {}


@pytest.mark.remembered
def test_a_look_that_finds_nothing_new_writes_nothing(pair: TestHive) -> None:
    inside = pair.inside()
    tick(inside, seed=True)
    before = inside.store.bell.stat().st_mtime_ns
    assert tick(inside, seed=False) == []
    assert inside.store.bell.stat().st_mtime_ns == before


def test_without_a_descriptor_to_be_had_an_end_is_found_by_the_next_look(pair: TestHive) -> None:
    inside = pair.inside()
    with closing(HeldContainers(inside)) as held:
        observation = observe(inside)

        def exits(_names: object) -> object:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        object.__setattr__(inside.host, "exits", exits)
        assert held.hold(observation) == set()
        tick(inside, seed=True, held=held)
        os.kill(pair.pid("coder"), signal.SIGKILL)
        eventually(lambda: not inside.host.containers()["coder"].running)
        assert [verdict.kind for verdict in tick(inside, seed=False, held=held)] == ["container_crash"]


@pytest.mark.remembered
def test_what_was_shown_of_another_agent_asks_for_no_look_at_this_one(pair: TestHive) -> None:
    inside = pair.inside()
    tick(inside, seed=True)
    with inside.store.write() as db:
        db.execute("update pictures set logged_in = 0 where name = 'coder'")
    with inside.store.read() as db:
        assert last_seen.inconclusive(db, "coder")
        assert not last_seen.inconclusive(db, "other")


@pytest.mark.remembered
@pytest.mark.parametrize("verb", ["start", "stop", "restart", "kill", "rebuild", "pause"])
def test_an_operation_on_one_agent_looks_at_no_other(pair: TestHive, verb: str) -> None:
    inside = pair.inside()
    asked = Asked(inside)
    declared = find(verb)
    assert declared is not None
    declared.call(inside, {"name": "coder"})
    assert set(asked.names) == {"coder"}


def test_a_restart_that_has_to_wait_keeps_nobody_else_from_being_watched(
    pair: TestHive, told: tuple[Asked, queue.Queue[Event]]
) -> None:
    _, seen = told
    inside = pair.inside()
    with inside.store.write() as db:
        db.execute("update agents set restart = 'always' where name = 'coder'")
    with inside.lock("coder", "being looked at for long"):
        os.kill(pair.pid("coder"), signal.SIGKILL)
        assert heard(seen, "container_crash").agent == "coder"
        eventually(lambda: not due(inside, "coder"))
        os.kill(pair.pid("other"), signal.SIGKILL)
        assert heard(seen, "container_crash").agent == "other"
    # Not only until it runs: what is still being started when the test ends would outlive it.
    assert heard(seen, "started").agent == "coder"
    assert pair.agent("coder")["running"] is True


def due(hive: Hive, name: str) -> bool:
    """Whether a restart is due that nobody has begun."""
    with hive.store.read() as db:
        query = "select restart_at from agents where name = ?"
        return db.execute(query, (name,)).fetchone()[0] is not None


def test_restarts_that_were_not_begun_are_due_again(pair: TestHive) -> None:
    inside = pair.inside()
    restarts.give_back(inside, "coder")
    assert restarts.take_due(inside) == ["coder"]
    # One that was planned meanwhile, after another crash, stays as it is.
    with inside.store.write() as db:
        db.execute("update agents set restart_at = ? where name = 'coder'", (inside.clock() + 100,))
    restarts.give_back(inside, "coder")
    assert restarts.take_due(inside) == []
    pair.run("stop", "coder")
    restarts.give_back(inside, "coder")
    assert restarts.take_due(inside) == []
