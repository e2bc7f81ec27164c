"""Supervisors are held by descriptor and ended step by step: asked, told to kill, and killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hive_core.containers.local import records, supervisors
from hive_core.process import Owner
from tests.users import CHECKOUT

# It says which signals it was sent, and ends at one of them, or at none.
CODE = """import signal, sys
def told(number, _frame):
    print(signal.Signals(number).name, flush=True)
    if signal.Signals(number).name == sys.argv[1]: sys.exit(7)
for number in (signal.SIGTERM, signal.SIGUSR1): signal.signal(number, told)
print("ready", flush=True)
while True: signal.pause()
"""
Start = Callable[[str], subprocess.Popen[str]]
Hold = Callable[[Owner | None], int | None]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts something that ends at a signal, as a supervisor might."""
    started: list[subprocess.Popen[str]] = []

    def begin(ending_at: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-S", "-c", CODE, ending_at]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def hold(tmp_path: Path) -> Hold:
    """Holds the supervisor of a container whose record names this process."""

    def of(owner: Owner | None) -> int | None:
        assert owner is not None
        known = {"instance": "one", "revision": "a" * 40, "started_at": 1.0, "sandbox": "none"}
        records.replace(tmp_path / "run.json", {"supervisor": owner._asdict(), **known})
        run = records.read_run(tmp_path)
        assert run is not None
        return supervisors.hold(run)

    return of


def signals_of(process: subprocess.Popen[str]) -> tuple[list[str], int]:
    """Those that it has said it was sent, and how it ended."""
    assert process.stdout is not None
    said = process.stdout.read().split()
    return said, process.wait()


@pytest.mark.parametrize(
    ("ending_at", "grace", "said", "code"),
    [
        ("SIGTERM", 60.0, ["SIGTERM"], 7),
        # Whose grace is over is killed by its supervisor, which tells of it.
        ("SIGUSR1", 0.05, ["SIGTERM", "SIGUSR1"], 7),
        # Without any it is not asked at all.
        ("SIGUSR1", 0.0, ["SIGUSR1"], 7),
        # One that is stuck itself is killed in the end.
        ("never", 0.0, ["SIGUSR1"], -9),
    ],
)
def test_each_step_comes_when_the_one_before_was_in_vain(
    start: Start, hold: Hold, monkeypatch: pytest.MonkeyPatch, ending_at: str, grace: float, said: list[str], code: int
) -> None:
    if ending_at == "never":
        monkeypatch.setattr(supervisors, "_CLEANUP", 0.05)
    process = start(ending_at)
    held = hold(Owner.of(process.pid))
    assert held is not None
    supervisors.end(held, grace)
    os.close(held)
    found, ended = signals_of(process)
    assert ended == code
    # On a machine that is busy it may not have come to say so before the next step.
    assert [each for each in said if each in found] == found
    assert said[-1] in found or code < 0


def test_one_that_has_ended_meanwhile_is_ended(start: Start, hold: Hold) -> None:
    process = start("SIGTERM")
    held = hold(Owner.of(process.pid))
    assert held is not None
    process.kill()
    process.wait()
    supervisors.end(held, 60.0)
    os.close(held)


def test_whoever_has_its_number_now_is_not_held(start: Start, hold: Hold) -> None:
    process = start("SIGTERM")
    owner = Owner.of(process.pid)
    assert owner is not None
    before = set(os.listdir("/proc/self/fd"))
    assert hold(owner._replace(started=owner.started - 1)) is None
    process.kill()
    process.wait()
    assert hold(owner) is None
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_supervisor_imports_little() -> None:
    program = "import sys; sys.path.append(sys.argv[1]); from hive_core.containers.local import supervise; print(*sys.modules)"
    argv = [sys.executable, "-I", "-S", "-c", program, str(CHECKOUT)]
    imported = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    assert "hive_core.containers.local.supervise" in imported
    # Each is paid once per container, in memory and in the time of a start.
    assert not {"collections", "ctypes", "dataclasses", "enum", "json", "pathlib", "re", "signal", "typing"} & {
        *imported
    }
