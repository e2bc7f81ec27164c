"""A program of hive's own at work on what an agent has written: as the agent, in a sandbox of its own, within bounds.

What an agent has written may be made to break whatever reads it. So it is read with no more rights than the agent has,
for so long, with so much memory, and what is said of it is short.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from hive_core.containers.local.confine import confine
from hive_core.containers.local.sandbox import ARGV, Inside, Sandbox, on_the_machine, outer_environment
from hive_core.errors import HiveError
from hive_core.text import one_line

MEMORY, SAID = 512 * 1024 * 1024, 64 * 1024
# How long one that has closed its output may take to end.
SECONDS_TO_END = 5.0
_LATER = 10  # How much less than others it is to use of a processor that is busy (nice(2)).


def run(inside: Inside, sandbox: Sandbox, seconds: float) -> str:
    """Run the command that `inside` describes; what it has written. Raises HiveError where it did not end well."""
    bare = sandbox is Sandbox.NONE
    seen = on_the_machine(inside) if bare else inside
    out, into = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        _become(into, ARGV[sandbox](inside), outer_environment(seen), seen.workdir if bare else "/", seconds)
    os.close(into)
    ended = os.pidfd_open(child)
    said, wrong = b"", "it was interrupted"
    try:
        said, wrong = _hear(out, time.monotonic() + seconds)
        if not wrong and not select.select([ended], [], [], SECONDS_TO_END)[0]:
            wrong = "it did not end"
    finally:
        os.close(out)
        if wrong:
            # The sandbox dies with its first process.
            signal.pidfd_send_signal(ended, signal.SIGKILL)
        os.close(ended)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if not wrong and code:
        wrong = f"it ended with {code}: {one_line(said[-300:].decode(errors='replace'))}"
    if wrong:
        raise HiveError(f"What was done as {inside.name} was given up: {wrong}.")
    return said.decode(errors="replace")


def _hear(out: int, end: float) -> tuple[bytes, str]:
    """What is written until all who could write have gone, and what is wrong with it."""
    said = b""
    while select.select([out], [], [], max(0.0, end - time.monotonic()))[0]:
        more = os.read(out, 4096)
        if not more:
            return said, ""
        said += more
        if len(said) > SAID:
            return said, "it said too much"
    return said, "it took too long"


def _become(into: int, argv: Sequence[str], environment: dict[str, str], folder: str, seconds: float) -> NoReturn:
    """In the child: turn into the sandbox."""
    try:
        os.setsid()
        null = os.open("/dev/null", os.O_RDWR)
        # Descriptor 3 is where a container's start would be told; nobody listens here.
        for descriptor, target in ((into, 1), (into, 2), (null, 0), (null, 3)):
            os.dup2(descriptor, target)
        os.closerange(4, 1024)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.umask(0o022)
        os.nice(_LATER)
        for what, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, int(seconds) + 1)):
            with suppress(ValueError, OSError):
                resource.setrlimit(what, (most, most))
        os.chdir(folder)
        confine()
        os.execvpe(argv[0], list(argv), environment)  # noqa: S606
    except BaseException as error:  # noqa: BLE001 - the child has nobody else to tell
        os.write(2, f"{error}".encode(errors="backslashreplace"))
    os._exit(125)
