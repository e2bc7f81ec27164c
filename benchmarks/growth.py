"""Growth: what an operation costs in a state with a long history, beside the same operation in one with a short one."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.table import Table, arguments, scratch, show, throw_away_hive
from hive_cmds import agents, inbox, lifecycle, messages
from hive_core.caller import Identity, Role
from hive_core.context import Hive
from hive_fleet.messages.messages import kick
from tests.hives import TestHive

# The short history: what is shown of one is shown in full. And how many messages there are for each request.
FEW = 100
REQUESTS = 100
WORDS = [f"word{number}" for number in range(5000)]
NAMES = ("coder", "tester", "writer", "manager", "operator", "system")


def main() -> None:
    options = arguments((__doc__ or "").splitlines()[0], rounds=30, messages=1_000_000)
    with ExitStack() as held:
        folder = held.enter_context(scratch())
        hives = {
            f"{count} messages": made(held.enter_context(throw_away_hive(folder / str(count))), count)
            for count in (FEW, options.messages)
        }
        show(measured(hives, options.rounds), as_json=options.json)


def made(hive: TestHive, count: int) -> Hive:
    """A hive with two agents, and a history of so many messages, as many events, and a hundredth of requests."""
    for name in ("coder", "tester"):
        hive.spawn(name)
    inside = hive.inside()
    inside.store.connection().execute("pragma cache_size = -65536")
    with inside.store.write() as db:
        db.executemany(
            "insert into messages (sender, recipient, body, sent_at, delivered_at, acknowledged_at, deliveries)"
            " values (?, ?, ?, ?, 1, 1, 1)",
            history(count),
        )
        events = ((number, "sent", "coder", '{"from":"coder","to":"tester","body":"x"}') for number in range(count))
        db.executemany("insert into events (at, kind, agent, data) values (?, ?, ?, ?)", events)
        db.executemany(
            "insert into approvals (agent, kind, commit_ref, requested_by, requested_at, status)"
            " values ('coder', 'spawn', ?, 'manager', 0, 'denied')",
            ((str(number),) for number in range(count // REQUESTS)),
        )
    inside.store.connection().execute("pragma cache_size = -2000")
    return inside


def history(count: int) -> Iterator[tuple[str, str, str, float]]:
    """Everybody's messages, a third of them the coder's."""
    chance = random.Random(1)
    for number in range(count):
        sender, recipient = NAMES[number % len(NAMES)], NAMES[(number // len(NAMES) + 1) % len(NAMES)]
        body = " ".join(chance.choices(WORDS, k=12))
        yield sender, recipient, body, time.time()


def measured(hives: dict[str, Hive], rounds: int) -> list[Table]:
    """A table for each operation; in each round they follow each other, so that one takes what another has sent."""
    tables = {name: Table(name) for name in OPERATIONS}
    for _ in range(rounds):
        for name, operation in OPERATIONS.items():
            for state, hive in hives.items():
                tables[name].time(state, partial(operation, hive))
    return list(tables.values())


def coder(hive: Hive) -> Hive:
    return hive.acting_as(Identity(Role.AGENT, "coder"))


def _kick(hive: Hive) -> None:
    with hive.store.write() as db:
        kick(db, "coder", "restarted")


OPERATIONS: dict[str, Callable[[Hive], object]] = {
    "send": lambda hive: messages.send(hive, "coder", "hello"),
    "kick": _kick,
    "recv": lambda hive: inbox.recv(coder(hive), 0, 10),
    "ack": lambda hive: inbox.ack(coder(hive)),
    "recv, of an empty inbox": lambda hive: inbox.recv(hive, 0),
    "recent": lambda hive: messages.recent(coder(hive)),
    "search, of an agent": lambda hive: messages.search(coder(hive), "hello"),
    "search, of the operator": lambda hive: messages.search(hive, "hello"),
    "list": agents.list_,
    "kill and start": lambda hive: (lifecycle.kill(hive, "tester"), lifecycle.start(hive, "tester")),
}


if __name__ == "__main__":
    main()
