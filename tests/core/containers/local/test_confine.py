"""What no view of files closes is closed to a container's programs, in every sandbox and without one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hive_core.containers.local.confine import KEYCTL
from hive_core.containers.local.doors import look
from tests.core.containers.local.machine import Machine

TRIES = f"""
import ctypes, errno, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    return -1 if libc.syscall(*arguments) >= 0 else ctypes.get_errno()
def connecting(family, kind, address=None):
    try:
        with socket.socket(family, kind) as made:
            address is None or made.connect(address)
        return -1
    except OSError as error:
        return error.errno
keyctl = {KEYCTL[os.uname().machine]}
print("keyring", call(keyctl, 11, ctypes.c_int(-4), 0, 0), call(keyctl - 1, b"user", b"x", None, 0))
print("ring", call(425, 1, ctypes.create_string_buffer(256)))
print("vsock", connecting(socket.AF_VSOCK, socket.SOCK_STREAM))
print("abstract", connecting(socket.AF_UNIX, socket.SOCK_STREAM, chr(0) + "ABSTRACT"))
with socket.socket(socket.AF_UNIX) as own:
    own.bind(chr(0) + "OWN")
    own.listen()
    print("own", connecting(socket.AF_UNIX, socket.SOCK_STREAM, chr(0) + "OWN"))
"""


def test_keys_and_sockets_of_the_machine_are_closed(anywhere: Machine) -> None:
    name = str(anywhere.home)
    with socket.socket(socket.AF_UNIX) as outside:
        outside.bind(f"\0{name}")
        outside.listen()
        tries = TRIES.replace("ABSTRACT", name).replace("OWN", f"{name}-own")
        anywhere.run("a", "python3", "-c", tries)
        anywhere.end("a")
    told = dict(line.split(" ", 1) for line in anywhere.written("a") if not line.startswith("hive:"))
    closed = {door: held for door, held, _words in look()}
    assert (told["keyring"], told["ring"], told["vsock"]) == ("38 38", "38", "97")
    assert told["abstract"] == ("1" if closed["abstract"] else "-1")
    assert told["own"] == "-1", "its own programs meet there as ever"


@pytest.mark.parametrize("door", ["keyring", "vsock"])
def test_the_doctor_says_which_doors_are_closed(door: str) -> None:
    rows = {name: (held, words) for name, held, words in look()}
    assert list(rows) == ["keyring", "vsock", "abstract"]
    held, words = rows[door]
    assert held
    assert words.startswith("closed to agents: ")


def test_a_door_that_nobody_closed_is_told_as_open(monkeypatch: pytest.MonkeyPatch) -> None:
    from hive_core.containers.local import doors

    # The very tries, by a process that nothing confines.
    monkeypatch.setattr(doors, "_TRY", _UNCONFINED)
    rows = {name: (held, words) for name, held, words in look()}
    assert rows["keyring"] == (False, "OPEN to agents: the kernel's keys of whoever starts hive (needs seccomp)")
    assert not rows["abstract"][0]


_UNCONFINED = """import sys
sys.path.append(sys.argv.pop(1))
from hive_core.containers.local import confine, doors
confine.confine = lambda: None
doors.try_each(sys.argv[1])
"""


def test_a_session_s_keys_are_left_behind() -> None:
    script = (
        "import ctypes, sys; sys.path.append(sys.argv[1]); libc = ctypes.CDLL(None); "
        "from hive_core.containers.local import confine; "
        "number = confine.KEYCTL[__import__('os').uname().machine]; confine._filter = lambda *_: (b'\\x06\\0\\0\\0\\0\\0\\xff\\x7f',); "
        "mine = lambda: libc.syscall(number, 0, ctypes.c_int(-3), 0); libc.syscall(number, 1, None); "
        "before = mine(); confine.confine(); print(before > 0 and mine() > 0 and before != mine())"
    )
    source = str(Path(__file__).resolve().parents[3])
    done = subprocess.run([sys.executable, "-c", script, source], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
