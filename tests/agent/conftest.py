"""A container's worth of surroundings for the harness: a gate, folders, an environment, and the process itself."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from tests.agent import harnesses
from tests.forking import Started
from tests.stand_ins.gate import Gate
from tests.stand_ins.scripted import ScriptedApi

if TYPE_CHECKING:
    from tests.agent.talk import Talk

ROOT = Path(__file__).resolve().parents[2]

Api = TypeVar("Api", bound=ScriptedApi)


class Place:
    """What one agent has. start, kill: the harness in a process of its own."""

    def __init__(self, folder: Path, gate: Gate) -> None:
        self.folder = folder
        self.gate = gate
        self.state = folder / "state"
        self.login = folder / "claude"
        self.codex = folder / "codex"
        for own in (self.state, self.login, self.codex):
            own.mkdir()
        self.process: Started | None = None
        self._started: list[Started] = []
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "CLAUDE_CODE_TMPDIR": str(folder),
            "CLAUDE_CONFIG_DIR": str(self.login),
            "CODEX_HOME": str(self.codex),
            "HIVE_SOCKET": str(gate.path),
            "HIVE_STATE": str(self.state),
            "HIVE_CONFIG": str(folder / "agent.toml"),
            "HIVE_LABEL": gate.name,
            "HIVE_RETRY_SECONDS": "0.02",
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

    def log_in(self, token: str, cli: str = "claude") -> None:
        """Put credentials there as a CLI does: written beside, then renamed."""
        login = {"accessToken": token, "refreshToken": "fake", "expiresAt": 4102444800000, "scopes": ["user:inference"]}
        folder, name, content = {
            "claude": (self.login, ".credentials.json", {"claudeAiOauth": login}),
            "codex": (self.codex, "auth.json", {"auth_mode": "apikey", "OPENAI_API_KEY": token}),
        }[cli]
        beside = folder / "new"
        beside.write_text(json.dumps(content))
        beside.rename(folder / name)

    def change_settings(self, cli: str) -> None:
        """Write a CLI's own settings anew, which say what they said."""
        file, empty = {"claude": (self.login / "settings.json", "{}"), "codex": (self.codex / "config.toml", "")}[cli]
        file.write_text((file.read_text() if file.exists() else empty) + "\n")

    def start(self) -> Started:
        self.process = harnesses.start(self.environment, self.folder)
        self._started.append(self.process)
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

    def leave(self) -> None:
        """Stop what still runs, well."""
        try:
            if self.process is not None and self.process.poll() is None:
                assert self.stop() == 0, self.log
        finally:
            for started in self._started:
                started.kill()
                started.communicate()

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @contextmanager
    def served_by(self, api: Api, **environment: str) -> Iterator[Api]:
        """Run the harness with a scripted service that the environment names."""
        with api:
            self.environment.update(environment)
            self.start()
            try:
                yield api
            finally:
                if self.process is not None and self.process.poll() is None:
                    assert self.stop() == 0, self.log

    def install(self, name: str, program: str | None) -> None:
        """Put a program on the PATH, first."""
        assert program is not None
        programs = self.folder / "bin"
        programs.mkdir(exist_ok=True)
        (programs / name).unlink(missing_ok=True)
        (programs / name).symlink_to(program)
        if not self.environment["PATH"].startswith(f"{programs}:"):
            self.environment["PATH"] = f"{programs}:{self.environment['PATH']}"

    def acknowledged(self, count: int = 1) -> None:
        """Wait until so many messages are done with."""
        done = lambda gate: sum(message.state == "acknowledged" for message in gate.inbox) >= count  # noqa: E731
        self.gate.wait(done, f"{count} acknowledged")

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """What the record says."""
        with closing(sqlite3.connect(self.state / "events.sqlite")) as db:
            return db.execute(query).fetchall()

    def cli(self) -> int:
        """The process id of the CLI that the harness runs now."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        assert len(children) == 1
        return int(children[0])


def ended(pidfd: int, seconds: float = 30) -> bool:
    """Wait for the end of a process."""
    return bool(select.select([pidfd], [], [], seconds)[0])


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)


@contextmanager
def a_folder() -> Iterator[Path]:
    """A folder with a short name: a socket's path has at most 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="hive-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def a_place() -> Iterator[Place]:
    with a_folder() as folder, Gate(folder / "agent.sock") as gate:
        made = Place(folder, gate)
        try:
            yield made
        finally:
            made.leave()


@pytest.fixture
def folder() -> Iterator[Path]:
    with a_folder() as path:
        yield path


@pytest.fixture
def gate(folder: Path) -> Iterator[Gate]:
    with Gate(folder / "agent.sock") as running:
        yield running


@pytest.fixture
def place(folder: Path, gate: Gate) -> Iterator[Place]:
    made = Place(folder, gate)
    yield made
    made.leave()


@pytest.fixture
def talk(talks: Talk) -> Iterator[Talk]:
    """The conversation that the tests of a module share, which is its fixture `talks`: an agent's, whose login is a fake key."""
    talks.begin()
    yield talks
    talks.end()
