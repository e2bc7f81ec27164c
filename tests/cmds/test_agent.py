"""`hive agent run`: the turn loop from the checkout, in a container that somebody made by other means."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.conftest import Place, folder, gate, place
from tests.agent.test_harness import acknowledged
from tests.hives import CHECKOUT, TestHive

__all__ = ["folder", "gate", "place"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """As much of a checkout as an agent's container needs; no environment of libraries was made in it."""
    shutil.copy(CHECKOUT / "hive", tmp_path)
    shutil.copytree(CHECKOUT / "hive_agent", tmp_path / "hive_agent", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_it_is_the_same_process_without_a_library_or_a_hive(place: Place, checkout: Path) -> None:
    place.program("cat >/dev/null; echo it is done")
    place.gate.put("operator", "hello")
    # What the first interpreter imports it says; the one that runs the loop is isolated and says nothing.
    environment = {**place.environment, "PYTHONPROFILEIMPORTTIME": "1"}
    argv = [sys.executable, str(checkout / "hive"), "agent", "run"]
    process = subprocess.Popen(argv, env=environment, cwd=place.folder, stderr=subprocess.PIPE, text=True)
    acknowledged(place)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    imported = {line.rpartition("|")[2].strip() for line in said.splitlines()}
    assert "os" in imported
    assert not {"typer", "pygit2", "hive_core", "hive_cmds", "hive_cmds.agent"} & imported
    assert not list(checkout.rglob("__pycache__"))


def test_nothing_of_the_agents_home_is_imported(place: Place, checkout: Path) -> None:
    packages = place.folder / f".local/lib/python3.{sys.version_info[1]}/site-packages"
    packages.mkdir(parents=True)
    (packages / "tomllib.py").write_text("raise SystemExit('owned')")
    (place.state / "tomllib.py").write_text("raise SystemExit('owned')")
    place.program("cat >/dev/null")
    place.gate.put("operator", "hello")
    argv = [sys.executable, str(checkout / "hive"), "agent", "run"]
    process = subprocess.Popen(argv, env={**place.environment, "PYTHONPATH": str(place.state)}, cwd=place.state)
    acknowledged(place)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def test_it_says_what_it_lacks(checkout: Path) -> None:
    argv = [sys.executable, str(checkout / "hive"), "agent", "run"]
    environment = {"HIVE_STATE": str(checkout / "nowhere"), "HIVE_PORT": "x"}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "hive agent: HIVE_PORT is not a port's number.\n")


def test_there_is_nothing_else_to_do_with_it(hive: TestHive) -> None:
    assert "It is one of: run." in hive.run("agent", "walk", code=2).stderr
    assert "turn loop" in hive.run("agent", "--help").stdout
