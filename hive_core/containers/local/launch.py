"""Start a supervisor that outlives whoever starts it, and hear from it whether the program runs."""

from __future__ import annotations

import fcntl
import marshal
import os
import select
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from hive_core.containers.local.record_writer import OWN
from hive_core.errors import BuildFailed, HiveError
from hive_core.process import SAFE_PATH
from hive_core.text import one_line

# A start takes milliseconds; who needs this long has met a stuck disk, or a program that plays with the start-up pipe.
START_SECONDS = 30.0
_BOOTSTRAP = """import sys
sys.path.append(sys.argv.pop(1))
from hive_core.containers.local.supervise import main
main()
"""


def launch(values: dict[str, Any]) -> None:
    """Start the supervisor with these values (see supervise.Supervisor); returns when the program has been exec'ed.

    Raises BuildFailed when that is its configuration's own fault, HiveError with the reason for any other, and when
    nothing is heard for START_SECONDS.
    """
    values_out, values_in = _pipe()
    report_out, report_in = _pipe()
    try:
        pid = _spawn(values["name"], values_out, report_in)
    finally:
        os.close(values_out)
        os.close(report_in)
    with os.fdopen(report_out, "rb", buffering=0) as report:
        # A supervisor that has died already is heard of, or not, on the other pipe.
        with suppress(BrokenPipeError), os.fdopen(values_in, "wb") as stream:
            stream.write(marshal.dumps({**values, "input": values["input"].encode()}))
        os.waitpid(pid, 0)
        said = _hear(report.fileno())
    if said != "ok":
        error, why = (BuildFailed, said.removeprefix(OWN)) if said.startswith(OWN) else (HiveError, said)
        raise error(
            f"{values['name']} could not be started: {one_line(why) or 'its supervisor ended without a word'}.",
            f"See `hive journal {values['name']}`.",
        )


def _pipe() -> tuple[int, int]:
    """A pipe whose descriptors are clear of 0 to 3, also where the caller has closed some of these."""
    ends = os.pipe()
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return moved[0], moved[1]


def _spawn(name: str, values: int, report: int) -> int:
    source = str(Path(__file__).resolve().parent.parent.parent.parent)
    argv = [sys.executable, "-I", "-S", "-c", _BOOTSTRAP, source, name]
    actions = [
        (os.POSIX_SPAWN_DUP2, values, 0),
        (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_RDWR, 0),
        (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_RDWR, 0),
        (os.POSIX_SPAWN_DUP2, report, 3),
    ]
    environment = {"PATH": SAFE_PATH, "LC_ALL": "C.UTF-8"}
    return os.posix_spawn(sys.executable, argv, environment, file_actions=actions, setsid=True)


def _hear(report: int) -> str:
    said = b""
    deadline = time.monotonic() + START_SECONDS
    poll = select.poll()
    poll.register(report, select.POLLIN)
    while poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        more = os.read(report, 4096)
        if not more:
            return said.decode(errors="replace")
        said += more
    return f"nothing was heard of it for {START_SECONDS:g} seconds"
