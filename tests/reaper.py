"""Runs a command and ends whatever that leaves running, however it ends: `python -m tests.reaper COMMAND...`.

Agents outlive whoever starts them, so those of a test that is interrupted would run for ever.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time

from hive_core.containers.local.subreaper import kill_descendants
from hive_core.containers.local.tree import below, children_of

_SET_CHILD_SUBREAPER = 36  # prctl(2)
_ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
# What the command gets to end by itself when it is interrupted, and supervisors to end their agents.
_SECONDS = 20.0
_OF_THE_KERNEL = 128  # SI_KERNEL: typed at a terminal, so the command has got it too


def main(argv: list[str]) -> int:
    """Run `argv`; returns its exit code, 130 when it was interrupted."""
    # What loses its parent becomes a child of this process, also what has left its session.
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*_ENDING, signal.SIGCHLD})
    child = os.posix_spawnp(argv[0], argv, os.environ, setsigmask=before, setsigdef=_ENDING)
    code = _follow(child)
    left = below(os.getpid())
    if left and code != 130:
        names = sorted({_name(pid) for pid in left})
        print(f"tests/run: these were left running, and are ended now: {', '.join(names)}", file=sys.stderr)
    _end_all()
    return code


def _follow(child: int) -> int:
    """Wait for the command, and pass on what is to end it; once more, or too late, and it is killed."""
    deadline = None
    while True:
        seconds = 3600.0 if deadline is None else max(0.0, deadline - time.monotonic())
        told = signal.sigtimedwait({*_ENDING, signal.SIGCHLD}, seconds)
        code = _reap(child)
        if code is not None:
            return 130 if deadline is not None else code
        again = told is not None and told.si_signo in _ENDING and deadline is not None
        if again or (told is None and deadline is not None):
            return 130
        if told is not None and told.si_signo in _ENDING:
            deadline = time.monotonic() + _SECONDS
            if told.si_code != _OF_THE_KERNEL:
                os.kill(child, told.si_signo)


def _reap(child: int) -> int | None:
    """Take every child that has ended; the exit code of `child` if it is among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == child:
            ended = os.waitstatus_to_exitcode(status)
            code = 128 - ended if ended < 0 else ended


def _end_all() -> None:
    # A supervisor ends its agent at this and tidies up behind it; anything else just ends.
    for pid in children_of(os.getpid()):
        os.kill(pid, signal.SIGUSR1)
    deadline = time.monotonic() + _SECONDS
    while children_of(os.getpid()) and time.monotonic() < deadline:
        signal.sigtimedwait({signal.SIGCHLD}, 0.1)
        _reap(0)
    kill_descendants()


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read(200).replace(b"\0", b" ").decode(errors="replace").strip() or str(pid)
    except (FileNotFoundError, ProcessLookupError):
        return str(pid)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
