"""Operations in progress, and repairs: a row that ends with its block, and whatever is left is somebody's to mend."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hive_core import progress, repairs
from hive_core.changes import InProgress, Task, gone_on_with
from hive_core.context import Hive
from hive_core.errors import BuildFailed, Refused
from hive_core.events import since
from hive_core.locks import Busy
from hive_core.process import Owner
from hive_core.repairs import FIRST_PAUSE, LONGEST_PAUSE
from hive_core.steps import FAILED
from hive_fleet.agents import desired, table
from hive_fleet.changes import running
from hive_fleet.changes.running import RESTARTING, RESTING
from tests.hives import TestHive, at_work

pytestmark = pytest.mark.remembered


@pytest.fixture
def inside(hive: TestHive) -> Hive:
    """An agent that is a row alone, at a time that only the test moves."""
    made = hive.inside()
    with made.store.write() as db:
        table.add(db, "coder", uid=None, desired=desired.STOPPED, created_at=1.0)
    made.clock = lambda: 1000.0
    return made


def told(hive: Hive) -> list[str]:
    wanted = ("transient_set", "operation_step", "transient_cleared", "recovered", "repair_failed")
    with hive.store.read() as db:
        return [_brief(event.kind, event.data) for event in since(db, 0) if event.kind in wanted]


def _brief(kind: str, data: dict[str, Any]) -> str:
    return f"{data['step']} {data['state']}" if kind == "operation_step" else kind


def left(hive: Hive, owner: Owner | None = None) -> progress.InProgress | None:
    with hive.store.write() as db:
        if owner is not None:
            db.execute("update operations set owner = ?", (owner.to_json(),))
        return progress.all_in_progress(db).get("coder")


GONE = Owner(1, 1, "another boot")


def test_an_operation_shows_its_steps_and_ends_with_its_block(inside: Hive) -> None:
    with at_work(inside, "coder", RESTARTING, note="why"):
        row = left(inside)
        assert row is not None
        assert (row.kind, row.detail, row.since) == ("restarting", {"note": "why"}, 1000.0)
        assert row.step is not None
        assert row.step.step == "stopping"
        progress.reach(inside, "coder", "starting")
        progress.reach(inside, "coder", "no step of this one")
    assert left(inside) is None
    assert told(inside) == [
        "transient_set", "stopping doing", "stopping done", "starting doing", "starting done", "transient_cleared",
    ]  # fmt: skip


class Tasks:
    """Tasks that note down that they were done, and with what plan; one may fail."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.raises: dict[str, Exception] = {}

    def task(self, step: str | None, called: str, *, needed: bool = True) -> Task:
        return Task(step, partial(self._do, called), None if needed else lambda _hive, _doing: False)

    def _do(self, called: str, _hive: Hive, doing: InProgress) -> None:
        self.done.append((called, doing.detail))
        if called in self.raises:
            raise self.raises[called]

    def blame(self, _hive: Hive, doing: InProgress, error: BuildFailed) -> None:
        self.done.append(("blame", doing.detail, str(error)))

    def recover(self, hive: Hive, left: InProgress) -> str:
        self.done.append(("recover", left.detail))
        return gone_on_with("finished")(hive, left)


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> Tasks:
    """What a change of four tasks does, that is found as RESTARTING."""
    made = Tasks()
    parts = (made.task("stopping", "one"), made.task(None, "two"), made.task("idling", "three", needed=False),
             made.task("starting", "four"))  # fmt: skip
    change = RESTARTING._replace(tasks=parts, recover=made.recover, blame=made.blame)
    monkeypatch.setattr(running, "RESTARTING", change)
    return made


