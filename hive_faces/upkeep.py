"""The upkeep beside `hive up`: `hive vacuum` as a process of its own, now and every hour."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_core.signals import deferring
from hive_core.trouble import TROUBLES, Trouble

# Seconds until the first, when whoever starts hive has got what they wait for, and between two.
FIRST, INTERVAL = 60.0, 3600.0
_SAID = 1 << 20
_BOOTSTRAP = """import json, sys
sys.path[:] = json.loads(sys.argv.pop(1))
from hive_faces.shell.cli import main
main(["vacuum", "--json"])
"""


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
    """Have it done until `ended` becomes readable. What it cannot do is told once."""
    trouble, pause = Trouble(hive.say, "the upkeep"), FIRST
    while not select.select([ended], [], [], pause)[0]:
        pause = INTERVAL
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
    out, into = os.pipe2(os.O_CLOEXEC)
    try:
        process = _start(hive, into)
    finally:
        os.close(into)
    descriptor = os.pidfd_open(process)
    try:
        said = b""
        while ready := select.select([out, ended], [], [])[0]:
            if ended in ready:
                signal.pidfd_send_signal(descriptor, signal.SIGTERM)
                raise InterruptedError
            if not (more := os.read(out, 65536)):
                break
            said = (said + more)[:_SAID]
    finally:
        os.close(descriptor)
        os.close(out)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if code:
        raise HiveError(f"not all of it could be done: {_reason(said)}.", "`hive vacuum` says more.")


def _start(hive: Hive, into: int) -> int:
    own = {"HIVE_HOME": str(hive.settings.home), "HIVE_RUN": str(hive.settings.run), **dict(hive.settings.environment)}
    argv = [sys.executable, "-c", _BOOTSTRAP, json.dumps(sys.path)]
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, into, 1),
        (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
    ]
    # A group of its own: Ctrl-C is for who has a terminal.
    return os.posix_spawn(sys.executable, argv, {**os.environ, **own}, file_actions=actions, setpgroup=0)


def _reason(said: bytes) -> str:
    with suppress(ValueError):
        rows = json.loads(said)
        return "; ".join(f"{row['what']}: {row['detail']}" for row in rows if row["ok"] is False)[:500]
    return "it ended without a word"
