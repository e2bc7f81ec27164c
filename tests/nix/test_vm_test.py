"""The test in a virtual machine, as far as it goes without one: its machine is evaluated, its script played by a hive."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.hives import CHECKOUT, PATIENCE, TestHive, eventually, line_of
from tests.needs import needs_nix
from tests.nix.evaluating import NIX, evaluate, machine, packages

__all__ = ["packages"]
pytestmark = needs_nix
TEST = f"(import {NIX}/vm-test.nix {{ }})"


class Machine:
    """Plays the driver's machine: hive's commands are carried out, systemd's and other users' are taken as done."""

    def __init__(self, hive: TestHive) -> None:
        self.hive, self.asked = hive, list[str]()

    def wait_for_unit(self, unit: str) -> None:
        self.asked.append(unit)

    def succeed(self, command: str) -> str:
        done = self._run(command)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def wait_until_succeeds(self, command: str) -> None:
        eventually(lambda: self._run(command).returncode == 0)

    def _run(self, command: str) -> subprocess.CompletedProcess[str]:
        self.asked.append(command)
        if not command.startswith("hive "):
            return subprocess.CompletedProcess(command, 0, "", "")
        words = ["sh", "-c", f"{sys.executable} {CHECKOUT}/{command}"]
        return subprocess.run(
            words, env=self.hive.environment, capture_output=True, text=True, check=False, timeout=PATIENCE
        )


def test_its_machine_is_one_that_the_module_takes(packages: Path, tmp_path: Path) -> None:
    made = machine(packages, tmp_path, f"{TEST}.nodes.machine")
    assert made["refused"] == []
    assert made["groups"]["hive"]["members"] == ["alice"]
    assert "hive" in made["services"]


def test_its_script_holds_of_a_hive(hive: TestHive, tmp_path: Path) -> None:
    node = evaluate(tmp_path, f"{TEST}.nodes.machine.services.hive")
    hive.home.mkdir(mode=0o700)
    new = node["settings"]["new_agents"]
    text = f'pronouns = "{node["operatorPronouns"]}"\n[new_agents]\nrunner = "{new["runner"]}"\n'
    (hive.home / "hive.toml").write_text(f"{text}command = {json.dumps(new['command'])}\n")
    up = hive.start("up")
    assert line_of(up)
    played = Machine(hive)
    exec(evaluate(tmp_path, f"{TEST}.testScript"), {"machine": played})
    assert "hive.service" in played.asked
    assert sum(command.startswith("hive ") for command in played.asked) >= 5
