"""A command of this hive as a process of its own: what takes long, or much memory, beside one that must not wait."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections.abc import Sequence

from hive_core.settings import Settings

_SAID = 1 << 20
_BOOTSTRAP = """import json, sys
sys.path[:] = json.loads(sys.argv.pop(1))
from hive_faces.shell.cli import main
main(sys.argv[1:])
"""


def run(settings: Settings, arguments: Sequence[str], ended: int) -> tuple[int, bytes]:
    """Run a command to its end; its exit code, and what it printed, up to a limit.

    Raises InterruptedError when `ended` became readable: then it was told to end, and was waited for.
    """
    out, into = os.pipe2(os.O_CLOEXEC)
    try:
        process = _start(settings, arguments, into)
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
    return code, said


def _start(settings: Settings, arguments: Sequence[str], into: int) -> int:
    own = {"HIVE_HOME": str(settings.home), "HIVE_RUN": str(settings.run), **dict(settings.environment)}
    argv = [sys.executable, "-c", _BOOTSTRAP, json.dumps(sys.path), *arguments]
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, into, 1),
        (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
    ]
    # A group of its own: Ctrl-C is for who has a terminal.
    return os.posix_spawn(sys.executable, argv, {**os.environ, **own}, file_actions=actions, setpgroup=0)
