"""The harness is closed to the programs it starts, which are the same user's; tried by such a program."""

from __future__ import annotations

import os
import subprocess

import pytest

from hive_agent.errors import AgentError
from hive_agent.page.shield import take_page_key
from tests.needs import needs_root
from tests.users import USER, become, runnable

KEY = "the-key-of-this-start"
# Started as the harness starts its programs; says what of its parent it could reach.
REACH = """
import ctypes, os, sys
parent = os.getppid()
libc = ctypes.CDLL(None, use_errno=True)
def reads(path):
    with open(path, "rb") as file:
        return file.read(1 << 16)
class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
def copied():
    here = ctypes.create_string_buffer(8)
    mine, theirs = Vector(ctypes.addressof(here), 8), Vector(4096, 8)
    libc.process_vm_readv(parent, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0)
    # Nothing is there; whether that is told shows whether it may look.
    held(0 if ctypes.get_errno() == 14 else -1)
def held(number):
    if number < 0:
        raise OSError(ctypes.get_errno(), "")
tries = {
    "environ": lambda: reads(f"/proc/{parent}/environ"),
    "maps": lambda: reads(f"/proc/{parent}/maps"),
    "memory": lambda: open(f"/proc/{parent}/mem", "rb"),
    "descriptors": lambda: os.listdir(f"/proc/{parent}/fd"),
    "standard input": lambda: reads(f"/proc/{parent}/fd/0"),
    "root": lambda: os.listdir(f"/proc/{parent}/root/"),
    "cwd": lambda: os.readlink(f"/proc/{parent}/cwd"),
    "pidfd_getfd": lambda: held(libc.syscall(438, os.pidfd_open(parent), 0, 0)),
    "process_vm_readv": copied,
    "ptrace": lambda: held(libc.ptrace(0x4206, parent, 0, 0)),  # PTRACE_SEIZE
}
for name, reach in tries.items():
    try:
        reach()
    except OSError:
        continue
    print("REACHED", name, flush=True)
print("given", sorted(name for name in os.environ if "PAGE" in name), "TRIED", flush=True)
"""
HARNESS = """
import os, subprocess, sys
sys.path.insert(0, sys.argv[1])
from hive_agent.page import shield
if sys.argv[2] == "closed":
    shield.close_to_others()
key = shield.take_page_key(os.environ)
print("key", key, flush=True)
subprocess.run([sys.executable, "-I", "-c", sys.argv[3]], check=True)
"""


def tried(mode: str, given: str, **environment: str) -> str:
    """What a program of a harness's reaches, both as a plain user. given: what the harness finds on its input."""
    python, checkout = runnable(USER)
    argv = [*become(USER), python, "-I", "-c", HARNESS, str(checkout), mode, REACH]
    done = subprocess.run(
        argv,
        input=given,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_root
def test_a_program_of_the_harness_reaches_nothing_of_it() -> None:
    assert tried("closed", KEY, HIVE_PAGE_TOKEN_FD="0") == f"key {KEY}\ngiven [] TRIED\n"


@needs_root
def test_a_key_in_the_environment_is_out_of_reach_too() -> None:
    assert tried("closed", "", HIVE_PAGE_TOKEN=KEY) == f"key {KEY}\ngiven [] TRIED\n"


@needs_root
def test_the_tries_would_reach_a_harness_that_is_not_closed() -> None:
    reached = {line.removeprefix("REACHED ") for line in tried("open", "").splitlines() if line.startswith("REACHED")}
    assert {"environ", "maps", "memory", "descriptors", "pidfd_getfd", "process_vm_readv"} <= reached


def test_the_key_is_taken_once_and_the_descriptor_leads_nowhere_afterwards() -> None:
    given, end = os.pipe()
    os.write(end, b"the key\n")
    os.close(end)
    environ = {"HIVE_PAGE_TOKEN_FD": str(given), "HIVE_PAGE_TOKEN": "another", "OTHER": "x"}
    assert take_page_key(environ) == "the key"
    assert environ == {"OTHER": "x"}
    assert os.readlink(f"/proc/self/fd/{given}") == "/dev/null"
    os.close(given)


def test_without_a_key_there_is_none() -> None:
    assert take_page_key({}) is None
    assert take_page_key({"HIVE_PAGE_TOKEN": ""}) is None


@pytest.mark.parametrize("number", ["x", "-1", "1_0", "٣", "99999", "1000000000000"])
def test_a_descriptor_that_is_none_is_told(number: str) -> None:
    with pytest.raises(AgentError, match="descriptor"):
        take_page_key({"HIVE_PAGE_TOKEN_FD": number})
