"""Notifications beside a watch: a thread knows when one is due, and has a process of its own send it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial

from hive_agent.back_off import BackOff
from hive_core import own_command
from hive_core.beside import beside
from hive_core.context import Hive
from hive_core.errors import Exit, HiveError
from hive_core.events import newest_of
from hive_core.signals import ToldToEnd, ended_by, readable
from hive_core.trouble import TROUBLES, Trouble
from hive_core.wake import Wake
from hive_fleet.notifications.rules import wishes
from hive_fleet.notifications.sending import due_at

# Seconds after which the settings, and the time of the day, are looked at again.
LONGEST = 60.0
# Seconds between two looks at commits that were about something else.
BETWEEN = 0.2
_KINDS = ("need_added", "need_changed")


@contextmanager
def notifying(hive: Hive) -> Iterator[None]:
    """Send what is due for as long as the block runs. Nobody waits for it, and it fails for itself.

    A service that is named meanwhile is noticed after LONGEST seconds at the latest.
    """
    out, into = os.pipe2(os.O_CLOEXEC)
    try:
        with beside("notifications", partial(_work, hive, out), partial(os.close, into)):
            yield
    finally:
        os.close(out)


def _work(hive: Hive, ended: int) -> None:
    trouble = Trouble(hive.say, "the notifications")
    with closing(hive.store), ended_by(ended), suppress(ToldToEnd, InterruptedError):
        while True:
            try:
                if wishes(hive.settings).services:
                    _keep_sending(hive, ended, trouble)
                readable([], LONGEST)
            except TROUBLES as error:
                if isinstance(error, InterruptedError):
                    raise
                readable([], trouble.met(error))


def _keep_sending(hive: Hive, ended: int, trouble: Trouble) -> None:
    # One that is due right after it was sent was not sent: somebody else is at it, or it cannot be written down.
    in_vain = BackOff(1.0, LONGEST)
    with Wake(hive.store) as wake:
        while wishes(hive.settings).services:
            seen = _newest(hive)
            at, now = due_at(hive), hive.clock()
            if at is not None and at <= now:
                _send(hive, ended)
                readable([], in_vain.failed())
                continue
            trouble.over()
            in_vain.succeeded()
            _wait(hive, wake, seen, LONGEST if at is None else min(LONGEST, at - now))


def _wait(hive: Hive, wake: Wake, seen: int, seconds: float) -> None:
    """Wait for so long, or until something needs the operator that did not."""
    end = hive.clock() + seconds
    while (left := end - hive.clock()) > 0 and _newest(hive) == seen:
        wake.wait(left)
        readable([], BETWEEN)


def _newest(hive: Hive) -> int:
    with hive.store.read() as db:
        return newest_of(db, _KINDS)


def _send(hive: Hive, ended: int) -> None:
    """What a service does not take stays, and is listed among what needs the operator: that is no error here.

    Raises HiveError where nothing was tried at all, unless that is because somebody else is at it.
    """
    code, told = own_command.run(hive.settings, ["notify", "--json"], ended)
    refused = code == Exit.REFUSED and not told and hive.running("notify") is None
    if refused or code not in (Exit.DONE, Exit.REFUSED):
        raise HiveError(f"`hive notify` ended with {code}.", "Type it, and see what it says.")
