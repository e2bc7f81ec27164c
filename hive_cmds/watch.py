"""The watch: compares every agent with the last look, tells what changed, and mends what dead processes left."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, Any

from hive_cmds import restarting
from hive_cmds.restarting import Restarter
from hive_core import progress
from hive_core.arguments import whole
from hive_core.containers.base import Container
from hive_core.context import Hive
from hive_core.enduring import Begin, Companion, enduring
from hive_core.events import Event, newest
from hive_core.human import count
from hive_core.operation import OPERATOR, operation
from hive_core.trouble import Trouble
from hive_core.wake import Wake
from hive_fleet.agents import last_seen, restarts
from hive_fleet.agents.held import Held
from hive_fleet.agents.last_seen import Picture, Seen
from hive_fleet.agents.observed import Observation, observe, overtaken
from hive_fleet.agents.status import AgentStatus
from hive_fleet.changes.settling import last_lines
from hive_fleet.events.feed import Line, after, lines
from hive_fleet.flake import staleness
from hive_fleet.messages.messages import tell
from hive_fleet.messages.questions import expire
from hive_fleet.requests import denials

INTERVAL = 10
# How often a look is taken again at once, of those of whom it did not hold.
ROUNDS = 5

Interval = Annotated[int, whole(1, 3600, "the interval in seconds", "SECONDS")]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing the watch concluded about an agent: an event's kind, and what is known of it."""

    kind: str
    agent: str
    fields: dict[str, Any] = field(default_factory=dict)


def transitions(before: Picture, now: Picture) -> list[Verdict]:
    """What changed between two looks, by itself. Pure: looks at nothing else.

    An agent that was not there at the first look only takes its place in the picture.
    """
    verdicts: list[Verdict] = []
    for name, seen in now.items():
        old = before.get(name)
        if old is not None:
            verdicts += _of_one(name, old, seen)
    return verdicts


def _of_one(name: str, old: Seen, new: Seen) -> Iterator[Verdict]:
    # A container that its system restarted is running at both looks, and has crashed all the same.
    ended = old.running and (not new.running or new.instance != old.instance)
    if ended and new.wanted and not new.busy:
        cause = new.cause or "it was restarted outside hive"
        yield Verdict("container_crash", name, {"cause": cause, "code": new.code})
    if old.logged_in and not new.logged_in:
        yield Verdict("needs_login", name)
    if new.logged_in and not old.logged_in:
        yield Verdict("logged_in", name)
    if old.up_to_date and not new.up_to_date:
        yield Verdict("needs_update", name)


def tick(
    hive: Hive, *, seed: bool, held: Held | None = None, restart: Callable[[str], object] | None = None
) -> list[Verdict]:
    """Look at every agent, record it, and tell what changed since the last look; with `seed` nothing is told.

    held: what need not be looked at, and what takes hold of whoever runs. restart: what starts an agent again.
    Whoever ended before that, unwatched, is restarted all the same where its configuration asks for it.
    """
    progress.settle(hive)
    denials.tag_all(hive)
    expire(hive)
    _restart_due(hive, restart or partial(restarting.start_again, hive))
    return look_at(hive, None, seed=seed, held=held)


def look_at(hive: Hive, names: Iterable[str] | None, *, seed: bool = False, held: Held | None = None) -> list[Verdict]:
    """Look at these agents, or at all, record it, and tell what changed since the last look; again at whom it missed.

    An agent on which operations begin and end faster than it can be looked at is left to the next look.
    """
    verdicts: list[Verdict] = []
    for _ in range(ROUNDS):
        known = held.running() if held is not None and names is None else {}
        observation = observe(hive, names, known=known)
        lost = held.hold(observation, all_there_are=names is None) if held is not None else set()
        journals = {} if seed else _journals(hive, observation)
        found, missed = _conclude(hive, observation, journals, seed=seed)
        verdicts += found
        names = missed | lost
        if not names:
            break
    return verdicts


def _conclude(
    hive: Hive, observation: Observation, journals: Mapping[str, str], *, seed: bool
) -> tuple[list[Verdict], set[str]]:
    """Record an observation and tell what it means, as far as it still holds; returns also of whom it does not.

    One transaction: an operation that ends meanwhile records its result before this look or after it.
    """
    with hive.store.read() as db:
        picture, rows = last_seen.picture(hive, db, observation)
        if not overtaken(db, observation) and not last_seen.is_news(db, picture, rows):
            return [], set()
    with hive.store.write() as db:
        before = last_seen.last(db)
        picture, rows = last_seen.picture(hive, db, observation)
        verdicts = transitions(before, picture)
        # One whose end is only now to be seen, as something else was recorded meanwhile, has no journal yet.
        crashed = {verdict.agent for verdict in verdicts if verdict.kind == "container_crash"}
        missed = overtaken(db, observation) | (set() if seed else crashed - journals.keys())
        told = [verdict for verdict in verdicts if verdict.agent not in missed and not seed]
        ended = _codes(told) if not seed else _unwatched(before, picture)
        outlooks = {
            name: restarts.note(hive, db, name, code, told=not seed)
            for name, code in ended.items()
            if name not in missed
        }
        held = [_with_outlook(row, outlooks.get(row.name)) for row in rows if row.name not in missed]
        last_seen.record(db, picture, held)
        last_seen.forget_the_gone(db)
        for verdict in told:
            evidence = _evidence(journals, outlooks, verdict) if verdict.kind == "container_crash" else {}
            tell(hive, db, verdict.kind, verdict.agent, **verdict.fields, **evidence)
        _tell_loops(hive, db, outlooks)
    return told, missed


def _codes(verdicts: list[Verdict]) -> dict[str, int | None]:
    """Who has crashed, with the exit code."""
    return {verdict.agent: verdict.fields["code"] for verdict in verdicts if verdict.kind == "container_crash"}


