"""A hive's home on this machine, driven as one user in one sandbox by real processes, watched by the test's own."""

from __future__ import annotations

import functools
import json
import os
import select
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pygit2
from inotify_simple import INotify, flags

from hive_core import errors
from hive_core.containers.base import Container
from hive_core.containers.local import records
from hive_core.containers.local.host import LocalHost
from hive_core.containers.local.tree import below
from hive_core.hostile_folders import remove
from hive_core.settings import from_environment
from tests.forking import ForkServer
from tests.git import commit_all
from tests.hives import remember_sandbox
from tests.users import CHECKOUT, become, packages_of, runnable

DRIVER = Path(__file__).resolve().with_name("driver.py").relative_to(CHECKOUT)
# Nothing here takes a second; whoever waits this long has found a bug.
DEADLINE = 30.0
AGENT = 70001


def driver(user: int | None) -> tuple[str, str, Path]:
    """The interpreter, the driver's file and the libraries, as this user can run them."""
    python, checkout = runnable(user)
    return python, str(checkout / DRIVER), packages_of(checkout)


@dataclass
class Machine:
    """One home. user: who hive runs as, None for the user of the tests. sandbox: None for what the machine offers."""

    home: Path
    sandbox: str | None
    user: int | None
    environment: dict[str, str] = field(default_factory=dict)
    repositories: dict[str, pygit2.Repository] = field(default_factory=dict)

    @property
    def root(self) -> bool:
        return os.geteuid() == 0 and self.user is None

    @property
    def uid(self) -> int:
        """The user that agents run as."""
        return AGENT if self.root else self.user or os.geteuid()

    @property
    def host(self) -> LocalHost:
        """For looking only: changes that a test is about are made by processes of the right user."""
        return LocalHost(from_environment({"HIVE_HOME": str(self.home), "HIVE_RUN": f"{self.home}/run"}))

    def ask(self, do: str, **what: Any) -> Any:
        """Have a process of hive's user do it; raises what it raised."""
        asked = {"do": do, "home": str(self.home), "sandbox": self.sandbox, **what}
        request = {"asked": asked, "environment": self._environ(), "cwd": "/"}
        done = _server(os.getpid(), self.user).ask(request, DEADLINE)
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        if "refused" in answer:
            raise getattr(errors, answer["refused"])(answer["message"])
        return answer["answer"]

    def modules(self) -> set[str]:
        """What such a process has imported when it has listed the containers, beyond what every Python here does."""
        python, program, _ = driver(self.user)
        asked = json.dumps({"do": "modules", "home": str(self.home), "sandbox": self.sandbox})
        bare = "import sys, json; print(json.dumps({'answer': [*sys.modules]}))"
        found = []
        for argv in ([program, asked], ["-c", bare]):
            call = [*self._become(), python, *argv]
            done = subprocess.run(call, check=True, capture_output=True, text=True, env=self._environ(), cwd="/")
            found.append(set(json.loads(done.stdout)["answer"]))
        return found[0] - found[1]

    def _become(self) -> list[str]:
        return become(self.user)

    def _environ(self) -> dict[str, str]:
        packages = {"PYTHONPATH": str(driver(self.user)[2])}
        return {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_GLOBAL": "/dev/null",
            **packages,
            **self.environment,
        }

    def state(self, name: str) -> Path:
        folder = self.home / "agents" / name / "state"
        if not folder.exists():
            folder.mkdir(parents=True)
            self.give(folder, self.uid)
        return folder

    def give(self, path: Path, uid: int) -> None:
        if os.geteuid() == 0:
            os.chown(path, uid, uid)

    def commit(self, name: str, files: dict[str, str | bytes]) -> str:
        """Commit to the applied repository of an agent; returns the full sha."""
        repository = self.home / "applied" / name
        if name not in self.repositories:
            self.repositories[name] = pygit2.init_repository(str(repository))
        for path, text in files.items():
            file = repository / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode() if isinstance(text, str) else text)
            file.chmod(0o755 if file.suffix == ".sh" else 0o644)
        revision = commit_all(self.repositories[name])
        if self.user is not None:
            for made in (repository.parent, repository, *repository.rglob("*")):
                self.give(made, self.user)
        return revision

    def view(self, name: str, **shown: Any) -> dict[str, Any]:
        """The view of an agent as the driver takes it."""
        return {
            "uid": AGENT if self.root else None,
            "read_write": {"/state": str(self.state(name)), **shown.get("read_write", {})},
            "read_only": shown.get("read_only", {}),
            "environment": {"HIVE_AGENT": name},
            "harness": shown.get("harness", ()),
        }

    def build(self, name: str, files: dict[str, str | bytes]) -> str:
        revision = self.commit(name, files)
        self.ask("build", name=name, repository=str(self.home / "applied" / name), revision=revision)
        return revision

    def run(self, name: str, *command: str, more: str = "", view: dict[str, Any] | None = None) -> str:
        """Build and start an agent that runs `command`; `more` is further TOML. Returns the revision."""
        revision = self.commit(name, {"agent.toml": f"command = {json.dumps(list(command))}\n{more}"})
        what = {"repository": str(self.home / "applied" / name), "revision": revision}
        self.ask("build and switch", name=name, **what, view=view or self.view(name), run=True)
        return revision

    def container(self, name: str) -> Container:
        return self.host.containers()[name]

    def end(self, name: str) -> Container:
        """The container after it has ended by itself."""
        for descriptor in self.host.exits([name]).values():
            await_end(descriptor)
        container = self.container(name)
        assert not container.running
        return container

    def written(self, name: str) -> list[str]:
        """What the container wrote, without the times."""
        return [line.split(" ", 1)[1] for line in self.host.journal(name, 100_000)]

    def await_line(self, name: str, text: str) -> None:
        """Wait until the container has written a line with `text`."""
        with INotify() as watch:
            watch.add_watch(str(self.home / "containers" / name), flags.MODIFY | flags.CREATE | flags.MOVED_TO)
            while not any(text in line for line in self.written(name)):
                assert watch.read(timeout=DEADLINE * 1000), f"{text!r} never came; there is: {self.written(name)}"

    def supervisor(self, name: str) -> int:
        run = records.read_run(self.home / "containers" / name)
        assert run is not None
        return run.supervisor.pid

    @contextmanager
    def held(self, name: str) -> Iterator[dict[int, int]]:
        """Descriptors of the supervisor and everything below it, by pid; what ended meanwhile is left out."""
        first = self.supervisor(name)
        found = {first: os.pidfd_open(first)}
        for pid in below(first):
            with suppress(ProcessLookupError):
                found[pid] = os.pidfd_open(pid)
        try:
            yield found
        finally:
            for descriptor in found.values():
                os.close(descriptor)


