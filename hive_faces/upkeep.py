"""The upkeep beside `hive up`: `hive vacuum` as a process of its own, every hour, and on a full disk at once."""

from __future__ import annotations

import json
import os
import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from hive_core import own_command
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_core.signals import deferring
from hive_core.trouble import TROUBLES, Trouble
from hive_fleet.upkeep import reserve

# Seconds until the first, when whoever starts hive has got what they wait for, and between two.
FIRST, INTERVAL = 60.0, 3600.0
# Seconds between two looks at the disk, and between two that are done because it is nearly full.
LOOK, SCARCE = 60.0, 600.0


@contextmanager
def upkeep_beside(hive: Hive) -> Iterator[None]:
    """Do the upkeep for as long as the block runs; one that is at work at its end breaks off, and loses nothing."""
    out, into = os.pipe2(os.O_CLOEXEC)
    with deferring():
        thread = threading.Thread(target=_every_hour, args=(hive, out), name="upkeep", daemon=True)
        thread.start()
    try:
        yield
    finally:
        os.close(into)
        thread.join()
        os.close(out)


def _every_hour(hive: Hive, ended: int) -> None:
    """Have it done until `ended` becomes readable; on a disk nearly full at once. What it cannot do is told once."""
    trouble, due, again = Trouble(hive.say, "the upkeep"), time.monotonic() + FIRST, 0.0
    while not select.select([ended], [], [], max(0.0, min(due - time.monotonic(), LOOK)))[0]:
        now = time.monotonic()
        if now < due and (now < again or not reserve.is_scarce(hive)):
            continue
        due, again = now + INTERVAL, now + SCARCE
        try:
            if hive.running("vacuum") is None:
                _once(hive, ended)
                trouble.over()
        except InterruptedError:
            return
        except TROUBLES as error:
            trouble.met(error)


def _once(hive: Hive, ended: int) -> None:
    """Raises HiveError with what could not be done, InterruptedError when it was broken off."""
    code, said = own_command.run(hive.settings, ["vacuum", "--json"], ended)
    if code:
        raise HiveError(f"not all of it could be done: {_reason(said)}.", "`hive vacuum` says more.")


def _reason(said: bytes) -> str:
    with suppress(ValueError):
        rows = json.loads(said)
        return "; ".join(f"{row['what']}: {row['detail']}" for row in rows if row["ok"] is False)[:500]
    return "it ended without a word"
