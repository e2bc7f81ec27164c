"""A container's worth of surroundings for the harness: a gate, folders, an environment, and the process itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stand_ins.gate import Gate

ROOT = Path(__file__).resolve().parents[2]


class Place:
    """What one agent has. start, kill: the harness in a process of its own."""

    def __init__(self, folder: Path, gate: Gate) -> None:
        self.folder = folder
        self.gate = gate
        self.state = folder / "state"
        self.login = folder / "claude"
        self.state.mkdir()
        self.login.mkdir()
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "CLAUDE_CODE_TMPDIR": str(folder),
            "CLAUDE_CONFIG_DIR": str(self.login),
            "HIVE_SOCKET": str(gate.path),
            "HIVE_STATE": str(self.state),
            "HIVE_CONFIG": str(folder / "agent.toml"),
            "HIVE_LABEL": gate.name,
            "HIVE_RETRY_SECONDS": "0.1",
        }

    def configure(self, **values: object) -> None:
        """Write agent.toml; JSON's strings and arrays are TOML's too, a mapping becomes an inline table."""
        lines = [f"{key} = {_toml(value)}" for key, value in values.items()]
        (self.folder / "agent.toml").write_text("\n".join(lines))

    def program(self, text: str) -> None:
        """Have the runner `exec` run a shell script."""
        path = self.folder / "program"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        self.configure(runner="exec", command=[str(path)])

    def log_in(self, token: str) -> None:
        """Put credentials there as the CLI does: written beside, then renamed."""
        login = {"accessToken": token, "refreshToken": "fake", "expiresAt": 4102444800000, "scopes": ["user:inference"]}
        beside = self.login / "new"
        beside.write_text(json.dumps({"claudeAiOauth": login}))
        beside.rename(self.login / ".credentials.json")

    def start(self) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-I", str(ROOT / "hive_agent"), "run"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, env=self.environment, cwd=self.folder, stderr=log)
        return self.process

    def stop(self) -> int:
        """End the harness as a container's stop does; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name: a socket's path has at most 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="hive-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def gate(folder: Path) -> Iterator[Gate]:
    with Gate(folder / "agent.sock") as running:
        yield running


@pytest.fixture
def place(folder: Path, gate: Gate) -> Iterator[Place]:
    made = Place(folder, gate)
    yield made
    if made.process is not None and made.process.poll() is None:
        assert made.stop() == 0, made.log
