"""Which sandbox this machine offers, found out by running it."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator

from hive_core.containers.local.sandbox import ARGV, Inside, Sandbox, defaults, outer_environment
from hive_core.containers.private import Private

# Any unprivileged user does; this one is nobody's on Linux by convention.
_NOBODY = 65534
# It takes some milliseconds; a program that waits for something is none to build sandboxes with.
_SECONDS = 20.0


def probe() -> Sandbox:
    """The strongest sandbox that works here for whoever asks; NONE always does."""
    return next(sandbox for sandbox, failure in attempts() if failure is None)


def attempts() -> Iterator[tuple[Sandbox, str | None]]:
    """Try each sandbox, strongest first; with it what went wrong, or None when it works."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="hive-probe-") as folder:
        root = os.path.realpath(folder)
        for sandbox in (Sandbox.BWRAP, Sandbox.UNSHARE):
            yield sandbox, _attempt(sandbox, root)
    yield Sandbox.NONE, None


def _attempt(sandbox: Sandbox, root: str) -> str | None:
    uid = _NOBODY if os.geteuid() == 0 else None
    inside = Inside("probe", uid, ("true",), defaults(), {}, {}, root, Private({}, {}, {}, {}), workdir="/")
    argv = ARGV[sandbox](inside)
    output, end = os.pipe()
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
        (os.POSIX_SPAWN_DUP2, end, 1),
        (os.POSIX_SPAWN_DUP2, end, 2),
        (os.POSIX_SPAWN_OPEN, 3, "/dev/null", os.O_RDWR, 0),
    ]
    try:
        pid = os.posix_spawnp(argv[0], argv, outer_environment(inside), file_actions=actions)
    except OSError as error:
        # Also for one that may not be executed, or is for another kind of machine.
        os.close(output)
        missing = isinstance(error, FileNotFoundError)
        return f"{argv[0]} is not installed" if missing else f"{argv[0]} cannot be run: {error.strerror}"
    finally:
        os.close(end)
    said, ended = _hear(output)
    os.close(output)
    if not ended:
        os.kill(pid, 9)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if not ended:
        return f"{argv[0]} was not done after {_SECONDS:g} seconds"
    return None if code == 0 else " ".join(said.decode(errors="replace").split()) or f"it ended with code {code}"


def _hear(descriptor: int) -> tuple[bytes, bool]:
    """What is written there, and whether that has come to its end in time."""
    import time

    data, deadline = b"", time.monotonic() + _SECONDS
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        more = os.read(descriptor, 4096)
        if not more:
            return data, True
        data += more
    return data, False
