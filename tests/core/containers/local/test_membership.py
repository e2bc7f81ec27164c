"""Which process is in which container: whatever it has done since its start, and however little the machine offers."""

from __future__ import annotations

import os

import pytest

from hive_core.containers.local.membership import container_of, holds_removed
from tests.core.containers.local.machine import Machine

# What a process does that wants to be nobody's: parents that have ended, a session and a name of its own.
LEAVE = "( (exec setsid sleep 98765) & ) ; echo ready; exec sleep 100"


def members(machine: Machine, name: str) -> dict[int, str | None]:
    """What is said of each process below the supervisor's."""
    with machine.held(name) as held:
        return {pid: container_of(pid, machine.home / "containers") for pid in held if pid != machine.supervisor(name)}


def test_every_process_of_a_container_is_known_as_its_own(anywhere: Machine) -> None:
    anywhere.run("a", "sh", "-c", LEAVE)
    anywhere.run("b", "sh", "-c", LEAVE)
    for name in ("a", "b"):
        anywhere.await_line(name, "ready")
        found = members(anywhere, name)
        assert len(found) >= 2
        assert set(found.values()) == {name}


def test_without_control_groups_a_process_is_known_by_those_above_it(
    anywhere: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hive_core.containers.local.membership._groups", lambda _pid: set())
    anywhere.run("a", "sh", "-c", LEAVE)
    anywhere.await_line("a", "ready")
    found = members(anywhere, "a")
    assert len(found) >= 2
    assert set(found.values()) == {"a"}


def test_a_process_whose_first_thread_has_ended_is_known_and_so_are_its_children(
    anywhere: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hive_core.containers.local.membership._groups", lambda _pid: set())
    script = (
        "import ctypes, subprocess, sys, threading, time; "
        "subprocess.Popen(['sleep', '100']); own = threading.get_native_id(); "
        "gone = lambda: open(f'/proc/self/task/{own}/stat').read().rpartition(')')[2].split()[0] == 'Z'; "
        "threading.Thread(target=lambda: ([0 for _ in iter(gone, True)], print('ready', flush=True), "
        "time.sleep(100))).start(); ctypes.CDLL(None).pthread_exit(None)"
    )
    anywhere.run("a", "python3", "-c", script)
    anywhere.await_line("a", "ready")
    assert set(members(anywhere, "a").values()) == {"a"}


# In a namespace of mounts of its own it sees a folder that has been removed.
PRETEND = (
    "mkdir /tmp/sockets /state/gone; unshare -Urm sh -c 'mount --bind /state/gone /tmp/sockets; rmdir /state/gone; "
    "grep -q //deleted /proc/self/mountinfo && echo removed; exec sleep 100'"
)


def test_an_agent_has_no_say_in_whether_its_sockets_are_still_there(sandboxed: Machine) -> None:
    sandboxed.run("a", "sh", "-c", PRETEND)
    sandboxed.await_line("a", "removed")
    assert not holds_removed(sandboxed.supervisor("a"), "/tmp/sockets")


def test_processes_of_the_machine_are_in_none(plain: Machine) -> None:
    plain.run("a", "sleep", "100")
    for pid in (os.getpid(), os.getppid(), 1):
        assert container_of(pid, plain.home / "containers") is None
