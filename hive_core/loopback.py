"""The ports of this machine's own address, 127.0.0.1."""

from __future__ import annotations

# The part in C alone: `hive list` would take longer to import what `socket` adds than for all else.
import _socket as socket
from contextlib import closing

from hive_agent import LOOPBACK


def in_use(port: int) -> bool:
    """Whether a process, of another hive perhaps, serves this port now, so that nobody else can."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)) as probe:
        # As servers do: a connection that has ended is no reason (socket(7), SO_REUSEADDR).
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
    return False
