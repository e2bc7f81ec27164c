"""Operations in progress: carried out task by task, shown for as long, and mended when their owner was killed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from hive_core import repairs, steps
from hive_core.caller import THE_OPERATOR
from hive_core.changes import Change, InProgress, Recorder, find
from hive_core.context import Hive
from hive_core.errors import BuildFailed, Refused
from hive_core.events import emit
from hive_core.failed_repair import FailedRepair
from hive_core.locks import Busy
from hive_core.process import Owner
from hive_core.steps import Step, Steps, to_json


@contextmanager
def held(hive: Hive, agent: str, purpose: str) -> Iterator[None]:
    """Hold the agent's lock, with what a dead operation left on it mended. Raises Refused when that fails."""
    with hive.lock(agent, purpose):
        failed = _attempt(hive, agent)
        if failed is not None:
            raise Refused(
                f"What was left half-done of {agent} could not be mended: {failed.error}",
                f"Every command on it tries again; `hive kill {agent}` and `hive destroy {agent}` go on all the same.",
            )
        yield


@contextmanager
def held_anyway(hive: Hive, agent: str, purpose: str) -> Iterator[InProgress | None]:
    """As `held`, for what needs no whole agent: the block is given what could not be mended, or None."""
    with hive.lock(agent, purpose):
        _attempt(hive, agent)
        yield _row(hive, agent)


@contextmanager
def held_first(hive: Hive, agent: str, purpose: str) -> Iterator[InProgress | None]:
    """Hold the agent's lock for what cannot wait: the block is given what was left half-done, which is mended after it.

    Raises Busy when somebody else holds it.
    """
    with hive.lock(agent, purpose, wait=False):
        yield _row(hive, agent)
        _attempt(hive, agent)


def carry_out(hive: Hive, agent: str, change: Change, plan: dict[str, Any] | None = None) -> None:
    """Carry out a change, task by task, and show each step as it begins. The caller holds the agent's lock.

    plan: what its tasks and its recovery go by. Raises what a task fails with, once that is mended.
    """
    with recorded(hive, agent, change, plan) as doing:
        try:
            for task in change.needed(hive, doing):
                if task.step is not None:
                    reach(hive, agent, task.step)
                task.work(hive, doing)
        except BuildFailed as error:
            if change.blame is not None:
                change.blame(hive, doing, error)
            raise


@contextmanager
def recorded(hive: Hive, agent: str, change: Change, plan: dict[str, Any] | None = None) -> Iterator[InProgress]:
    """Show the operation for as long as the block runs. The caller holds the agent's lock.

    It is mended at once when the block raises, and by another process when this one dies. When mending fails too, or
    the end cannot be written, the row stays, and whoever comes next tries again.
    """
    doing = begin(hive, agent, change, plan or {})
    try:
        yield doing
    except BaseException as error:
        outcomes: list[str] = []
        failed = repairs.attempt(hive, repair_of(agent), agent, lambda: outcomes.append(_recover(hive, agent)))
        if isinstance(error, KeyboardInterrupt):
            outcome = f"could not be undone: {failed.error}" if failed else outcomes[0]
            hive.say(f"interrupted while {change.kind} {agent}: {outcome}")
        raise
    clear(hive, agent)


def begin(hive: Hive, agent: str, change: Change, plan: dict[str, Any]) -> InProgress:
    """Record the operation as this process's."""
    if find(change.address) is not change:
        raise AssertionError(f"nobody would find the change {change.address} by its address")
    now, owner = hive.clock(), Owner.current()
    first = steps.planned(change.steps, now)
    with hive.store.write() as db:
        db.execute(
            "insert into operations (agent, kind, since, owner, change, detail, steps) values (?, ?, ?, ?, ?, ?, ?)",
            (agent, change.kind, now, owner.to_json(), change.address, json.dumps(plan), to_json(first)),
        )
        told = [step.told() for step in first]
        emit(db, "transient_set", name=agent, transient_kind=change.kind, since_unix=int(now), steps=told)
        _tell(db, agent, change.kind, first[:1])
    return InProgress(agent, change.kind, now, owner, change.address, plan, first)


def reach(hive: Hive, agent: str, step: str) -> None:
    """Show that the operation on this agent has come to a step, if it was not there before.

    While what was cut off is mended, the step that it was cut off at stays to be seen.
    """
    _turn(hive, agent, lambda before: steps.reached(before, step, hive.clock()))


def _turn(hive: Hive, agent: str, turn: Callable[[Steps], Steps]) -> None:
    """Have the steps of the operation on this agent be others, and tell of each that changes."""
    with hive.store.read() as db:
        row = all_in_progress(db).get(agent)
    if row is None or turn(row.steps) == row.steps:
        return
    with hive.store.write() as db:
        now = turn(row.steps)
        db.execute("update operations set steps = ? where agent = ?", (to_json(now), agent))
        _tell(db, agent, row.kind, steps.news(row.steps, now))


def _tell(db: sqlite3.Connection, agent: str, kind: str, changed: Iterable[Step]) -> None:
    for one in changed:
        emit(db, "operation_step", name=agent, transient_kind=kind, **one.told())


