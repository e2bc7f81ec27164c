"""A fleet whose agents are ended at random, each in a way that is known, while much else is done; and what is told of it.

For the test of a small one, and the benchmark of a large one.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hive_core.events import Event
from hive_faces.verbs import everything
from hive_fleet.events.feed import after
from tests.hives import PATIENCE, TestHive, eventually

# It ends as whoever writes to its pipe says: with an exit code, or by using more memory than it is given.
SCRIPT = "read how < /state/how; test $how != memory || exec tail /dev/zero; exit $how"
CONFIGURATION = f"""
runner = "command"
command = ["sh", "-c", "{SCRIPT}"]
settle_seconds = 0.05
limits.memory = "32M"
"""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to end an agent, and the reason and the cause that are to be told of it."""

    name: str
    end: Callable[[TestHive, str], None]
    reason: str
    cause: str


@dataclass
class Told:
    """What was told: the lateness of each verdict in ms, by the way of the end, and all that was wrong."""

    late: dict[str, list[float]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    done: int = 0


def _signal(number: signal.Signals) -> Way:
    def end(hive: TestHive, name: str) -> None:
        os.kill(program(hive, name), number)

    return Way(number.name, end, "signal", number.name)


def _exit(code: int) -> Way:
    return Way("an exit code", lambda hive, name: say(hive, name, str(code)), "exit", f"exit code {code}")


def _supervisor(hive: TestHive, name: str) -> None:
    os.kill(hive.pid(name), signal.SIGKILL)


WAYS = (
    *(_signal(number) for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT)),
    *(_exit(code) for code in (0, 1, 3, 200)),
    Way("its supervisor", _supervisor, "supervisor_killed", "its supervisor was killed"),
)
OUT_OF_MEMORY = Way(
    "out of memory", lambda hive, name: say(hive, name, "memory"), "out_of_memory", "out of memory"
)  # fmt: skip


def program(hive: TestHive, name: str) -> int:
    """The agent's own process, below its supervisor and its sandbox."""

    def last(pid: int) -> int | None:
        try:
            below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            if Path(f"/proc/{pid}/comm").read_text() == "sh\n":
                return pid
        except (FileNotFoundError, ProcessLookupError):
            return None
        return next((found for child in below if (found := last(int(child)))), None)

    return eventually(lambda: last(hive.pid(name)))


def say(hive: TestHive, name: str, how: str) -> None:
    """Write to the pipe that an agent reads; it is there already, or will be."""
    with (hive.home / "agents" / name / "state" / "how").open("w") as pipe:
        pipe.write(f"{how}\n")


def call(hive: TestHive, verb: str, **arguments: object) -> Any:
    """An operation, in this process: several are carried out at once."""
    inside = hive.inside()
    with closing(inside.store):
        return everything()[verb].call(inside, arguments)


def make(hive: TestHive, names: list[str]) -> None:
    """Make the agents, each with its pipe."""

    def one(name: str) -> None:
        hive.configure(name, CONFIGURATION)
        call(hive, "spawn", name=name)
        pipe = hive.home / "agents" / name / "state" / "how"
        os.mkfifo(pipe)
        pipe.chmod(0o666)
        # Its first run found no pipe to read.
        call(hive, "restart", name=name)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, names))


class Verdicts:
    """Hears every crash that is told, as soon as its commit can be read."""

    def __init__(self, hive: TestHive) -> None:
        self._hive, self._heard = hive, threading.Condition()
        self._crashes: dict[str, list[tuple[float, Event]]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="verdicts", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        inside, seq, version = self._hive.inside(), 0, None
        with closing(inside.store):
            # Looked at, not woken: to be woken costs what everybody on the machine shares.
            while not self._over.wait(0.005):
                now = inside.store.connection().execute("pragma data_version").fetchone()[0]
                for event in after(inside, seq, ["container_crash"]) if now != version else ():
                    seq = event.seq
                    with self._heard:
                        self._crashes.setdefault(str(event.agent), []).append((time.time(), event))
                        self._heard.notify_all()
                version = now

    def of(self, name: str) -> int:
        """How many crashes were told of an agent so far."""
        with self._heard:
            return len(self._crashes.get(name, []))

    def next(self, name: str, known: int) -> tuple[float, Event] | None:
        """The crash that is told of an agent after so many; when that was, too. None when there is none in time."""
        with self._heard:
            self._heard.wait_for(lambda: len(self._crashes.get(name, [])) > known, PATIENCE)
            found = self._crashes.get(name, [])
            return found[known] if len(found) > known else None

    def total(self) -> int:
        with self._heard:
            return sum(map(len, self._crashes.values()))

    def close(self) -> None:
        self._over.set()
        self._thread.join()


@contextmanager
def watched(hive: TestHive) -> Iterator[Verdicts]:
    """A watch that has had its first look, and what it tells."""
    watch = hive.start("watch", "--json")
    assert watch.stderr is not None
    assert any(line.startswith("watching ") for line in watch.stderr)
    threading.Thread(target=lambda: list(watch.stdout or ()), daemon=True).start()
    heard = Verdicts(hive)
    try:
        yield heard
    finally:
        heard.close()


def kill_at_random(
    hive: TestHive, heard: Verdicts, names: list[str], kills: int, *, ways: tuple[Way, ...], at_once: int, seed: int = 0
) -> Told:
    """End agents at random moments, several at once, each when it runs again; what was told of it."""
    told, chance, lock = Told(), random.Random(seed), threading.Lock()
    free = list(names)

    def one(number: int) -> None:
        with lock:
            name, way = free.pop(chance.randrange(len(free))), ways[number % len(ways)]
            moment = chance.random() * 0.2
        time.sleep(moment)
        known = heard.of(name)
        # What ends by its own word has to be there to hear it.
        program(hive, name)
        begin = time.time()
        way.end(hive, name)
        verdict = heard.next(name, known)
        with lock:
            _note(told, way, name, begin, verdict)
        call(hive, "start", name=name)
        with lock:
            free.append(name)

    with ThreadPoolExecutor(at_once) as pool:
        wait([pool.submit(one, number) for number in range(kills)])
    return told


def _note(told: Told, way: Way, name: str, begin: float, verdict: tuple[float, Event] | None) -> None:
    told.done += 1
    if verdict is None:
        told.wrong.append(f"{name}: {way.name} was not told")
        return
    at, event = verdict
    told.late.setdefault(way.name, []).append((at - begin) * 1000)
    if (event.data["reason"], event.data["cause"]) != (way.reason, way.cause):
        told.wrong.append(f"{name}: {way.name} was told as {event.data['cause']}")


def operate(hive: TestHive, names: list[str], count: int, *, seed: int = 0) -> list[str]:
    """Rebuild, restart, stop and start, deploy, update and fan out; what of it was done."""
    chance, done = random.Random(seed), []
    for number in range(count):
        name = names[number % len(names)]
        verb = chance.choice(["rebuild", "restart", "stop", "kill", "update", "deploy", "fan-out"])
        if verb == "deploy":
            sha = hive.propose(name, f"{CONFIGURATION}# {number}\n")
            call(hive, "approve", id=call(hive, "request_commit", agent=name, sha=sha).id)
        elif verb == "fan-out":
            call(hive, "meta_update", inputs=[f"agent-{one}" for one in names])
        else:
            call(hive, verb, name=name)
            if verb in ("stop", "kill"):
                call(hive, "start", name=name)
        done.append(verb)
    return done
