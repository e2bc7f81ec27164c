"""Connecting to a unix socket, however long its path is."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def connected(path: Path, patience: float | None = None) -> socket.socket:
    """A connection to whoever listens there, which the caller closes. Raises OSError.

    patience: how many seconds each wait on it may take; None for ever.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(patience)
    try:
        # By way of its folder's descriptor: the address of a socket may be 107 bytes long, a path may be more.
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            connection.connect(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
    except BaseException:
        connection.close()
        raise
    return connection
