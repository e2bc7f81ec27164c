"""Upkeep: what a year of a busy fleet costs to clear away, and how long whoever writes waits meanwhile."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.growth import NAMES, WORDS
from benchmarks.table import Table, arguments, scratch, show, throw_away_hive
from hive_agent.turns.record import Record
from hive_cmds.vacuum import vacuum
from hive_core.context import Hive
from hive_core.slices import shorten_log
from hive_core.store import Store
from hive_fleet.messages.messages import post
from tests.hives import TestHive

DAY = 86400.0
YEAR = 365 * DAY
MIB = 1024 * 1024
PLAIN, OURS = "delete and vacuum, by sqlite3", "hive vacuum"
# Seconds between two writes of the writer.
PAUSE = 0.01


def main() -> None:
    options = arguments((__doc__ or "").splitlines()[0], rounds=1, messages=1_000_000, agents=20)
    with scratch() as folder, throw_away_hive(folder / "hive") as hive:
        inside = made(hive, options.messages, options.agents)
        peer = copied(inside, folder / "peer")
        tables = [Table("a year cleared away", "s"), Table("a writer's wait meanwhile", "ms"),
                  Table("the longest of these waits", "ms"), Table("the database", "MiB")]  # fmt: skip
        tables[3].add("before", size(inside.settings.database))
        measure(tables, PLAIN, peer / "hive.db", lambda: plain(peer))
        measure(tables, OURS, inside.settings.database, lambda: vacuum(inside))
        show(tables, as_json=options.json)


def made(hive: TestHive, count: int, agents: int) -> Hive:
    """A hive with a year behind it: so many messages and events, and as many events of turns in its agents' records."""
    inside = hive.inside()
    begin = time.time() - YEAR
    names = [f"w{number}" for number in range(agents)]
    for name in names:
        hive.spawn(name)
        filled(hive.home / "agents" / name / "state", begin, count // agents)
    inside.store.connection().execute("pragma cache_size = -65536")
    with inside.store.write() as db:
        columns = "sender, recipient, body, sent_at, delivered_at, acknowledged_at, deliveries"
        db.executemany(f"insert into messages ({columns}) values (?, ?, ?, ?, ?, ?, 1)", said(begin, count))
        events = (
            (begin + YEAR * number / count, '{"from":"coder","to":"tester","body":"x"}') for number in range(count)
        )
        db.executemany("insert into events (at, kind, agent, data) values (?, 'sent', 'coder', ?)", events)
    inside.store.connection().execute("pragma cache_size = -2000")
    shorten_log(inside.store)
    return inside


def said(begin: float, count: int) -> Iterator[tuple[Any, ...]]:
    chance = random.Random(1)
    for number in range(count):
        at = begin + YEAR * number / count
        pair = NAMES[number % len(NAMES)], NAMES[(number // len(NAMES) + 1) % len(NAMES)]
        yield *pair, " ".join(chance.choices(WORDS, k=12)), at, at, at


def filled(state: Path, begin: float, count: int) -> None:
    """An agent's record with so many events of turns in a year."""
    record = Record(state)
    record.close()
    with closing(sqlite3.connect(record.path)) as db, db:
        rows = ((number // 20, begin + YEAR * number / count) for number in range(count))
        db.executemany("insert into turn_events (turn, at, kind, data) values (?, ?, 'text', '{\"text\":\"x\"}')", rows)
    owner = state.stat()
    for path in state.glob(f"{record.path.name}*"):
        os.chown(path, owner.st_uid, owner.st_gid)


def copied(hive: Hive, folder: Path) -> Path:
    """The same state for the peer."""
    folder.mkdir()
    hive.store.copy_to(folder / "hive.db")
    with closing(sqlite3.connect(folder / "hive.db")) as db:
        db.execute("pragma journal_mode = wal")
    for path in hive.settings.agents.glob("*/state/events.sqlite"):
        shutil.copy(path, folder / f"{path.parent.parent.name}.sqlite")
    return folder


def plain(folder: Path) -> None:
    """What a script does of a night: one statement for each kind, and a vacuum."""
    now = time.time()
    with closing(sqlite3.connect(folder / "hive.db", timeout=60, isolation_level=None)) as db:
        db.execute("delete from messages where sent_at < ? and delivered_at is not null", (now - 30 * DAY,))
        db.execute("delete from events where at < ?", (now - 90 * DAY,))
        db.execute("vacuum")
        db.execute("pragma wal_checkpoint(truncate)")
    for path in folder.glob("w*.sqlite"):
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("delete from turn_events where at < ?", (now - 7 * DAY,))
            db.execute("vacuum")


def measure(tables: list[Table], name: str, database: Path, work: Callable[[], object]) -> None:
    taken, waits, longest, sizes = tables
    with writing(database) as waited:
        begin = time.perf_counter()
        work()
        taken.add(name, time.perf_counter() - begin)
    for wait in waited:
        waits.add(name, wait * 1000)
    longest.add(name, max(waited) * 1000)
    sizes.add(f"after {name}", size(database))


@contextmanager
def writing(database: Path) -> Iterator[list[float]]:
    """Have another process write a message now and then, for as long as the block runs; how long each one took."""
    context = multiprocessing.get_context("spawn")
    stop, waits = context.Event(), context.Queue()
    writer = context.Process(target=write, args=(database, stop, waits))
    writer.start()
    found: list[float] = []
    waits.get()
    try:
        yield found
    finally:
        stop.set()
        found += waits.get()
        writer.join()


def write(database: Path, stop: Any, waits: Any) -> None:
    """The writer: each message as hive writes it."""
    store, waited = Store(database), []
    waits.put(None)
    while not stop.is_set() or not waited:
        begin = time.perf_counter()
        put(store)
        waited.append(time.perf_counter() - begin)
        time.sleep(PAUSE)
    store.close()
    waits.put(waited)


def put(store: Store) -> None:
    """Write one message; who has waited for so long that SQLite gives up begins again."""
    while True:
        try:
            with store.write() as db:
                post(db, "operator", "coder", "hello")
                return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY":
                raise


def size(database: Path) -> float:
    return sum(path.stat().st_size for path in database.parent.glob(f"{database.name}*")) / MIB


if __name__ == "__main__":
    main()
