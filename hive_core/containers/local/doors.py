"""Which of the doors that confine.py closes are closed here: a process that it confined tries each."""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

# Run isolated, as supervisors are.
_TRY = """import sys
sys.path.append(sys.argv.pop(1))
from hive_core.containers.local.doors import try_each
try_each(sys.argv[1])
"""
_WORDS = {
    "keyring": "the kernel's keys of whoever starts hive",
    "vsock": "sockets to the host of this machine, and to its virtual machines (AF_VSOCK)",
    "abstract": "abstract unix sockets of programs that are no agent's",
}
_NEEDED = {"keyring": "needs seccomp", "vsock": "needs seccomp", "abstract": "needs landlock, of Linux 6.12 or newer"}


def look() -> Iterator[tuple[str, bool, str]]:
    """Each door: (what, whether it is closed, in words)."""
    from hive_core.errors import HiveError
    from hive_core.process import run

    name = f"hive-doctor-{os.getpid()}"
    source = str(Path(__file__).resolve().parent.parent.parent.parent)
    with socket.socket(socket.AF_UNIX) as outside:
        outside.bind(f"\0{name}")
        outside.listen()
        try:
            closed = json.loads(run([sys.executable, "-I", "-S", "-c", _TRY, source, name]).stdout)
        except HiveError:
            closed = {}
    for door, words in _WORDS.items():
        held = closed.get(door, False)
        yield door, held, f"{'closed' if held else 'OPEN'} to agents: {words}" + ("" if held else f" ({_NEEDED[door]})")


def try_each(name: str) -> None:
    """Be confined as agents are, and write which doors are closed. name: of an abstract socket outside."""
    from hive_core.containers.local.confine import confine

    confine()
    print(json.dumps({"keyring": _keyring(), "vsock": _vsock(), "abstract": _abstract(name)}))  # noqa: T201


def _keyring() -> bool:
    import ctypes

    from hive_core.containers.local.confine import KEYCTL

    libc = ctypes.CDLL(None, use_errno=True)
    keyctl, user_keyring = KEYCTL.get(os.uname().machine), ctypes.c_int(-4)
    return keyctl is not None and libc.syscall(keyctl, 0, user_keyring, 0) < 0 and ctypes.get_errno() == errno.ENOSYS


def _vsock() -> bool:
    try:
        socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
    except OSError:
        return True
    return False


def _abstract(name: str) -> bool:
    with socket.socket(socket.AF_UNIX) as inside:
        try:
            inside.connect(f"\0{name}")
        except PermissionError:
            return True
    return False