def test_a_change_is_carried_out_task_by_task_and_each_step_is_shown(inside: Hive, tasks: Tasks) -> None:
    with inside.lock("coder", "a test"):
        progress.carry_out(inside, "coder", running.RESTARTING, {"grace": 1})
    assert tasks.done == [("one", {"grace": 1}), ("two", {"grace": 1}), ("four", {"grace": 1})]
    assert told(inside) == [
        "transient_set", "stopping doing", "stopping done", "idling skipped", "starting doing", "starting done",
        "transient_cleared",
    ]  # fmt: skip


def test_what_a_task_fails_with_is_raised_after_each_task_was_done_again(inside: Hive, tasks: Tasks) -> None:
    tasks.raises["two"] = Refused("No.")

    def fail_once(hive: Hive, left: InProgress) -> str:
        del tasks.raises["two"]
        return tasks.recover(hive, left)

    running.RESTARTING = running.RESTARTING._replace(recover=fail_once)
    with inside.lock("coder", "a test"), pytest.raises(Refused, match="No"):
        progress.carry_out(inside, "coder", running.RESTARTING)
    assert [called for called, *_ in tasks.done] == ["one", "two", "recover", "one", "two", "four"]
    assert told(inside) == ["transient_set", "stopping doing", "stopping failed", "transient_cleared"]


def test_that_a_configuration_is_at_fault_is_written_down_before_that_is_mended(inside: Hive, tasks: Tasks) -> None:
    tasks.raises["four"] = BuildFailed("It is broken.")
    with inside.lock("coder", "a test"), pytest.raises(BuildFailed):
        progress.carry_out(inside, "coder", running.RESTARTING)
    assert [called for called, *_ in tasks.done][:5] == ["one", "two", "four", "blame", "recover"]
    assert tasks.done[3] == ("blame", {}, "It is broken.")


def test_one_that_fails_is_mended_at_once_and_what_it_failed_with_is_raised(inside: Hive) -> None:
    with pytest.raises(KeyError), at_work(inside, "coder", RESTING):
        raise KeyError
    assert left(inside) is None
    assert told(inside) == ["transient_set", "transient_cleared"]


def test_an_interrupt_says_what_has_become_of_it(inside: Hive, said: list[str]) -> None:
    with pytest.raises(KeyboardInterrupt), at_work(inside, "coder", RESTING):
        raise KeyboardInterrupt
    assert said == ["interrupted while stopping coder: cleared"]


def test_who_asks_others_to_hurry_is_heard_by_who_is_at_work(inside: Hive) -> None:
    progress.hurry(inside, "coder")
    with at_work(inside, "coder", RESTING):
        with inside.store.read() as db:
            assert not progress.is_hurried(db, "coder")
        progress.hurry(inside, "coder")
        with inside.store.read() as db:
            assert progress.is_hurried(db, "coder")


def test_what_a_dead_owner_left_is_mended_by_who_comes_next_and_told(inside: Hive, said: list[str]) -> None:
    progress.begin(inside, "coder", RESTING, {})
    left(inside, GONE)
    with progress.held(inside, "coder", "a test"):
        assert left(inside) is None
    assert said == ["mending coder: the process that was stopping it has died"]
    assert told(inside) == ["transient_set", "transient_cleared", "recovered"]


def test_what_somebody_is_at_work_on_is_left_to_them(inside: Hive) -> None:
    with inside.lock("coder", "a test"):
        progress.begin(inside, "coder", RESTING, {})
        progress.mend_all(inside)
        assert left(inside) is not None
        # Whoever cannot wait is told who holds it.
        with pytest.raises(Busy), progress.held_first(inside, "coder", "a kill"):
            raise AssertionError("it is held")
    progress.mend_all(inside)
    assert left(inside) is None


def unmendable(hive: Hive) -> None:
    """What nobody here can mend: a change of a later hive."""
    progress.begin(hive, "coder", RESTING, {})
    left(hive, GONE)
    with hive.store.write() as db:
        db.execute("update operations set change = 'hive_fleet.changes.later:LATER'")


