"""`hive watch`: looks at the agents, tells what has changed, and finishes what dead processes left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Annotated

from hive_core import service_manager
from hive_core.arguments import whole
from hive_core.context import Hive
from hive_core.errors import Refused
from hive_core.events import newest
from hive_core.operation import OPERATOR, operation
from hive_fleet.changes import starts
from hive_fleet.events.feed import Line, after, lines
from hive_fleet.notifications.beside import notifying
from hive_fleet.watching.rounds import INTERVAL, tick, watching

Interval = Annotated[int, whole(1, 3600, "the interval in seconds", "SECONDS")]


@operation(callers=OPERATOR, group="Running", shell_only=True, endures=True)
def watch(hive: Hive, interval: Interval = INTERVAL, once: bool = False, start: bool = False) -> Iterator[Line]:
    """Watch the agents: tell of crashes, lost logins and updates at once, and show every event as it happens.

    interval: seconds between two looks at everything; an end is seen at once in any case
    once: look once, compare with the last look, and end; for a timer
    start: first start every agent that should run and does not, as after the machine was started
    """

    def begin(_again: bool) -> None:
        if start:
            starts.start_all(hive)

    with ExitStack() as held:
        try:
            held.enter_context(hive.lone("watch", "watching"))
        except Refused:
            if not once:
                raise
            hive.say("a watch is running already: there is nothing to do")
            return
        if not once:
            if notice := held.enter_context(hive.host.launching()):
                hive.say(f"warning: {notice}")
            service_manager.notify("READY=1")
            with notifying(hive):
                yield from lines(watching(hive, interval, begin=begin))
        with hive.store.read() as db:
            seq = newest(db)
        tick(hive, seed=False)
        yield from lines(after(hive, seq, []))
