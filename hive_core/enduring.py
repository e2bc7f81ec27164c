"""Work that nothing but its person ends: what the disk or the database refuses is told, and tried again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol

from hive_core import disk
from hive_core.context import Hive
from hive_core.events import Event, newest
from hive_core.signals import readable
from hive_core.trouble import TROUBLES, Trouble
from hive_core.wake import Wake


class Companion(Protocol):
    """What runs beside the work and must not end before it."""

    def fileno(self) -> int:
        """Becomes readable when it has ended."""

    def check(self) -> None:
        """Raises what it has failed with."""


# Yields every event after a seq for ever; says that a trouble is over when it has done its work.
Work = Callable[[Wake, int, Trouble], Iterator[Event]]


# What is done before the work; told whether it is done again because the database is another.
Begin = Callable[[bool], None]


def enduring(
    hive: Hive, work: Work, *, beside: Companion | None, begin: Begin, round_: Callable[[], None]
) -> Iterator[Event]:
    """Do the work for ever, whatever troubles it; ends with the error that ends `beside`.

    begin: done before it, until it succeeds. What it, or the first of the work, is refused for another reason than the
    machine's ends it all: somebody has just begun this, and reads it. round_: told of each try that came to its end.
    """
    trouble, also = Trouble(hive.say, "the watch"), [] if beside is None else [beside.fileno()]
    seq: int | None = None
    begun: int | None = None
    told: str | None = None
    while True:
        try:
            with Wake(hive.store) as wake:
                told = _tell_once(hive, wake.notice, told)
                if seq is None:
                    with hive.store.read() as db:
                        seq = newest(db)
                if begun != (now := hive.store.replaced):
                    begin(begun is not None)
                    begun = now
                    if hive.store.replaced != now:
                        continue  # It has become another meanwhile, which has yet to be begun with.
                for event in work(wake, seq, trouble):
                    seq = event.seq
                    yield event
        except TROUBLES as error:
            if beside is not None:
                beside.check()
            if not trouble.worked and disk.cause(error) is None:
                raise
            round_()
            _rest(also, trouble.met(error))


def _tell_once(hive: Hive, notice: str | None, told: str | None) -> str | None:
    """Say what is to be known about being woken, unless that was the last thing said of it."""
    if notice is not None and notice != told:
        hive.say(notice)
    return notice


def _rest(also: list[int], seconds: float) -> None:
    """Wait for so long, or until one of `also` has ended."""
    try:
        readable(also, seconds)
    except OSError:
        # To be woken early needs a descriptor, and it may be those that are lacking.
        time.sleep(seconds)
