"""A turn that makes no progress is told apart from one that works, and from an agent that waits; the clock is a number."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing

import pytest

from hive_cmds.harness import set_status
from hive_core.caller import Identity, Role
from hive_core.containers.memory import MemoryHost
from hive_core.context import Hive
from hive_fleet.agents.view import view_of
from hive_fleet.watching import stuck_turns
from tests.hives import PLAIN, TestHive

pytestmark = pytest.mark.remembered
MINUTE = 60.0


class Turn:
    """An agent in a turn, looked at every ten minutes."""

    def __init__(self, hive: TestHive) -> None:
        self.inside: Hive = hive.inside()
        self.host = MemoryHost(self.inside.settings)
        self.now = 1_000_000.0
        self.inside.clock = lambda: self.now
        self.cpu = 0.0
        self.record = self.inside.agent_path("coder") / "state" / "events.sqlite-wal"
        self.record.touch()
        self.say("thinking")

    def say(self, state: str) -> None:
        coder = self.inside.acting_as(Identity(Role.AGENT, "coder"))
        coder.clock = self.inside.clock
        set_status(coder, state, text=f"at {self.now}")

    def use(self, seconds: float) -> None:
        self.cpu += seconds
        self.host.work("coder", self.cpu)

    def write(self) -> None:
        os.utime(self.record, (self.now, self.now))

    def restart(self) -> None:
        self.host.stop("coder", grace=0)
        self.host.start("coder", view_of(self.inside, "coder"))

    def look(self, minutes: float) -> None:
        self.now += minutes * MINUTE
        stuck_turns.look(self.inside)


def nothing(_turn: Turn) -> None:
    """It hangs."""


# What happens every ten minutes, and after how many of them the turn is stuck; None: never in two hours.
HISTORIES: dict[str, tuple[Callable[[Turn], None], int | None]] = {
    "it hangs": (nothing, 3),
    "it only waits, which uses a little": (lambda turn: turn.use(0.5), 3),
    "it computes": (lambda turn: turn.use(30.0), None),
    "its harness records what happens": (Turn.write, None),
    "it begins another turn": (lambda turn: turn.say("thinking"), None),
    "it is restarted": (Turn.restart, None),
    "it is at its usage limit": (lambda turn: turn.say("rate_limited"), None),
    "it waits for a message": (lambda turn: turn.say("idle"), None),
    "it waits for a login": (lambda turn: turn.say("needs_login"), None),
}


@pytest.fixture
def turn(hive: TestHive) -> Turn:
    hive.spawn("coder")
    with hive.inside().store.write() as db:
        db.execute("update agents set runner = 'exec'")
    return Turn(hive)


@pytest.mark.parametrize("history", HISTORIES)
def test_a_turn_is_stuck_when_nothing_of_it_moves(hive: TestHive, turn: Turn, history: str) -> None:
    happens, stuck_after = HISTORIES[history]
    with closing(turn.inside.store):
        turn.look(0)
        for number in range(1, 13):
            happens(turn)
            turn.look(10)
            if hive.events("stuck"):
                assert number == stuck_after
                break
        else:
            assert stuck_after is None


def test_it_is_told_once_shown_and_over_as_soon_as_it_moves(hive: TestHive, turn: Turn) -> None:
    with closing(turn.inside.store):
        turn.look(0)
        for _ in range(6):
            turn.look(10)
        [told] = hive.events("stuck")
        assert (told["agent"], told["since"]) == ("coder", 1_000_000)
        assert told["note"] == "its turn has made no progress for 30 min"
        assert hive.agent("coder")["stuck_since"] == 1_000_000
        assert "`hive nudge coder`" in hive.run("list").stdout
        assert [need["id"] for need in hive.asked("needs_you")] == ["stuck/coder"]
        turn.use(60)
        turn.look(10)
        assert "stuck_since" not in hive.agent("coder")
        assert hive.asked("needs_you") == []
        for _ in range(3):
            turn.look(10)
        assert len(hive.events("stuck")) == 2
        turn.say("idle")
        assert "stuck_since" not in hive.agent("coder")


@pytest.mark.parametrize(("setting", "key", "after"), [("90", None, 90), ("90", 20, 20), ("0", None, 0), ("20", 0, 0)])
def test_how_long_is_a_setting_and_an_agents_own_goes_before_it(
    hive: TestHive, setting: str, key: int | None, after: int
) -> None:
    hive.home.mkdir(parents=True)
    (hive.home / "hive.toml").write_text(f"stuck_minutes = {setting}\n")
    hive.spawn("coder", PLAIN + (f"stuck_minutes = {key}\n" if key is not None else ""))
    turn = Turn(hive)
    with closing(turn.inside.store):
        turn.look(0)
        for minutes in range(10, 250, 10):
            turn.look(10)
            assert len(hive.events("stuck")) == (1 if after and minutes >= after else 0)


def test_one_that_waits_and_takes_no_message_is_stuck_unless_nobody_hands_them_out(hive: TestHive, turn: Turn) -> None:
    turn.say("idle")
    with hive.inside().store.write() as db:
        db.execute("update agents set status_text = null")
    with closing(turn.inside.store):
        with turn.inside.lone("gate", "serving"):
            turn.look(600)
            assert hive.events("stuck") == []
            hive.run("send", "coder", "are you there?")
            turn.look(0)
            turn.look(20)
        turn.look(20)
        with turn.inside.lone("gate", "serving"):
            turn.look(20)
            turn.look(20)
            assert hive.events("stuck") == []
            turn.look(20)
        [told] = hive.events("stuck")
        assert told["note"] == "it takes no message for 40 min"
        started = hive.instance("coder")
        hive.run("nudge", "coder")
        assert hive.instance("coder") != started


def test_a_watch_that_was_away_for_long_takes_no_turn_for_stuck_at_its_first_look(hive: TestHive, turn: Turn) -> None:
    with closing(turn.inside.store):
        turn.look(0)
        turn.write()
        turn.look(600)
        assert hive.events("stuck") == []
