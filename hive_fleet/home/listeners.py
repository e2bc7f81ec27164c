"""Who listens on the machine's ports, as the kernel tells it (proc(5), net/tcp)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hive_core.change import never_inside

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTENING = "0A"


@never_inside
def listeners() -> Mapping[int, set[int]]:
    """The users whose processes listen on each TCP port, on any address.

    The kernel lists listening sockets first; the connections after them, which may be thousands, are not read.
    """
    found: dict[int, set[int]] = {}
    for table in _TABLES:
        try:
            with Path(table).open(encoding="ascii") as lines:
                next(lines)
                for line in lines:
                    fields = line.split()
                    if fields[3] != _LISTENING:
                        break
                    found.setdefault(int(fields[1].rpartition(":")[2], 16), set()).add(int(fields[7]))
        except FileNotFoundError:
            continue  # A machine without IPv6.
    return found