def ending(hive: Hive, agent: str) -> Recorder:
    """Look at what an operation has made of its agent, and return what ends it in the caller's last transaction.

    Its result is recorded with its end: whoever watches sees either the operation or its result, and takes neither
    for a crash. Nothing happens when it has ended already. The caller holds the agent, so that what was seen holds.
    """
    row = _row(hive, agent)
    record = None if row is None else find(row.change).end(hive, agent)

    def end(db: sqlite3.Connection) -> None:
        repairs.done(hive, db, repair_of(agent))
        left = all_in_progress(db).get(agent)
        if left is not None:
            db.execute("delete from operations where agent = ?", (agent,))
            _tell(db, agent, left.kind, steps.news(left.steps, steps.ended(left.steps, hive.clock())))
            emit(db, "transient_cleared", name=agent)
            if record is not None:
                record(db)

    return end


@contextmanager
def concluding(hive: Hive, agent: str) -> Iterator[sqlite3.Connection]:
    """The transaction that ends the operation on this agent; what the block writes is its result."""
    end = ending(hive, agent)
    with hive.store.write() as db:
        yield db
        end(db)


def clear(hive: Hive, agent: str) -> None:
    """End the operation in a transaction of its own; nothing happens when it has ended already."""
    if _row(hive, agent) is not None:
        with concluding(hive, agent):
            pass


def hurry(hive: Hive, agent: str) -> None:
    """Ask whoever is at work on the agent to wait for nothing more that need not be: somebody else has to get at it."""
    try:
        if _row(hive, agent) is not None:
            with hive.store.write() as db:
                db.execute("update operations set detail = json_set(detail, '$.hurry', 1) where agent = ?", (agent,))
    except (OSError, sqlite3.OperationalError) as error:
        # On a full disk nobody can be asked; the lock is waited for all the same.
        hive.say(f"note: whoever is at work on {agent} could not be told to hurry: {error}")


def is_hurried(db: sqlite3.Connection, agent: str) -> bool:
    """Whether somebody waits for the operation on this agent to end."""
    query = "select 1 from operations where agent = ? and json_extract(detail, '$.hurry')"
    return db.execute(query, (agent,)).fetchone() is not None


def forget_all(db: sqlite3.Connection) -> None:
    """Forget every operation, in the transaction of whoever brings all that they were about in order."""
    db.execute("delete from operations")


def all_in_progress(db: sqlite3.Connection) -> dict[str, InProgress]:
    """Every operation in progress, by agent; also those whose owner has died since."""
    return {row["agent"]: InProgress.from_row(row) for row in db.execute("select * from operations")}


def repair_of(agent: str) -> str:
    """What the repair of an operation on this agent is kept as."""
    return f"operation/{agent}"


def forget(hive: Hive, agent: str) -> None:
    """Give up what could not be mended: the agent is going to be removed. The caller holds its lock."""
    with hive.store.write() as db:
        repairs.done(hive, db, repair_of(agent))
        if db.execute("delete from operations where agent = ?", (agent,)).rowcount:
            emit(db, "transient_cleared", name=agent)


def mend_all(hive: Hive) -> None:
    """Finish or undo whatever dead processes left; what another process is mending already is left to it.

    What cannot be mended now is kept for a later try: it is no reason to refuse anything else.
    """
    with hive.store.read() as db:
        rows = all_in_progress(db)
        failed = repairs.all_failed(hive, db) if rows else {}
    for agent, row in rows.items():
        before = failed.get(repair_of(agent))
        if not is_left(hive, row) or (before is not None and before.due_at > hive.clock()):
            continue
        try:
            repairs.attempt(hive, repair_of(agent), agent, partial(_mend_unless_busy, hive, agent))
        except Busy:
            continue


def is_left(hive: Hive, row: InProgress) -> bool:
    """Whether nobody is at work on this any more: its owner is dead, or has let go of the agent without ending it.

    The latter is what a disk that is full at the end leaves, in a process that lives on.
    """
    return not row.owner.alive() or hive.locked_by(row.agent) is None


def _mend_unless_busy(hive: Hive, agent: str) -> None:
    with hive.lock(agent, "recovery", wait=False):
        _mend(hive, agent)


def _attempt(hive: Hive, agent: str) -> FailedRepair | None:
    return repairs.attempt(hive, repair_of(agent), agent, partial(_mend, hive, agent))


def _row(hive: Hive, agent: str) -> InProgress | None:
    with hive.store.read() as db:
        return all_in_progress(db).get(agent)


def _mend(hive: Hive, agent: str) -> None:
    """Mend what a dead owner left. The caller holds the agent's lock, so a row that is there is a leftover."""
    row = _row(hive, agent)
    if row is not None:
        found = row.step.step if row.step else None
        hive.say(f"mending {agent}: the process that was {row.kind} it has died{f' while {found}' if found else ''}")
        # Whoever comes by did not begin it: it is told as news to everybody.
        outcome = _recover(hive.acting_as(THE_OPERATOR, hive.say), agent)
        with hive.store.write() as db:
            emit(db, "recovered", name=agent, transient_kind=row.kind, outcome=outcome, step=found)


def _recover(hive: Hive, agent: str) -> str:
    """Run the recovery of the operation on this agent, if it is still there, and end it."""
    row = _row(hive, agent)
    if row is None:
        return "done"
    recover = find(row.change).recover
    _turn(hive, agent, lambda before: steps.cut_off(before, hive.clock()))
    outcome = "cleared" if recover is None else recover(hive, row)
    clear(hive, agent)
    return outcome
