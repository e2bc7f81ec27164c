"""Doors that no view of files closes: the kernel's keys, sockets to other virtual machines, abstract sockets.

They are closed by the process that is about to become the sandbox, for itself and all that it will ever start, and so
in every kind of sandbox. Sources: keyctl(2), prctl(2), seccomp(2), landlock(7), Linux' include/uapi.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_ENOSYS, _EAFNOSUPPORT = 38, 97
_SET_NO_NEW_PRIVS, _SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_JOIN_SESSION_KEYRING = 1
_VSOCK = 40
# By machine: the number of its system calls, and those of add_key, request_key, keyctl, socket.
_MACHINES = {
    "x86_64": (0xC000003E, (248, 249, 250), 41),
    "aarch64": (0xC00000B7, (217, 218, 219), 198),
    "riscv64": (0xC00000F3, (217, 218, 219), 198),
}
KEYCTL = {machine: keys[2] for machine, (_architecture, keys, _socket) in _MACHINES.items()}
# io_uring makes sockets, and much else, past any filter of system calls. Its numbers and landlock's are one everywhere.
_IO_URING = (425, 426, 427)
_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_SCOPE_ABSTRACT_SOCKETS = 1
_X32 = 0x40000000
# Instructions of the filter (linux/bpf_common.h), and what it may answer.
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def confine() -> None:
    """Close what this kernel lets us close, for the calling process and for good; the rest stays as it is.

    `hive doctor` tries what of it holds: see doors.py.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _leave_abstract_sockets(libc)
    machine = _MACHINES.get(os.uname().machine)
    # A Python of 32 bits on such a machine: the filter would refuse itself everything.
    if machine is None or sys.maxsize < 2**32:
        return
    # Where keys cannot be closed they would still be those of whoever started hive.
    libc.syscall(machine[1][2], _JOIN_SESSION_KEYRING, None)
    code = b"".join(_filter(*machine))
    program = _Program(len(code) // 8, code)
    libc.prctl(_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0)


def _leave_abstract_sockets(libc: ctypes.CDLL) -> None:
    """Be let to no abstract socket of a process outside (landlock, from Linux 6.12 on)."""
    attributes = struct.pack("=QQQ", 0, 0, _SCOPE_ABSTRACT_SOCKETS)
    rules = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if rules >= 0:
        libc.syscall(_RESTRICT_SELF, rules, 0)
        os.close(rules)


def _filter(architecture: int, keys: tuple[int, ...], make_socket: int) -> Iterator[bytes]:
    """A program for seccomp: refuses these calls, and all those of another architecture, which have other numbers."""
    yield _instruction(_LOAD, _ARCHITECTURE)
    yield _instruction(_EQUAL, architecture, skip=1)
    yield _instruction(_RETURN, _ERROR | _ENOSYS)
    yield _instruction(_LOAD, _NUMBER)
    yield _instruction(_AT_LEAST, _X32, otherwise=1)
    yield _instruction(_RETURN, _ERROR | _ENOSYS)
    for number in (*keys, *_IO_URING):
        yield _instruction(_EQUAL, number, otherwise=1)
        yield _instruction(_RETURN, _ERROR | _ENOSYS)
    yield _instruction(_EQUAL, make_socket, otherwise=3)
    yield _instruction(_LOAD, _FIRST_ARGUMENT)
    yield _instruction(_EQUAL, _VSOCK, otherwise=1)
    yield _instruction(_RETURN, _ERROR | _EAFNOSUPPORT)
    yield _instruction(_RETURN, _ALLOW)


def _instruction(code: int, value: int, skip: int = 0, otherwise: int = 0) -> bytes:
    """One instruction. skip, otherwise: how many to pass over where a comparison holds, and where it does not."""
    return struct.pack("=HBBI", code, skip, otherwise, value)
