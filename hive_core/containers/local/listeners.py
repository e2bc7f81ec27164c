"""Who serves the agents' ports, by the kernel's own word (sock_diag(7))."""

from __future__ import annotations

# The part in C alone: what `socket` adds takes longer to import than the kernel takes to answer.
import _socket as socket
import errno
import struct
from collections.abc import Iterable, Mapping
from contextlib import closing
from itertools import islice
from pathlib import Path

from hive_agent import LOOPBACK

# linux/netlink.h, linux/sock_diag.h and linux/inet_diag.h.
_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _NLMSG_ERROR, _NLM_F_REQUEST = 4, 20, 2, 1
_HEADER, _NO_COOKIE = struct.Struct("=IHHII"), b"\xff" * 8
_USER = 64  # where inet_diag_msg, behind its header, has the user's number
_LISTEN = 10
# Where the kernel does not answer: its table, of which so many lines are read.
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTENING, _MOST_LINES = "0A", 10_000


def listeners(ports: Iterable[int]) -> Mapping[int, set[int]]:
    """The users whose processes listen on these TCP ports of 127.0.0.1, by port; the ports of nobody are left out.

    The kernel is asked for each port, and nothing else is looked at: how much anybody listens on costs only itself.
    """
    wanted = set(ports)
    try:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        with closing(socket.socket(socket.AF_NETLINK, kind, _NETLINK_SOCK_DIAG)) as kernel:
            found = {port: _user(kernel, port) for port in wanted}
    except OSError:
        return _from_tables(wanted)  # A kernel without inet_diag, or one that a sandbox of our own keeps from us.
    return {port: {user} for port, user in found.items() if user is not None}


def _user(kernel: socket.socket, port: int) -> int | None:
    """Whose process a connection to this port would reach."""
    address = socket.inet_aton(LOOPBACK).ljust(16, b"\0")
    wanted = struct.pack("!HH", port, 0) + address + bytes(20) + _NO_COOKIE
    request = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 1 << _LISTEN) + wanted
    kernel.send(_HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0) + request)
    answer = kernel.recv(8192)
    if _HEADER.unpack_from(answer)[1] != _NLMSG_ERROR:
        return int(struct.unpack_from("=I", answer, _HEADER.size + _USER)[0])
    code = -struct.unpack_from("=i", answer, _HEADER.size)[0]
    if code != errno.ENOENT:
        raise OSError(code, "the kernel does not say who listens")
    return None


def _from_tables(wanted: set[int]) -> dict[int, set[int]]:
    """The same by proc(5), net/tcp, which names those that listen first."""
    found: dict[int, set[int]] = {}
    for table in _TABLES:
        try:
            with Path(table).open(encoding="ascii") as lines:
                for line in islice(lines, 1, _MOST_LINES):
                    fields = line.split()
                    if fields[3] != _LISTENING:
                        break
                    port = int(fields[1].rpartition(":")[2], 16)
                    if port in wanted:
                        found.setdefault(port, set()).add(int(fields[7]))
        except FileNotFoundError:
            continue  # A machine without IPv6.
    return found
