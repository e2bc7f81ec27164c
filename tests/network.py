"""A network of their own for the tests of each process that runs some, where that can be had.

Agents take ports by their names, and many tests call one `coder`: of two that run at once, neither meets the other's, nor
a hive that runs on the machine. Nothing in there leads anywhere else.
"""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct

# linux/sched.h, linux/sockios.h, linux/if.h.
_CLONE_NEWNET, _SIOCSIFFLAGS, _IFF_UP = 0x40000000, 0x8914, 1
_INTERFACE = struct.Struct("16sh22x")


def leave() -> bool:
    """Go on in a network with nothing but a loopback; whether this may be, which it is for root alone."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) != 0:
        return False
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, _INTERFACE.pack(b"lo", _IFF_UP))
    return True
