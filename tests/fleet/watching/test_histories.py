"""Histories of agents, as tables: what a row of looks concludes, and when each of a row of crashes is restarted.

The clock is a number here; nothing is waited for.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from itertools import pairwise

import pytest

from hive_core.containers.base import Ended
from hive_fleet.agents import restarts, table
from hive_fleet.agents.ends import RunEnd, end_of, restarted_outside
from hive_fleet.agents.last_seen import Seen
from hive_fleet.watching.transitions import transitions
from tests.hives import TestHive

KILLED = RunEnd("signal", "SIGKILL", 137, 5.0)
UP = Seen(running=True, instance="1", logged_in=True, up_to_date=True, end=restarted_outside(0.0, 5.0))
AGAIN, THIRD = replace(UP, instance="2"), replace(UP, instance="3")
DOWN = replace(UP, running=False, instance=None, end=KILLED)
STOPPED = replace(DOWN, wanted=False)
AT_IT = replace(DOWN, busy=True)
REBUILT = replace(AGAIN, busy=True)
LOGGED_OUT, STALE = replace(UP, logged_in=False), replace(UP, up_to_date=False)
OUT_OF_MEMORY = replace(DOWN, end=RunEnd("out_of_memory", "out of memory", 137, 5.0))
REBOOTED = replace(DOWN, end=RunEnd("machine_down", "the machine went down", None, None))
GONE = replace(DOWN, end=None)

HISTORIES = {
    "nothing": ([UP, UP, UP], []),
    "a crash is told once, however often it is looked at": ([UP, DOWN, DOWN, DOWN], ["signal"]),
    "a crash, a start, and a crash": ([UP, DOWN, AGAIN, DOWN], ["signal", "signal"]),
    "a stop": ([UP, STOPPED, STOPPED], []),
    "a stop that an operation is at, seen midway": ([UP, AT_IT, STOPPED], []),
    "a restart, seen midway": ([UP, AT_IT, AGAIN], []),
    "a rebuild, seen midway and at its end": ([UP, AT_IT, REBUILT, AGAIN, AGAIN], []),
    "a restart that was too fast to be seen midway": ([UP, REBUILT, AGAIN], []),
    "a crash right after a restart": ([UP, REBUILT, DOWN], ["signal"]),
    "a restart outside hive, and another": ([UP, AGAIN, THIRD, THIRD], ["restarted_outside", "restarted_outside"]),
    "one that was never seen up": ([DOWN, DOWN, UP, UP], []),
    "out of memory": ([UP, OUT_OF_MEMORY], ["out_of_memory"]),
    "the machine": ([UP, REBOOTED, AGAIN], ["machine_down"]),
    "a container that is taken away": ([UP, GONE, GONE], ["gone"]),
    "a login that is lost and comes back": ([UP, LOGGED_OUT, LOGGED_OUT, UP, UP], ["needs_login", "logged_in"]),
    "a newer hive, and the update to it": ([UP, STALE, STALE, REBUILT, AGAIN], ["needs_update"]),
    "a crash of one that has just lost its login": (
        [UP, LOGGED_OUT, replace(DOWN, logged_in=False)],
        ["needs_login", "signal"],
    ),
}


@pytest.mark.parametrize("history", HISTORIES)
def test_what_a_row_of_looks_concludes(history: str) -> None:
    looks, told = HISTORIES[history]
    found = []
    for before, now in pairwise(looks):
        verdicts = transitions({"coder": before}, {"coder": now})
        found += [verdict.fields.get("reason", verdict.kind) for verdict in verdicts]
    assert found == told


ENDS = [
    (Ended(3, False, 10.0), None, ("exit", "exit code 3")),
    (Ended(0, False, 10.0), "rate_limited", ("exit", "exit code 0")),
    (Ended(1, False, 10.0), "rate_limited", ("usage_limit", "exit code 1, at its usage limit")),
    (Ended(1, False, 10.0), "needs_login", ("lost_login", "exit code 1, without a login")),
    (Ended(1, False, 10.0), "key_refused", ("lost_login", "exit code 1, its key was refused")),
    (Ended(1, False, 10.0), "account_trouble", ("account_trouble", "exit code 1, its account is in trouble")),
    (Ended(1, False, 10.0), "thinking", ("exit", "exit code 1")),
    (Ended(137, False, 10.0), "rate_limited", ("signal", "SIGKILL")),
    (Ended(139, False, 10.0), None, ("signal", "SIGSEGV")),
    (Ended(137, True, 10.0), "needs_login", ("out_of_memory", "out of memory")),
    (Ended(255, False, 10.0), None, ("exit", "exit code 255")),
    (Ended(None, False, 4.0), None, ("supervisor_killed", "its supervisor was killed")),
    (Ended(None, False, 4.0, machine_down=True), None, ("machine_down", "the machine went down")),
]


@pytest.mark.parametrize(("ended", "said", "told"), ENDS)
def test_the_cause_of_an_end(ended: Ended, said: str | None, told: tuple[str, str]) -> None:
    end = end_of(ended, said, 4.0, 20.0)
    assert (end.reason, end.cause) == told
    assert end.ran == (6.0 if ended.code is not None else 16.0)


def crashed(ran: float, code: int | None = 1, reason: str = "exit") -> RunEnd:
    return RunEnd(reason, f"code {code}", code, ran)


# The policy, then of each crash: how it ended, and after how many seconds it is to be restarted (None: not at all).
ROWS: dict[str, tuple[str, list[tuple[RunEnd, float | None]]]] = {
    "never": ("never", [(crashed(5), None), (crashed(5), None)]),
    "ever later": ("always", [(crashed(5), 1.0), (crashed(5), 2.0), (crashed(5), 4.0), (crashed(5), 8.0)]),
    "a long run begins a new row": ("always", [(crashed(5), 1.0), (crashed(5), 2.0), (crashed(601), 1.0)]),
    "a wait is no long run": ("always", [(crashed(599), 1.0), (crashed(599), 2.0), (crashed(599), 4.0)]),
    "work that is done": ("on-failure", [(crashed(5), 1.0), (crashed(5, 0), None), (crashed(5), 1.0)]),
    "the machine is nobody's crash": (
        "always",
        [(crashed(5), 1.0), (crashed(5, None, "machine_down"), 1.0), (crashed(5), 2.0)],
    ),
    "a loop, whose tries decay": (
        "always",
        [
            *[(crashed(1), restarts.delay(number)) for number in range(1, 8)],
            (crashed(1), 3600.0),
            (crashed(1), 7200.0),
            (crashed(1), 14400.0),
            (crashed(3600), 1.0),
        ],
    ),
}


@pytest.fixture
def known(hive: TestHive) -> TestHive:
    """A hive that knows an agent, which has no container."""
    inside = hive.inside()
    with closing(inside.store), inside.store.write() as db:
        table.add(db, "coder", uid=None, desired="running", created_at=0.0)
    return hive


@pytest.mark.remembered
@pytest.mark.parametrize("row", ROWS)
def test_when_each_of_a_row_of_crashes_is_restarted(known: TestHive, row: str) -> None:
    policy, crashes = ROWS[row]
    inside, now = known.inside(), 1_000_000.0
    inside.clock = lambda: now
    found: list[float | None] = []
    with closing(inside.store), inside.store.write() as db:
        db.execute("update agents set restart = ?", (policy,))
        for end, _ in crashes:
            outlook = restarts.note(inside, db, "coder", end)
            found.append(None if outlook.at is None else outlook.at - now)
            now = (outlook.at or now) + (end.ran or 0.0)
    assert found == [seconds for _, seconds in crashes]


@pytest.mark.remembered
def test_how_often_it_crashed_lately_is_told_of_an_hour_and_kept_of_a_day(known: TestHive) -> None:
    inside, now = known.inside(), 1_000_000.0
    inside.clock = lambda: now
    with closing(inside.store), inside.store.write() as db:
        lately = []
        for minutes in (0, 10, 30, 91, 24 * 60 + 31):
            now = 1_000_000.0 + 60 * minutes
            lately.append(restarts.note(inside, db, "coder", crashed(5)).lately)
        kept = restarts.remembered(table.one(db, "coder"), now)
    assert lately == [1, 2, 3, 1, 1]
    assert [crash.at for crash in kept] == [1_000_000.0 + 91 * 60, now]
    assert restarts.explained([*kept, restarts.Crash(now, "out of memory")]) == (
        "3 crashes in 23 h: 2 x code 1, out of memory"
    )