@functools.cache
def _server(_of: int, user: int | None) -> ForkServer:
    """What forks the processes that a user's machines ask."""
    python, program, packages = driver(user)
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONPATH": str(packages)}
    return ForkServer([*become(user), python, program, "--serve"], environment, "/")


def await_end(process: int) -> None:
    """Wait until the process of this descriptor is gone."""
    poll = select.poll()
    poll.register(process, select.POLLIN)
    assert poll.poll(DEADLINE * 1000), "a process lives on"


@contextmanager
def machine(sandbox: str | None, user: int | None) -> Iterator[Machine]:
    """A fresh home that its user can reach; whatever runs there at the end is stopped."""
    home = Path(tempfile.mkdtemp(prefix="hive-test-")).resolve()
    made = Machine(home, sandbox, user)
    home.chmod(0o711)
    made.give(home, user or 0)
    (home / "hive.db").write_text("secret of hive")
    (home / "hive.db").chmod(0o600)
    made.give(home / "hive.db", user or 0)
    if user is None:
        remember_sandbox(home / "cache")
    try:
        yield made
    finally:
        for name in made.host.containers():
            made.host.destroy(name)
        remove(home)


@functools.cache
def failures(user: int | None) -> dict[str, str | None]:
    """What each sandbox fails with where this user starts it, as on a machine that is a container itself."""
    with machine(None, user) as made:
        found: dict[str, str | None] = made.ask("probe")
        return found
