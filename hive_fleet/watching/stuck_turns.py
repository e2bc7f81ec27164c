"""Turns that make no progress: told apart from those that work, and from agents that wait.

A turn moves when its harness records an event of it, when its processes use the processor, or when they are others than
before. One that does none of these for its time is stuck: its program hangs, though its container runs. So does the
harness that waits for a message, as it says, and takes none of those that lie there.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress
from dataclasses import asdict, dataclass

from hive_core.context import Hive
from hive_core.human import span
from hive_fleet.agents import harness_state, last_seen, table
from hive_fleet.agents.harness_state import IN_TURN
from hive_fleet.messages.inbox import has_mail
from hive_fleet.messages.messages import tell

# A program that only waits uses some of the processor, too: less than this share of one.
IDLE = 0.01
# What was seen is written down so often at the most, in seconds: a look at everything comes every ten.
KEPT = 60.0


@dataclass(frozen=True, slots=True)
class Moved:
    """What was seen of an agent when it last moved. at: when that was seen, in unix seconds.

    run: which start of the container. turn: when the harness last said how it is. written: when its record was last
    written to. cpu, processes: as in Activity; the numbers are sorted.
    """

    at: float
    run: str
    turn: float
    written: float
    cpu: float
    processes: list[int]

    def has_moved(self, now: Moved) -> bool:
        """Whether what is seen now is another run or turn, or one that has moved since."""
        same = (self.run, self.turn, self.written, self.processes) == (now.run, now.turn, now.written, now.processes)
        used = now.cpu - self.cpu
        return not same or now.at < self.at or used > IDLE * (now.at - self.at) + 0.05


def look(hive: Hive) -> None:
    """Look at everybody who has something to do, and tell of each that is stuck now, and was not."""
    served = hive.running("gate") is not None
    with hive.store.read() as db:
        rows, waiting = harness_state.in_turn(db), [row for row in harness_state.ready(db) if has_mail(db, row["name"])]
    if not served:
        # Nobody hands out a message: to wait for one is no fault.
        _forget(hive, [row["name"] for row in waiting if row["moved"] is not None])
    for row in rows + waiting if served else rows:
        now = _seen(hive, row)
        if now is not None:
            _judge(hive, row, now)


def _judge(hive: Hive, row: sqlite3.Row, now: Moved) -> None:
    before = _known(row["moved"])
    if before is None or before.has_moved(now):
        if row["stuck_at"] is not None or before is None or before.run != now.run or now.at - before.at >= KEPT:
            _goes_on(hive, row, now)
        return
    minutes = row["stuck_minutes"]
    if minutes is None:
        minutes = hive.settings.choices_or_defaults.values["stuck_minutes"]
    if row["stuck_at"] is None and minutes and now.at - before.at >= 60 * minutes:
        _is_stuck(hive, row, before.at, now.at)


def _goes_on(hive: Hive, row: sqlite3.Row, now: Moved) -> None:
    kept = json.dumps(asdict(now))
    if row["stuck_at"] is None:
        with hive.store.write() as db:
            harness_state.record_moved(db, row["name"], kept)
        return
    with last_seen.showing(hive, row["name"]) as db:
        harness_state.record_moved(db, row["name"], kept)
        harness_state.record_stuck(db, row["name"], None)


def _is_stuck(hive: Hive, row: sqlite3.Row, since: float, now: float) -> None:
    name, what = row["name"], "its turn has made no progress" if row["state"] in IN_TURN else "it takes no message"
    note = f"{what} for {span(now - since)}"
    with last_seen.showing(hive, name) as db:
        agent = table.find(db, name)
        # Whatever it has said meanwhile, it moves.
        if agent is not None and agent["moved"] == row["moved"] and agent["stuck_at"] is None:
            harness_state.record_stuck(db, name, since)
            tell(hive, db, "stuck", name, since=int(since), note=note)


def _forget(hive: Hive, names: list[str]) -> None:
    if names:
        with hive.store.write() as db:
            for name in names:
                harness_state.record_moved(db, name, None)


def _seen(hive: Hive, row: sqlite3.Row) -> Moved | None:
    """What can be seen of a turn now; None of one whose container has ended."""
    name = row["name"]
    container, activity = hive.host.container(name), hive.host.activity(name)
    if container is None or container.instance is None or activity is None:
        return None
    return Moved(
        at=hive.clock(),
        run=container.instance,
        turn=row["status_set_at"] or 0.0,
        written=_written(hive, name),
        cpu=activity.cpu,
        processes=sorted(activity.processes),
    )


def _written(hive: Hive, name: str) -> float:
    """When the record of an agent's turns was last written to. The agent may have put anything in its place."""
    found = 0.0
    for end in ("", "-wal"):
        with suppress(OSError):
            found = max(found, (hive.agent_path(name) / "state" / f"events.sqlite{end}").lstat().st_mtime)
    return found


def _known(text: str | None) -> Moved | None:
    return None if text is None else Moved(**json.loads(text))
