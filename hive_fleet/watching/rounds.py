"""The rounds of the watch: when it looks, at whom, and what else it does each time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

from hive_core import progress
from hive_core.context import Hive
from hive_core.enduring import Begin, Companion, enduring
from hive_core.events import Event
from hive_core.human import count
from hive_core.trouble import Trouble
from hive_core.wake import Wake
from hive_fleet.agents import last_seen, restarts
from hive_fleet.changes import halting, starts
from hive_fleet.events.feed import after
from hive_fleet.flake import staleness
from hive_fleet.messages import questions
from hive_fleet.requests import denials
from hive_fleet.watching import attention, stuck_turns
from hive_fleet.watching.held_containers import HeldContainers
from hive_fleet.watching.looks import look_at
from hive_fleet.watching.reporting import Reporting
from hive_fleet.watching.restarter import Restarter
from hive_fleet.watching.transitions import Verdict

# Seconds between two looks at everything, unless somebody wants others.
INTERVAL = 10


def tick(
    hive: Hive,
    *,
    seed: bool,
    held: HeldContainers | None = None,
    restart: Callable[[str], object] | None = None,
    keep: Callable[[Hive], object] = attention.keep,
) -> list[Verdict]:
    """Finish what dead processes left (first of all a halt), restart whoever is due, and look at every agent.

    seed: tell nothing of what has changed since the last look; agents that ended meanwhile are restarted all the same
    if their configuration asks for it. held: containers that need not be looked at, and that takes hold of those that
    run. restart: starts an agent again. keep: brings the list of what needs the operator up to date.
    """
    halting.finish(hive)
    progress.mend_all(hive)
    denials.tag_all(hive)
    questions.expire(hive)
    staleness.forget_the_dead(hive)
    _restart_due(hive, restart or partial(starts.start_again, hive))
    verdicts = look_at(hive, None, seed=seed, held=held)
    stuck_turns.look(hive)
    keep(hive)
    return verdicts


def _restart_due(hive: Hive, restart: Callable[[str], object]) -> None:
    """Restart every agent whose time has come."""
    for name in restarts.take_due(hive):
        restart(name)


def watching(
    hive: Hive, interval: float, *, beside: Companion | None = None, begin: Begin = lambda _again: None
) -> Iterator[Event]:
    """Watch for ever, and yield every event that happens, whatever the machine refuses meanwhile (see `enduring`).

    The caller is the only watch of this hive.
    """
    reporting = Reporting(hive)
    # A full disk must not keep it from saying so, and from all else: what cannot be written is tried at the next look.
    listing = Trouble(hive.say, "the list of what needs you")

    def work(wake: Wake, seq: int, trouble: Trouble) -> Iterator[Event]:
        return _watching(hive, wake, seq, interval, trouble, beside=beside, reporting=reporting, listing=listing)

    def bring_up(again: bool) -> None:
        with reporting.taking_long():
            begin(again)

    return enduring(hive, work, beside=beside, begin=bring_up, round_=reporting.goes_round)


def _watching(
    hive: Hive,
    wake: Wake,
    seq: int,
    interval: float,
    trouble: Trouble,
    *,
    beside: Companion | None,
    reporting: Reporting,
    listing: Trouble,
) -> Iterator[Event]:
    """Yield every event after `seq`, and look meanwhile. With the first look, a trouble of before is over."""
    also = [] if beside is None else [beside.fileno()]
    with closing(HeldContainers(hive)) as held, closing(Restarter(hive)) as restarter:
        rounds = Rounds(hive, held, restarter, interval, seed=not trouble.worked, looked=reporting.looked,
                        keep=partial(attention.keep_trying, trouble=listing))  # fmt: skip
        rounds.look()
        if not trouble.worked:
            hive.say(f"watching {count(len(hive.host.containers()), 'agent')}")
        while True:
            trouble.over()
            for event in after(hive, seq, []):
                seq = event.seq
                rounds.hear(event)
                yield event
            rounds.look()
            reporting.goes_round()
            wake.wait(rounds.seconds_left(), also=[held.fileno(), *also])
            if beside is not None:
                beside.check()


class Rounds:
    """When a watch looks, and at whom: at everything every `interval` seconds, and at one agent whenever needed.

    That is when its container has ended, when an operation on it has ended, when something of it was mended or could
    not be, and when it is shown otherwise than the watch last concluded. Messages need no look.
    """

    def __init__(
        self,
        hive: Hive,
        held: HeldContainers,
        restarter: Restarter,
        interval: float,
        *,
        seed: bool,
        looked: Callable[[], None],
        keep: Callable[[Hive], object],
    ) -> None:
        self._hive, self._held, self._start_again, self._interval = hive, held, restarter.start, interval
        self._reconnect = restarter.reconnect
        self._sockets: tuple[int, int] | None = None
        self._asked: set[str] = set()
        self._seed, self._due, self._restart = seed, 0.0, 0.0
        self._base: str | None = None
        self._looked, self._keep = looked, keep

    def hear(self, event: Event) -> None:
        """Take note of an event that makes a look necessary."""
        if event.agent is None:
            pass
        elif event.kind in ("transient_cleared", "repair_failed", "recovered"):
            self._asked.add(event.agent)
        elif event.kind == "container_state_changed":
            with self._hive.store.read() as db:
                if last_seen.inconclusive(db, event.agent):
                    self._asked.add(event.agent)
        if event.kind == "meta_inputs_changed" and staleness.newest_base(self._hive) != self._base:
            self._due = 0.0  # Any agent may be out of date now.

    def look(self) -> None:
        """Look at everything if that is due, else at the agents that need it."""
        names, self._asked = self._asked | self._held.ended(), set()
        now = time.monotonic()
        if now >= self._due:
            self._base = staleness.newest_base(self._hive)
            tick(self._hive, seed=self._seed, held=self._held, restart=self._start_again, keep=self._keep)
            self._seed, self._due = False, time.monotonic() + self._interval
            self._notice_lost_folder()
            self._looked()
        elif now >= self._restart:
            _restart_due(self._hive, self._start_again)
        elif not names:
            return
        if names:
            look_at(self._hive, names, held=self._held)
        self._restart = time.monotonic() + restarts.soonest(self._hive, self._interval)

    def _notice_lost_folder(self) -> None:
        """Restart every agent that holds a folder of sockets which is gone: none does while the folder is the same."""
        try:
            status = self._hive.settings.sockets.stat()
            now = (status.st_dev, status.st_ino)
        except FileNotFoundError:
            now = None
        if now == self._sockets and now is not None:
            return
        self._sockets = now
        for name, container in self._hive.host.containers().items():
            if container.running and self._hive.host.severed(name):
                self._reconnect(name)

    def seconds_left(self) -> float:
        """Seconds until the next look is due."""
        return min(self._due, self._restart) - time.monotonic()
