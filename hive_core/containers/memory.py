"""A backend for fast tests: containers that are only remembered, in a file each. No process runs, nothing is confined.

Of a program it knows `sh -c` with `echo WORDS` and `exit CODE`, separated by `;`; all else runs until it is stopped.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hive_agent import atomic
from hive_core.arguments import agent_name
from hive_core.containers import config
from hive_core.containers.base import Activity, Container, Ended, Lock, View
from hive_core.containers.revisions import full
from hive_core.errors import BuildFailed, NotFound, Refused
from hive_core.process import run
from hive_core.settings import Settings
from hive_core.signals import readable

# What a test says that it is one by.
TESTING = "HIVE_TESTING"


class MemoryHost:
    """Containers that run nothing, below `$HIVE_HOME/containers`; implements base.Host, where each method is told."""

    def __init__(self, settings: Settings) -> None:
        if TESTING not in os.environ:
            raise Refused(
                "The backend memory runs no agent: it is for the tests of hive alone.",
                'Have backend = "local" in hive.toml, and no HIVE_BACKEND in the environment.',
            )
        self._settings = settings

    def build(self, name: str, repository: Path, revision: str, lock: Lock | None) -> None:  # noqa: ARG002
        from hive_core.git.repository import Repository

        text = Repository(repository).read(full(revision), "agent.toml")
        if text is None:
            raise BuildFailed("agent.toml is missing.", "A configuration has an agent.toml at its top.")
        config.parse(text.decode(errors="replace"))
        builds = self._folder(name) / "builds"
        builds.mkdir(parents=True, exist_ok=True)
        atomic.write(builds / revision, text.decode(errors="replace"))

    def build_together(self, builds: Mapping[str, tuple[Path, str]], lock: Lock) -> None:
        pass

    def configuration_of(self, *_: object, **__: object) -> None:
        pass  # It evaluates none.

    def switch(self, name: str, revision: str, view: View, *, run: bool) -> None:
        folder = self._folder(name)
        if not (folder / "builds" / full(revision)).is_file():
            raise BuildFailed(f"{name} has no build of {revision}.", "It has to be built first.")
        self._record(name, {**(self._known(name) or {"running": False, "run": None, "ended": None}), "has": revision})
        if run:
            self.stop(name, grace=1.0)
            self.start(name, view)

    def start(self, name: str, view: View) -> None:
        known = self._known(name)
        if known is None:
            raise NotFound(f"{name} has no container.", "Spawn it first.")
        if known["running"]:
            return
        if known["ended"]:
            # Lines are told by the millisecond: one that began in that of the last run's end could not be told from it.
            time.sleep(max(0.0, known["ended"]["at"] + 0.002 - time.time()))
        parsed = config.parse((self._folder(name) / "builds" / known["has"]).read_text())
        run = {
            "instance": os.urandom(8).hex(),
            "revision": known["has"],
            # Down, as the times of lines are: none of the run is before it.
            "started_at": time.time_ns() // 1_000_000 / 1000,
            "hive": view.lock.hive if view.lock else None,
            "key": os.urandom(32).hex(),
        }
        (self._folder(name) / "runs").touch()
        self._record(name, {**known, "running": True, "run": run, "ended": None})
        for step in _steps(parsed.command):
            if step.startswith("echo "):
                self.write(name, step.removeprefix("echo "))
            elif step.startswith("exit "):
                self.finish(name, int(step.removeprefix("exit ")))
                return
            elif step.startswith("kill -"):
                self.finish(name, 128 + signal.Signals[f"SIG{step.split()[1].removeprefix('-')}"])
                return

    def write(self, name: str, text: str) -> None:
        """Be the program of a container, and write a line."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with (self._folder(name) / "journal").open("a") as journal:
            journal.write(f"{now} {text}\n")

    def finish(self, name: str, code: int, *, out_of_memory: bool = False) -> None:
        """Be the program of a container, and end; nothing happens when it does not run."""
        known = self._known(name)
        if known is not None and known["running"]:
            ended = {"code": code, "out_of_memory": out_of_memory, "at": time.time()}
            self._record(name, {**known, "running": False, "ended": ended})
            (self._folder(name) / "runs").unlink(missing_ok=True)

    def work(self, name: str, cpu: float) -> None:
        """Be the program of a container, and have used so many seconds of the processor."""
        known = self._known(name)
        if known is not None and known["running"]:
            self._record(name, {**known, "run": {**known["run"], "cpu": cpu}})

    def activity(self, name: str) -> Activity | None:
        known = self._known(name)
        return (
            Activity(known["run"].get("cpu", 0.0), frozenset({1})) if known is not None and known["running"] else None
        )

    def stop(self, name: str, *, grace: float) -> None:
        self.finish(name, 128 + (signal.SIGTERM if grace else signal.SIGKILL))

    def end(self, name: str, *, grace: float) -> None:
        self.stop(name, grace=grace)

    def destroy(self, name: str) -> None:
        self.stop(name, grace=0)
        shutil.rmtree(self._folder(name), ignore_errors=True)

    def containers(self) -> dict[str, Container]:
        root = self._settings.containers
        names = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
        return {name: found for name in names if (found := self.container(name)) is not None}

    def container(self, name: str) -> Container | None:
        known = self._known(name)
        if known is None:
            return None
        run, has, running = known["run"] or {}, known["has"], known["running"]
        ended = Ended(**known["ended"]) if known["ended"] else None
        revision = run["revision"] if running else has
        instance = run["instance"] if running else None
        return Container(name, running, instance, revision, has, run.get("started_at"), ended, run.get("hive"))

    def journal(self, name: str, lines: int, units: Sequence[str] = (), *, since: float = 0.0) -> list[str]:  # noqa: ARG002
        found = self._lines(name)[-lines:] if lines > 0 else []
        return [line for line in found if _written_at(line) >= since - 0.001]

    def follow_journal(self, name: str, lines: int, units: Sequence[str] = ()) -> Iterator[str]:
        from inotify_simple import INotify, flags

        seen = len(self._lines(name))
        with INotify() as watch:
            watch.add_watch(str(self._folder(name)), flags.MODIFY | flags.CREATE | flags.DELETE_SELF)
            yield from self.journal(name, lines, units)
            while self._folder(name).is_dir():
                further = self._lines(name)[seen:]
                seen += len(further)
                yield from further
                readable([watch.fileno()])
                watch.read(timeout=0)

    def cli(self, name: str) -> str | None:  # noqa: ARG002
        return None

    def capabilities(self) -> list[tuple[str, bool | None, str]]:
        return [("sandbox", False, "memory: no agent runs, and nothing is kept from one")]

    def users(self) -> range | None:
        return None

    def page_host(self, name: str) -> str:  # noqa: ARG002
        return "127.0.0.1"

    def port_in_use(self, port: int) -> bool:  # noqa: ARG002
        return False

    def listeners(self, ports: Iterable[int]) -> Mapping[int, set[int]]:  # noqa: ARG002
        return {}

    def page_key(self, name: str) -> str | None:
        known = self._known(name)
        return str(known["run"]["key"]) if known is not None and known["running"] else None

    def enter(self, name: str, view: View, command: Sequence[str]) -> int:  # noqa: ARG002
        raise Refused(f"Nothing of {name} runs that could be entered.", "The backend memory is for tests alone.")

    def errand(self, name: str, view: View, source: str, arguments: Sequence[str], *, seconds: float) -> str:
        self._lines(name)
        there = [str(view.read_write.get(argument, argument)) for argument in arguments]
        return run([sys.executable, "-I", "-S", "-c", source, *there], timeout=seconds).stdout

    def leftovers(self, name: str, *, dry: bool) -> int:
        known, builds = self._known(name), self._folder(name) / "builds"
        if known is None:
            return 0
        kept = {known["has"], (known["run"] or {}).get("revision")}
        doomed = [path for path in builds.iterdir() if path.name not in kept]
        freed = sum(path.stat().st_size for path in doomed)
        for path in doomed if not dry else ():
            path.unlink()
        return freed

    def shared_leftovers(self, lock: Lock, *, dry: bool) -> int:  # noqa: ARG002
        return 0

    def usage(self, name: str) -> Mapping[str, int]:
        self._lines(name)
        builds = (self._folder(name) / "builds").iterdir()
        journal = sum(len(line.encode()) + 1 for line in self._lines(name))
        return {"builds": sum(path.stat().st_size for path in builds), "journal": journal}

    def launching(self) -> AbstractContextManager[str | None]:
        return nullcontext()

    def severed(self, name: str) -> bool:  # noqa: ARG002
        # Nothing runs in it that could hold anything.
        return False

    def container_of(self, pid: int) -> str | None:  # noqa: ARG002
        return None

    def exits(self, names: Sequence[str]) -> Mapping[str, int]:
        from inotify_simple import INotify, flags

        found = {}
        for name in names:
            watch = INotify()
            try:
                watch.add_watch(str(self._folder(name) / "runs"), flags.DELETE_SELF | flags.ATTRIB)
            except FileNotFoundError:
                watch.close()
                continue
            found[name] = os.dup(watch.fileno())
            watch.close()
        return found

    def _folder(self, name: str) -> Path:
        return self._settings.containers / agent_name(name)

    def _known(self, name: str) -> dict[str, Any] | None:
        try:
            known: dict[str, Any] = json.loads((self._folder(name) / "container.json").read_text())
        except FileNotFoundError:
            return None
        return known

    def _record(self, name: str, known: Mapping[str, Any]) -> None:
        atomic.write(self._folder(name) / "container.json", json.dumps(known))

    def _lines(self, name: str) -> list[str]:
        if not self._folder(name).is_dir():
            raise NotFound(f"There is no container {name}.")
        try:
            return (self._folder(name) / "journal").read_text().splitlines()
        except FileNotFoundError:
            return []


def _written_at(line: str) -> float:
    return datetime.fromisoformat(line.partition(" ")[0]).timestamp()


def _steps(command: Sequence[str]) -> list[str]:
    """What a program does, as far as it is known here."""
    script = command[2] if tuple(command[:2]) == ("sh", "-c") and len(command) == 3 else ""
    known = re.compile(r"echo .+|exit \d+|kill -[A-Z]+ \$\$")
    return [step for part in script.split(";") if known.fullmatch(step := part.strip())]