def _evidence(journals: Mapping[str, str], outlooks: Mapping[str, restarts.Outlook], crash: Verdict) -> dict[str, Any]:
    """What is told with a crash: its last lines, and when the agent is restarted, which is then not told again."""
    at = outlooks[crash.agent].at
    return {"restart_at": None if at is None else int(at), "journal": journals[crash.agent]}


def _unwatched(before: Picture, now: Picture) -> dict[str, int | None]:
    """Who has ended since somebody last watched, with the exit code: nothing is told of it, but it may be restarted."""
    return {name: code for name, code in _codes(transitions(before, now)).items() if not now[name].running}


def _restart_due(hive: Hive, restart: Callable[[str], object]) -> None:
    """Restart every agent whose time has come."""
    for name in restarts.take_due(hive):
        restart(name)


def _with_outlook(row: AgentStatus, outlook: restarts.Outlook | None) -> AgentStatus:
    """An agent as it was looked at, with what the crash that the look has found leads to."""
    if outlook is None:
        return row
    return replace(row, restart_at=None if outlook.at is None else int(outlook.at), crash_loop=outlook.loop)


def _tell_loops(hive: Hive, db: sqlite3.Connection, outlooks: Mapping[str, restarts.Outlook]) -> None:
    for name, outlook in outlooks.items():
        if outlook.crashes == restarts.LOOP:
            note = f"crashed {outlook.crashes} times in a row; it is not restarted any more"
            tell(hive, db, "crash_loop", name, note=note)


def _journals(hive: Hive, observation: Observation) -> dict[str, str]:
    """The last lines of every agent that is another start than at the last look, or none."""
    with hive.store.read() as db:
        before = last_seen.last(db)
    now = {name: seen.container for name, seen in observation.agents.items() if name in before and before[name].running}
    ended = {name: container for name, container in now.items() if not _same_start(container, before[name])}
    return {name: last_lines(hive, name, container) for name, container in ended.items()}


def _same_start(container: Container | None, seen: Seen) -> bool:
    return container is not None and container.running and container.instance == seen.instance


@operation(callers=OPERATOR, group="Running", shell_only=True, endures=True)
def watch(hive: Hive, interval: Interval = INTERVAL, once: bool = False) -> Iterator[Line]:
    """Watch the agents: tell of crashes, lost logins and updates at once, and show every event as it happens.

    interval: seconds between two looks at everything; an end is seen at once in any case
    once: look once, compare with the last look, and end; for a timer
    """
    with hive.lone("watch", "watching"):
        if not once:
            yield from lines(watching(hive, interval))
        with hive.store.read() as db:
            seq = newest(db)
        tick(hive, seed=False)
        yield from lines(after(hive, seq, []))


def watching(
    hive: Hive, interval: float, *, beside: Companion | None = None, begin: Begin = lambda _again: None
) -> Iterator[Event]:
    """Watch for ever, yielding every event that comes, whoever caused it; see `enduring`.

    The caller is the one watch there is.
    """

    def work(wake: Wake, seq: int, trouble: Trouble) -> Iterator[Event]:
        return _watching(hive, wake, seq, interval, trouble, beside=beside)

    return enduring(hive, work, beside=beside, begin=begin)


def _watching(
    hive: Hive, wake: Wake, seq: int, interval: float, trouble: Trouble, *, beside: Companion | None
) -> Iterator[Event]:
    """Yield every event after `seq`, looking meanwhile; with the first look a trouble of before is over."""
    also = [] if beside is None else [beside.fileno()]
    with closing(Held(hive)) as held, closing(Restarter(hive)) as restarter:
        rounds = Rounds(hive, held, restarter.start, interval, seed=not trouble.worked)
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
            wake.wait(rounds.seconds_left(), also=[held.fileno(), *also])
            if beside is not None:
                beside.check()


class Rounds:
    """When a long watch looks, and at whom: at everything every `interval` seconds, at one agent for a reason.

    Reasons are its end, the end of an operation on it, and what was shown of it. A message is none.
    """

    def __init__(
        self, hive: Hive, held: Held, restart: Callable[[str], object], interval: float, *, seed: bool
    ) -> None:
        self._hive, self._held, self._start_again, self._interval = hive, held, restart, interval
        self._asked: set[str] = set()
        self._seed, self._due, self._restart = seed, 0.0, 0.0
        self._base: str | None = None

    def hear(self, event: Event) -> None:
        """Find in an event what has to be looked at."""
        if event.agent is None:
            pass
        elif event.kind in ("transient_cleared", "repair_failed"):
            self._asked.add(event.agent)
        elif event.kind == "container_state_changed":
            with self._hive.store.read() as db:
                if last_seen.inconclusive(db, event.agent):
                    self._asked.add(event.agent)
        if event.kind == "meta_inputs_changed" and staleness.upstream(self._hive) != self._base:
            self._due = 0.0  # It may have made anybody out of date.

    def look(self) -> None:
        """Look at whoever there is a reason to look at."""
        names, self._asked = self._asked | self._held.ended(), set()
        now = time.monotonic()
        if now >= self._due:
            self._base = staleness.upstream(self._hive)
            tick(self._hive, seed=self._seed, held=self._held, restart=self._start_again)
            self._seed, self._due = False, time.monotonic() + self._interval
        elif now >= self._restart:
            _restart_due(self._hive, self._start_again)
        elif not names:
            return
        if names:
            look_at(self._hive, names, held=self._held)
        self._restart = time.monotonic() + restarts.soonest(self._hive, self._interval)

    def seconds_left(self) -> float:
        """Until the next look is due."""
        return min(self._due, self._restart) - time.monotonic()
