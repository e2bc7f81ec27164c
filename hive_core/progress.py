"""Operations in progress: a row that a context manager clears, and what is done when its owner was killed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_core.events import emit
from hive_core.locks import Busy
from hive_core.process import Owner


@dataclass(frozen=True, slots=True)
class InProgress:
    """One operation in progress. since: unix seconds. detail: what its recovery needs to know."""

    agent: str
    kind: str
    since: float
    owner: Owner
    recovery: str | None
    detail: dict[str, Any]


# What mends an operation that died half-way: takes the row, ends in all-new or all-old, says which.
# It may be killed itself and is then run again, so it looks at what is, never at how far it came.
Recovery = Callable[[Hive, InProgress], str]
_RECOVERIES: dict[str, Recovery] = {}
# What declares those that are not declared yet: a command imports its own concern alone.
_LOADERS: list[Callable[[], object]] = []


def recovery(name: str) -> Callable[[Recovery], Recovery]:
    """Declare the function below as what mends operations whose `recovery` is `name`."""

    def declare(function: Recovery) -> Recovery:
        _RECOVERIES[name] = function
        return function

    return declare


def declared_by(load: Callable[[], object]) -> None:
    """Have `load` called when a recovery is needed that is not declared yet: it is to import all that declare any."""
    _LOADERS.append(load)


# What else becomes true in the transaction that ends an operation; see `at_the_end`.
Ending = Callable[[Hive, sqlite3.Connection, str], None]
_ENDINGS: list[Ending] = []


def at_the_end(function: Ending) -> Ending:
    """Declare the function below as part of every operation's end, in its transaction."""
    _ENDINGS.append(function)
    return function


@contextmanager
def held(hive: Hive, agent: str, purpose: str) -> Iterator[None]:
    """Hold the agent's lock, with what a dead operation left on it mended."""
    with hive.lock(agent, purpose):
        _mend(hive, agent)
        yield


@contextmanager
def held_anyway(hive: Hive, agent: str, purpose: str) -> Iterator[None]:
    """As `held`, for what removes the agent: a leftover that cannot be mended (its repository is gone) is forgotten."""
    with hive.lock(agent, purpose):
        try:
            _mend(hive, agent)
        except HiveError as error:
            hive.say(f"warning: {error}")
            with hive.store.write() as db:
                db.execute("delete from operations where agent = ?", (agent,))
                emit(db, "transient_cleared", name=agent)
        yield


@contextmanager
def recorded(
    hive: Hive, agent: str, kind: str, *, recovery: str | None = None, detail: dict[str, Any] | None = None
) -> Iterator[None]:
    """Show the operation for as long as the block runs. The caller holds the agent's lock.

    kind: spawning, starting, stopping, restarting, rebuilding or destroying. recovery: what mends it, run at
    once when the block raises, and by another process when this one dies. When mending fails too, the row
    stays, and whoever comes next tries again.
    """
    begin(hive, agent, kind, recovery, detail or {})
    try:
        yield
    except BaseException as error:
        outcome = _recover(hive, agent)
        if isinstance(error, KeyboardInterrupt):
            hive.say(f"interrupted while {kind} {agent}: {outcome}")
        raise
    with hive.store.write() as db:
        clear(hive, db, agent)


@contextmanager
def exclusive(hive: Hive, agent: str, kind: str, *, recovery: str | None = None, **detail: Any) -> Iterator[None]:
    """Be the one operation on this agent: `held` and `recorded` in one."""
    with held(hive, agent, kind), recorded(hive, agent, kind, recovery=recovery, detail=detail):
        yield


def begin(hive: Hive, agent: str, kind: str, recovery: str | None, detail: dict[str, Any]) -> None:
    """Record the operation as this process's."""
    now = hive.clock()
    with hive.store.write() as db:
        db.execute(
            "insert into operations values (?, ?, ?, ?, ?, ?)",
            (agent, kind, now, Owner.current().to_json(), recovery, json.dumps(detail)),
        )
        emit(db, "transient_set", name=agent, transient_kind=kind, since_unix=int(now))


def clear(hive: Hive, db: sqlite3.Connection, agent: str) -> None:
    """End the operation in the caller's transaction; nothing happens when it has ended already.

    Its result is recorded with it: whoever watches sees either the operation or its result, and takes
    neither for a crash.
    """
    if db.execute("delete from operations where agent = ?", (agent,)).rowcount:
        emit(db, "transient_cleared", name=agent)
        for ending in _ENDINGS:
            ending(hive, db, agent)


def all_in_progress(db: sqlite3.Connection) -> dict[str, InProgress]:
    """Every operation in progress, by agent; also those whose owner has died since."""
    return {row["agent"]: _from_row(row) for row in db.execute("select * from operations")}


def unsettled(hive: Hive) -> bool:
    """Whether a dead process left something half-done: an operation, or a denial without its tag."""
    with hive.store.read() as db:
        owners = [Owner.from_json(row["owner"]) for row in db.execute("select owner from operations")]
        untagged = db.execute("select 1 from approvals where not tagged limit 1").fetchone()
    return untagged is not None or not all(owner.alive() for owner in owners)


def settle(hive: Hive) -> None:
    """Finish or undo whatever dead processes left; what another process is mending already is left to it.

    What cannot be mended now is told and left for the next try: it is no reason to refuse anything else.
    """
    with hive.store.read() as db:
        rows = all_in_progress(db)
    for agent, row in rows.items():
        if row.owner.alive():
            continue
        try:
            with hive.lock(agent, "recovery", wait=False):
                _mend(hive, agent)
        except Busy:
            continue
        except HiveError as error:
            # One agent that cannot be mended must not keep the others from being watched.
            hive.say(f"warning: what was left of {row.kind} {agent} could not be mended: {error}")


def _mend(hive: Hive, agent: str) -> None:
    """Mend what a dead owner left. The caller holds the agent's lock, so a row that is there is a leftover."""
    with hive.store.read() as db:
        row = all_in_progress(db).get(agent)
    if row is not None:
        hive.say(f"mending {agent}: the process that was {row.kind} it has died")
        outcome = _recover(hive, agent)
        with hive.store.write() as db:
            emit(db, "recovered", name=agent, transient_kind=row.kind, outcome=outcome)


def _recover(hive: Hive, agent: str) -> str:
    """Run the recovery of the operation on this agent, if it is still there, and end it."""
    with hive.store.read() as db:
        row = all_in_progress(db).get(agent)
    if row is None:
        return "done"
    outcome = _find(row.recovery)(hive, row) if row.recovery else "cleared"
    with hive.store.write() as db:
        clear(hive, db, agent)
    return outcome


def _find(name: str) -> Recovery:
    if name not in _RECOVERIES:
        for load in _LOADERS:
            load()
    return _RECOVERIES[name]


def _from_row(row: sqlite3.Row) -> InProgress:
    return InProgress(
        row["agent"],
        row["kind"],
        row["since"],
        Owner.from_json(row["owner"]),
        row["recovery"],
        json.loads(row["detail"]),
    )
