"""The tests' own runner: what it leaves behind when it is interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.containers.local.machine import await_end
from tests.hives import CHECKOUT, PATIENCE, eventually

# Two workers, each with a hive that has an agent and a gate, and a test that is far from its end.
TESTS = """
import os, signal
from pathlib import Path
import pytest
from tests.hives import TestHive, eventually

@pytest.mark.parametrize("number", [1, 2])
def test_that_takes_its_time(number, tmp_path):
    hive = TestHive(tmp_path / "hive")
    gate = hive.start("gate")
    hive.spawn("coder")
    run = hive.home / "containers/coder/run.json"
    file = Path(os.environ["STARTED"], str(number))
    file.with_suffix(".new").write_text(f"{os.getpid()} {gate.pid} {hive.pid('coder')}")
    file.with_suffix(".new").rename(file)
    signal.sigwait({signal.SIGUSR2})
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A run of such tests, and descriptors of its workers, gates and supervisors, and of what is below these."""
    from hive_core.containers.local.tree import below

    (tmp_path / "test_long.py").write_text(TESTS)
    argv = [sys.executable, "-m", "tests.reaper", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    # It lies outside the checkout, so what is said there of plugins does not count.
    argv += [word for plugin in ("schemathesis", "hypothesispytest", "anyio") for word in ("-p", f"no:{plugin}")]
    argv += ["--numprocesses", "2", "--dist", "worksteal", "--basetemp", f"{tmp_path}/t", f"{tmp_path}/test_long.py"]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "STARTED": str(tmp_path),
    }
    run = subprocess.Popen(
        argv, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        eventually(lambda: (tmp_path / "1").exists() and (tmp_path / "2").exists())
        firsts = [int(pid) for name in "12" for pid in (tmp_path / name).read_text().split()]
        yield run, [os.pidfd_open(pid) for first in firsts for pid in (first, *below(first))]
    finally:
        run.kill()
        run.communicate()


def test_a_run_that_is_interrupted_leaves_nothing_running(running: tuple[subprocess.Popen[str], list[int]]) -> None:
    run, processes = running
    assert len(processes) > 6
    run.send_signal(signal.SIGINT)
    said, _ = run.communicate(timeout=PATIENCE)
    assert run.returncode == 130, said
    for process in processes:
        await_end(process)
        os.close(process)


def test_what_a_run_leaves_behind_is_told_and_ended() -> None:
    script = "setsid sleep 98765 & echo $!"
    run = subprocess.run(
        [sys.executable, "-m", "tests.reaper", "sh", "-c", script],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "these were left running, and are ended now: " in run.stderr
    assert not Path(f"/proc/{run.stdout.strip()}").exists()


def test_a_run_ends_with_the_code_of_its_command() -> None:
    argv = [sys.executable, "-m", "tests.reaper", "sh", "-c", "exit 7"]
    assert subprocess.run(argv, cwd=CHECKOUT, check=False).returncode == 7
