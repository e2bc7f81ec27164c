"""`hive up`: everything that should run is brought up, watched, and shown, until Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from functools import partial

from hive_agent import MANAGER
from hive_cmds import meta
from hive_core.containers.base import GRACE
from hive_core.context import BY_UP, Hive
from hive_core.errors import HiveError
from hive_core.human import ago, natural
from hive_core.operation import OPERATOR, operation
from hive_core.progress import carry_out, held, hurry
from hive_core.trouble import TROUBLES
from hive_faces.gate.gate import beside
from hive_faces.gate.sockets import handed_over
from hive_faces.page.kept import page_beside
from hive_faces.upkeep import upkeep_beside
from hive_fleet.agents import desired, halt, table
from hive_fleet.changes import adoptions, spawns, starts
from hive_fleet.changes.running import RESTING
from hive_fleet.events.feed import Line, lines
from hive_fleet.needs import needs
from hive_fleet.needs.need import in_short
from hive_fleet.notifications.beside import notifying
from hive_fleet.watching.rounds import INTERVAL, watching

# Agents that are stopped at once: each may take its time.
MOST_AT_ONCE = 16


@operation(callers=OPERATOR, group="Running", shell_only=True, endures=True)
def up(hive: Hive, stop: bool = False) -> Iterator[Line]:
    """Bring up the manager and every agent that should run, keep watch, and show what happens, until Ctrl-C.

    stop: stop the agents at the end; without it they go on running
    """
    _ = hive.settings.choices  # Refused now, not when the first agent is to be started.
    with ExitStack() as held:
        for room in ("up", "watch", "gate"):
            held.enter_context(hive.lone(room, BY_UP))
        if notice := held.enter_context(hive.host.launching()):
            hive.say(f"warning: {notice}")
        interrupt: type[BaseException] | None = None
        try:
            try:
                gate = held.enter_context(beside(hive, handed_over()))
                held.enter_context(page_beside(hive))
                held.enter_context(upkeep_beside(hive))
                held.enter_context(notifying(hive))
                left = "stops the agents" if stop else "leaves the agents as they are"
                watched = watching(hive, INTERVAL, beside=gate, begin=partial(bring_up, hive, left))
                yield from _titled(hive, lines(watched))
            except (KeyboardInterrupt, GeneratorExit) as error:
                interrupt = type(error)
        finally:
            # Not while the interrupt is handled: what it has left half-way lets go of its locks when that is over.
            if stop:
                rest(hive)
        if interrupt is not None:
            if not stop:
                hive.say("hive up has ended; the agents go on without it, unwatched (`hive stop NAME` stops one)")
            raise interrupt


def _titled(hive: Hive, found: Iterator[Line]) -> Iterator[Line]:
    """The lines, with what needs the operator as the terminal's title, from the first on and whenever it changes."""
    known = None
    with closing(found):  # type: ignore[type-var]
        for line in found:
            if known is None or line.event.kind in _CHANGING:
                known = _title(hive)
                yield replace(line, terminal_title=known)
            else:
                yield line


def _title(hive: Hive) -> str | None:
    """None where it cannot be told: a title is worth no trouble."""
    with suppress(*TROUBLES), hive.store.read() as db:
        return f"hive: {in_short(needs.waiting(db)) or 'nothing needs you'}"
    return None


# What changes the list of needs: a restored database has another.
_CHANGING = ("need_added", "need_changed", "need_resolved", "restored")


def _tell_what_needs_you(hive: Hive) -> None:
    with hive.store.read() as db:
        found = needs.waiting(db)
    if found:
        hive.say(f"{in_short(found)}: `hive needs-you` shows what needs you")


def bring_up(hive: Hive, left: str, again: bool) -> None:
    """Take back whom a lost database knew, make the manager where there is none, start and update what should run.

    left: what becomes of the agents at the end. again: the database has become another while hive was up.
    """
    _tell_of_no_sandbox(hive)
    adoptions.adopt_all(hive)
    with hive.store.read() as db:
        known = table.names(db)
    if MANAGER not in known:
        hive.say("making the manager")
        spawns.spawn_manager(hive)
    starts.start_all(hive)
    _tell_of_the_stopped(hive)
    _tell_of_a_halt(hive)
    if known and not again:
        meta.update(hive, stale=True)
    hive.say(f"hive is up in {hive.settings.home}; Ctrl-C ends this and {left}")
    # At the end, where it is seen, and known: of a manager that was just made, too.
    if not again:
        _tell_what_needs_you(hive)


def _tell_of_no_sandbox(hive: Hive) -> None:
    """Say so where nothing keeps the agents that are going to be started from the machine."""
    for what, well, words in hive.host.capabilities():
        if what == "sandbox" and not well:
            hive.say(f"warning: the agents' sandbox is {words}")


def _tell_of_the_stopped(hive: Hive) -> None:
    """Name whoever is left alone because somebody stopped it: nothing else would say why it does not run."""
    with hive.store.read() as db:
        stopped = set(desired.names(db, desired.STOPPED)) - set(halt.held_back(db))
    for name in sorted(stopped, key=lambda name: (name != MANAGER, natural(name))):
        hive.say(f"{name} was stopped by hand and stays so; `hive start {name}` starts it")


def _tell_of_a_halt(hive: Hive) -> None:
    with hive.store.read() as db:
        at = halt.since(db)
    if at is not None:
        hive.say(f"everything was stopped by `hive estop` {ago(at)} ago; `hive resume --all` starts it")


def rest(hive: Hive) -> None:
    """Stop every agent, to be started again by the next `hive up`."""
    with hive.store.read() as db:
        running = desired.names(db, desired.RUNNING)
    with ThreadPoolExecutor(MOST_AT_ONCE, "rest") as pool:
        list(pool.map(partial(_rest_one, hive), sorted(running)))


def _rest_one(hive: Hive, name: str) -> None:
    hive.say(f"stopping {name}")
    try:
        hurry(hive, name)
        with held(hive, name, RESTING.kind):
            carry_out(hive, name, RESTING, {"grace": GRACE})
    except HiveError as error:
        hive.say(f"warning: {name} could not be stopped: {error}")
