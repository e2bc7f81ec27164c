"""The end of a connection of a stranger, who has not shown the key: it must not keep anybody else from the page.

A connection uses up a port of whoever opened it until both ends have closed it. The ports of the machine's loopback are
everybody's, and some 28,000: who opens as many to a page, and closes none, keeps all others from it. A connection that
is reset gives its port back at once, whatever the other end does.
"""

from __future__ import annotations

import errno
import socket
import struct
import time
from contextlib import suppress

# Seconds in which whoever was answered is to hang up.
PATIENCE = 5.0
# What has a close reset the connection (socket(7), SO_LINGER).
_RESET = struct.pack("ii", 1, 0)


def hang_up(connection: socket.socket) -> None:
    """Have the thread that serves a connection find its end, and its close reset it."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        connection.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        if error.errno not in (errno.ENOTCONN, errno.EBADF):
            raise


def part(connection: socket.socket) -> None:
    """Close a connection when the other end has hung up; one that does not in time is reset."""
    hung_up = False
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        hung_up = _hangs_up(connection, time.monotonic() + PATIENCE)
    if not hung_up:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    connection.close()


def _hangs_up(connection: socket.socket, end: float) -> bool:
    while (left := end - time.monotonic()) > 0:
        connection.settimeout(left)
        if not connection.recv(64 * 1024):
            return True
    return False
