"""When an agent is restarted after a crash, and when no more."""

from __future__ import annotations

from hive_fleet.agents import restarts
from hive_fleet.agents.ends import RunEnd
from tests.hives import TestHive


def test_an_end_after_which_no_restart_is_wanted_is_no_crash_of_a_row(hive: TestHive) -> None:
    hive.spawn("coder", 'runner = "command"\ncommand = ["true"]\nrestart = "on-failure"\n')
    inside = hive.inside()
    with inside.store.write() as db:
        db.execute("update agents set crashes = ?, crashed_at = ?", (restarts.LOOP - 1, inside.clock()))
        end = RunEnd("exit", "exit code 0", 0, 0.5)
        outlook = restarts.note(inside, db, "coder", end)
    assert (outlook.at, outlook.loop, outlook.row) == (None, False, [])


def test_waits_grow_up_to_the_longest() -> None:
    waits = [restarts.delay(crashes) for crashes in range(1, 12)]
    assert waits[:3] == [1.0, 2.0, 4.0]
    assert waits == sorted(waits)
    assert waits[restarts.LOOP - 1 : restarts.LOOP + 1] == [3600.0, 7200.0]
    assert restarts.delay(99) == restarts.LOOP_LONGEST