def test_what_cannot_be_mended_keeps_the_agent_from_being_changed_and_not_from_being_ended(inside: Hive) -> None:
    unmendable(inside)
    why = "What was left half-done of coder could not be mended: This hive knows no"
    with pytest.raises(Refused, match=why) as no, progress.held(inside, "coder", "a test"):
        raise AssertionError("it is not whole")
    assert "`hive kill coder`" in (no.value.hint or "")
    with progress.held_anyway(inside, "coder", "a destroy") as row:
        assert row is not None
        assert row.step is None or row.step.state == FAILED
    with progress.held_first(inside, "coder", "a kill") as row:
        assert row is not None
    progress.forget(inside, "coder")
    assert left(inside) is None
    with progress.held(inside, "coder", "a test"):
        pass


def test_a_repair_that_fails_is_told_once_and_tried_when_it_is_due(inside: Hive, said: list[str]) -> None:
    unmendable(inside)
    for at in (1000.0, 1000.0 + FIRST_PAUSE - 1, 1000.0 + FIRST_PAUSE):
        inside.clock = lambda at=at: at  # type: ignore[misc]
        progress.mend_all(inside)
    with inside.store.read() as db:
        (failed,) = repairs.by_agent(inside, db)["coder"]
    assert (failed.tries, failed.since, failed.tried_at) == (2, 1000.0, 1000.0 + FIRST_PAUSE)
    assert len([line for line in said if line.startswith("warning: what was left half-done of coder")]) == 1
    assert told(inside).count("repair_failed") == 1


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Refused("No.", "Do this."), "No."),
        (OSError(28, "No space left on device", "/x"), "/x: No space left on device."),
        (OSError(5, "Odd", None), "Odd"),
        (OSError(13, "Permission denied", "/x"), "/x: Permission denied."),
        (ValueError("a bug"), "ValueError: a bug (test_progress.py, line "),
    ],
)
def test_whatever_a_repair_fails_with_is_its_reason(inside: Hive, error: Exception, said: str) -> None:
    def mend() -> None:
        raise error

    failed = repairs.attempt(inside, "x/1", "coder", mend)
    assert failed is not None
    assert said in failed.error
    # In the end nobody waits longer than that for the next try.
    for _ in range(12):
        failed = repairs.attempt(inside, "x/1", "coder", mend)
    assert failed is not None
    assert failed.due_at == 1000.0 + LONGEST_PAUSE


def test_that_somebody_else_is_at_it_is_no_failure(inside: Hive) -> None:
    def mend() -> None:
        raise Busy("coder", "process 1, a test")

    with pytest.raises(Busy):
        repairs.attempt(inside, "x/1", "coder", mend)
    with inside.store.read() as db:
        assert repairs.all_failed(inside, db) == {}


def test_where_the_database_takes_nothing_this_process_alone_remembers(inside: Hive, said: list[str]) -> None:
    def mend() -> None:
        raise Refused("No.")

    inside.store.close()
    kept = inside.settings.database.with_name("kept")
    inside.settings.database.rename(kept)
    for path in inside.settings.home.glob("hive.db-*"):
        path.unlink()
    inside.settings.database.write_bytes(b"nonsense " * 1000)
    for _ in range(2):
        repairs.attempt(inside, "x/1", "coder", mend)
    assert [failed.tries for failed in inside.unwritten.values()] == [2]
    assert len(said) == 1
    inside.settings.database.unlink()
    kept.rename(inside.settings.database)
    repairs.attempt(inside, "x/1", "coder", mend)
    assert inside.unwritten == {}
    with inside.store.write() as db:
        assert repairs.all_failed(inside, db)["x/1"].tries == 3
        assert repairs.done(inside, db, "x/1")
        assert not repairs.done(inside, db, "x/1")


def test_a_change_that_nobody_would_find_is_a_bug(inside: Hive, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="nobody would find the change"):
        progress.begin(inside, "coder", RESTING._replace(kind="other"), {})
