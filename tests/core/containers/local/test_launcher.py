"""Where containers are started: in the group of the `hive up` that runs, whoever has them started."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hive_core.containers.local import cgroups, launcher
from hive_core.containers.local.tree import below
from hive_core.errors import HiveError
from tests.hives import CHECKOUT, PLAIN, TestHive, eventually, interrupt
from tests.needs import needs_root

HIVE = [sys.executable, str(CHECKOUT / "hive")]
# As a service manager does: a process in a group of its own, of version 2.
IN_A_GROUP = ["sh", "-c", 'group=$1; shift; echo $$ >"$group/cgroup.procs"; exec "$@"', "sh"]


@pytest.fixture
def service() -> Iterator[Path]:
    """A group of version 2 that is marked as handed to whoever runs in it, as systemd does with Delegate=."""
    version_2, _ = cgroups._hierarchies()
    if version_2 is None:
        pytest.skip("needs control groups of version 2")
    group = Path(version_2[1]) / f"hive-test-{os.getpid()}"
    group.mkdir()
    os.setxattr(group, "user.delegate", b"1")
    yield group
    for left in sorted(group.glob("**/"), reverse=True):
        eventually(lambda left=left: not (left / "cgroup.procs").read_text())
        left.rmdir()


def group_of(pid: int) -> str:
    """The group of version 2 that a process is in."""
    return next(line[3:] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines() if line.startswith("0::"))


@needs_root
def test_what_a_shell_starts_is_in_the_group_of_the_hive_that_is_up(hive: TestHive, service: Path) -> None:
    hive.spawn("elsewhere")
    assert service.name not in group_of(hive.pid("elsewhere"))
    up = hive.start("up", program=[*IN_A_GROUP, str(service), *HIVE])
    eventually((hive.root / "run" / "launch.sock").exists)
    hive.spawn("coder", PLAIN + "[limits]\nprocesses = 50\n")
    hive.run("restart", "elsewhere")
    for name in ("coder", "elsewhere"):
        # Its supervisor is where hive itself is, the agent's own processes in a group beside that.
        assert group_of(hive.pid(name)).endswith(f"/{service.name}/{cgroups.LEAF}")
        agents = {group_of(pid) for pid in below(hive.pid(name))}
        assert {Path(group).parent.name for group in agents} == {service.name}
    assert interrupt(up) == 130
    # Nobody is there to ask: the shell starts it itself, in its own group.
    hive.run("restart", "coder")
    assert service.name not in group_of(hive.pid("coder"))
    for name in hive.inside().host.containers():
        hive.inside().host.destroy(name)


def test_what_keeps_a_container_from_starting_is_told_to_whoever_asked(hive: TestHive, tmp_path: Path) -> None:
    settings = hive.inside().settings
    values = {
        "name": "coder",
        "folder": str(tmp_path),
        "instance": "1",
        "revision": "none",
        "program": "program",
        "argv": ["/nonexistent/sandbox"],
        "environment": {},
        "workdir": "/",
        "levels": 2,
        "sandbox": "bwrap",
        "notice": None,
        "input": "",
    }
    order = {"folder": str(tmp_path), "group": "hive-test-launch", "limits": [None] * 3, "own": 0, "values": values}
    with launcher.serving(settings), pytest.raises(HiveError, match=r"coder could not be started: .*nonexistent"):
        launcher.start(settings, order)


@pytest.mark.parametrize("said", [b"", b'{"folder": "/half'])
def test_who_only_looks_whether_somebody_is_there_or_dies_as_it_asks_leaves_no_complaint(
    hive: TestHive, said: bytes
) -> None:
    settings = hive.inside().settings
    with launcher.serving(settings), socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(settings.run / launcher.SOCKET))
        connection.sendall(said)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
        for thread in threading.enumerate():
            # A thread that fails fails the test.
            if thread.name == "launch":
                thread.join()


def test_only_hive_itself_may_have_something_started(hive: TestHive) -> None:
    hive.spawn("coder", 'runner = "command"\ncommand = ["sleep", "1000"]\n')
    up = hive.start("up")
    path = hive.root / "run" / "launch.sock"
    eventually(path.exists)
    assert path.stat().st_mode & 0o777 == 0o600
    agent = below(hive.pid("coder"))[-1]
    # With all the rights of hive's own user, and a view of the machine, but in an agent's container.
    ask = 'import socket, sys; s = socket.socket(1); s.connect(sys.argv[1]); s.sendall(b"{}"); s.shutdown(1); print(s.recv(9))'
    argv = ["nsenter", f"--target={agent}", "--pid", sys.executable, "-c", ask, str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    # It is hung up on before it has asked, or is read and gets no answer.
    assert done.stdout == "b''\n" or re.search("ConnectionResetError|BrokenPipeError", done.stderr), done
    assert interrupt(up) == 130
