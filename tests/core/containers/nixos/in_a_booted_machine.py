"""What only real containers show of this backend. tests/core/containers/nixos/test_booted.py has these run in a machine.

A limit of memory cannot be reached there: the machine is a container itself, to which the kernel hands no memory
controller. So the file in which the kernel counts whom it killed is written by a test; all else of that end is real.
"""

from __future__ import annotations

import os
import pty
import subprocess
from contextlib import suppress
from pathlib import Path

from hive_core.containers.nixos import files, places, units
from tests.core.containers.test_contract import Backend


def systemctl(*words: str) -> str:
    return subprocess.run(["systemctl", *words], capture_output=True, text=True, check=True).stdout.strip()


def test_its_processes_are_known_by_their_control_group(backend: Backend) -> None:
    backend.run("a")
    activity = backend.host.activity("a")
    assert activity is not None
    found = {backend.host.container_of(pid) for pid in activity.processes}
    # Another hive has none of them, and the first process of the machine is in none.
    assert (found, backend.host.container_of(1)) == ({"a"}, None)


def test_systemd_holds_it_to_its_limits(backend: Backend) -> None:
    revision = backend.commit(
        "a", 'command = ["sleep", "1000"]\n[limits]\nmemory = "512M"\nprocesses = 100\ncpu = 1.5\n'
    )
    backend.host.build("a", backend.home / "applied/a", revision, backend.lock)
    backend.host.switch("a", revision, backend.view("a"), run=True)
    shown = systemctl("show", "--property=MemoryMax,TasksMax,CPUQuotaPerSecUSec", places.of("a").unit)
    assert set(shown.splitlines()) == {"MemoryMax=536870912", "TasksMax=100", "CPUQuotaPerSecUSec=1.500000s"}


def test_an_end_by_the_limit_of_memory_is_told_as_that(backend: Backend) -> None:
    backend.run("a")
    unit, folder = places.of("a").unit, backend.home / "containers/a"
    # What is counted of the container's group as systemd has made it, not of one below.
    counted = Path(
        f"{backend.home}/groups{systemctl('show', '--value', '--property=ControlGroup', unit)}/memory.events"
    )
    counted.parent.mkdir(parents=True)
    counted.write_text("oom 3\noom_kill 2\noom_group_kill 0\n")
    script = (folder / files.AT_END).read_text()
    (folder / files.AT_END).write_text(script.replace("/sys/fs/cgroup", f"{backend.home}/groups"))
    systemctl("kill", "--signal=KILL", unit)
    ended = backend.after_its_end("a").ended
    assert ended is not None
    assert (ended.out_of_memory, ended.code, ended.cause) == (True, 137, "out of memory")


def test_what_is_killed_or_reboots_stays_ended_and_can_be_started(backend: Backend) -> None:
    backend.run("a")
    place = places.of("a")
    leader = str(units.look([place])["a"].pid)
    # The container's own unit says otherwise, and nobody here waits for longer than that would take.
    left_to_hive = systemctl("show", "--property=Restart,RestartForceExitStatus", place.unit)
    assert set(left_to_hive.splitlines()) == {"Restart=no", "RestartForceExitStatus="}
    reboots = ["systemd-run", "--quiet", f"--machine={place.container}", "/usr/bin/systemctl", "reboot"]
    # A reboot has the code that it has for nspawn, which may be a SIGTRAP's as well.
    for command, cause in ((["kill", "-9", leader], "SIGKILL"), (reboots, "SIGTRAP")):
        subprocess.run(command, check=True)
        found = backend.after_its_end("a")
        # Whoever waits for it is woken by its first process, before systemd has written all of it down.
        systemctl("stop", place.unit)
        assert (found.running, backend.now("a").running) == (False, False)
        assert found.ended is not None
        assert found.ended.cause == cause
        assert systemctl("show", "--value", "--property=NRestarts", place.unit) == "0"
        backend.host.start("a", backend.view("a"))
        assert backend.now("a").running


def test_a_human_enters_as_the_agent_with_its_environment(backend: Backend) -> None:
    backend.run("a")
    view = backend.view("a")._replace(environment={"HIVE_LABEL": "it's %h"})
    child, terminal = pty.fork()
    if child == 0:
        os._exit(
            backend.host.enter(
                "a", view, ["/bin/sh", "-c", '/usr/bin/id -un; pwd; echo "$HIVE_LABEL"; read _; test -t 0 && exit 7']
            )
        )
    said, answered = b"", False
    # Linux tells so that the other end was closed.
    with suppress(OSError), open(terminal, "rb", buffering=0) as stream:
        while more := stream.read(4096):
            said += more
            # What ends at once may have its last words lost: it waits for ours.
            if b"%h\r\n" in said and not answered:
                answered = bool(os.write(terminal, b"\n"))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7, said
    assert said.decode().split("\r\n")[:3] == ["agent", "/state", "it's %h"]
