"""The embedded backend: each agent a supervised process tree on this machine, in the strongest sandbox it offers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hive_agent import LOOPBACK, atomic
from hive_agent.clis import CLIS
from hive_core.arguments import agent_name
from hive_core.containers.base import AGENT_USERS, GRACE, Activity, Container, Lock, View
from hive_core.containers.local import journal, listeners, records
from hive_core.containers.local.supervisors import end, hold
from hive_core.containers.revisions import full
from hive_core.errors import BuildFailed, HiveError, NotFound, Refused
from hive_core.loopback import in_use
from hive_core.settings import Settings

if TYPE_CHECKING:
    from hive_core.containers.config import AgentConfig
    from hive_core.containers.local.sandbox import Inside, Sandbox

PAGE_KEY = "page-key"
# Where a container sees the harness.
_HARNESS = "/hive/hive_agent"


class LocalHost:
    """Containers below `$HIVE_HOME/containers`; implements base.Host, where each method is described.

    sandbox: use this one instead of the strongest the machine offers, whatever it may be. harness: the argv of another
    turn loop than the revision's own.
    """

    def __init__(
        self, settings: Settings, sandbox: Sandbox | None = None, harness: tuple[str, ...] | None = None
    ) -> None:
        self._settings = settings
        self._sandbox = sandbox
        self._harness = harness

    def build(self, name: str, repository: Path, revision: str, lock: Lock | None) -> None:
        from hive_core.containers.local import generations, harness, programs
        from hive_core.containers.local.program import check_program, read_config

        folder = self._folder(name)
        generation = generations.export(folder / "generations", repository, full(revision))
        check_program(read_config(generation), generation)
        programs.inside(self._settings)
        if lock is not None:
            harness.export(self._settings, lock)

    def build_together(self, builds: Mapping[str, tuple[Path, str]], lock: Lock) -> None:
        pass  # A build here is an export of some files.

    def configuration_of(self, *_: object, **__: object) -> None:
        pass  # It evaluates none.

    def switch(self, name: str, revision: str, view: View, *, run: bool) -> None:
        from hive_core.containers.local import generations

        folder = self._folder(name)
        if not (folder / "generations" / full(revision)).is_dir():
            raise BuildFailed(f"{name} has no build of {revision}.", "It has to be built first.")
        before = records.current(folder)
        atomic.link(folder / "current", f"generations/{revision}")
        if run:
            self.stop(name, grace=GRACE)
            self.start(name, view)
        if before != revision:
            running = records.read_container(folder)
            keep = {revision, before, running.revision if running else None}
            generations.prune(folder / "generations", {item for item in keep if item is not None})

    def start(self, name: str, view: View) -> None:
        from hive_core.containers.local import launcher
        from hive_core.containers.local.choice import forget
        from hive_core.containers.local.program import read_config

        folder = self._folder(name)
        container = records.read_container(folder)
        if container is None or container.revision is None:
            raise NotFound(f"{name} has no container.", "Spawn it first.")
        if container.running:
            return
        self._sweep(folder)
        generation = (folder / "generations" / container.revision).resolve()
        config = read_config(generation)
        sandbox = self._choose(folder)
        key = _new_page_key(folder)
        harness = config.runner != "command"
        if harness:
            # By standard input: an environment can be read by every process of its user, as long as it lives. For
            # the same reason what the agent's programs are given (LD_PRELOAD!) is no environment of the harness.
            view = view._replace(environment={**view.environment, "HIVE_PAGE_TOKEN_FD": "0"})
            config = replace(config, environment={})
        view = self._with_harness(folder, view)
        if harness and view.lock is not None and _HARNESS not in view.read_only:
            raise HiveError(
                f"The revision {view.lock.hive[:12]} that the meta flake locks for hive holds no hive.",
                "`hive meta-update hive` locks another one.",
            )
        inside = self._inside(folder, config, generation, view)
        values = _launch_values(inside, sandbox, folder, container.revision)
        values["input"] = key if harness else ""
        try:
            launcher.start(self._settings, self._order(name, folder, config, sandbox, values))
        except HiveError as error:
            forget(self._remembered)
            self.stop(name, grace=0)
            if harness and isinstance(error, BuildFailed):
                # The turn loop is hive's: where it cannot be run, no configuration is to blame.
                raise HiveError(error.message, error.hint) from error
            raise

    def stop(self, name: str, *, grace: float) -> None:
        self.end(name, grace=grace)
        self._sweep(self._folder(name))

    def end(self, name: str, *, grace: float) -> None:
        run = records.read_run(self._folder(name))
        supervisor = hold(run) if run else None
        if supervisor is not None:
            try:
                end(supervisor, grace)
            finally:
                os.close(supervisor)

    def destroy(self, name: str) -> None:
        from hive_core.containers.local import generations

        folder = self._folder(name)
        self.stop(name, grace=GRACE)
        # Renamed first: the container is there whole, or not at all.
        doomed = folder.with_name(f".{name}")
        generations.remove(doomed)
        if folder.is_dir():
            folder.rename(doomed)
            generations.remove(doomed)

    def containers(self) -> dict[str, Container]:
        return records.read_all(self._settings.containers)

    def container(self, name: str) -> Container | None:
        return records.read_container(self._folder(name))

    def journal(self, name: str, lines: int, units: Sequence[str] = (), *, since: float = 0.0) -> list[str]:  # noqa: ARG002
        # The harness is all that runs in a container here, so each of its units is the whole journal.
        return journal.since(journal.tail(self._existing(name) / "journal", lines), since)

    def follow_journal(self, name: str, lines: int, units: Sequence[str] = ()) -> Iterator[str]:  # noqa: ARG002
        return journal.follow(self._existing(name) / "journal", lines)

    def activity(self, name: str) -> Activity | None:
        from hive_core.containers.local import activity

        folder = self._folder(name)
        run = records.read_run(folder)
        if run is None or not run.supervisor.alive():
            return None
        return activity.of(run.supervisor.pid, records.read_list(folder / "groups.json"))

    def users(self) -> range | None:
        return AGENT_USERS if os.geteuid() == 0 else None

    def page_host(self, name: str) -> str:  # noqa: ARG002
        # Containers have the network of the machine.
        return LOOPBACK

    def port_in_use(self, port: int) -> bool:
        return in_use(port)

    def listeners(self, ports: Iterable[int]) -> Mapping[int, set[int]]:
        return listeners.listeners(ports)

    def page_key(self, name: str) -> str | None:
        folder = self._folder(name)
        container = records.read_container(folder)
        return records.read_key(folder / PAGE_KEY) if container is not None and container.running else None

    def enter(self, name: str, view: View, command: Sequence[str]) -> int:
        from hive_core.containers.local import membership, terminal
        from hive_core.containers.local.program import read_config

        folder = self._existing(name)
        container = records.read_container(folder)
        if container is None or container.revision is None:
            raise NotFound(f"{name} has no container.", "Spawn it first.")
        generation = (folder / "generations" / container.revision).resolve()
        inside = self._inside(folder, read_config(generation), generation, self._with_harness(folder, view))
        groups = records.read_list(folder / "groups.json") if container.running else []
        with membership.entering(folder):
            return terminal.enter(inside, self._choose(folder), command, groups)

    def errand(self, name: str, view: View, source: str, arguments: Sequence[str], *, seconds: float) -> str:
        from hive_core.containers.local import errand, programs
        from hive_core.containers.local.sandbox import defaults

        box = programs.Programs()
        command = (programs.python(box), "-I", "-S", "-B", "-c", source, *arguments)
        folder = self._existing(name)
        inside = self._described(folder, command, defaults(), view, box.read_only)
        return errand.run(inside, self._choose(folder), seconds)

    def leftovers(self, name: str, *, dry: bool) -> int:
        from hive_core.containers.local import leftovers

        return leftovers.of_container(self._folder(name), dry=dry)

    def shared_leftovers(self, lock: Lock, *, dry: bool) -> int:
        from hive_core.containers.local import leftovers

        return leftovers.shared(self._settings, lock, dry=dry)

    def usage(self, name: str) -> Mapping[str, int]:
        from hive_core.hostile_folders import measure

        folder = self._existing(name)
        files = (path.stat() for path in folder.glob("journal*"))
        return {"builds": measure(folder / "generations").size, "journal": sum(found.st_size for found in files)}

    def launching(self) -> AbstractContextManager[str | None]:
        from hive_core.containers.local import launcher

        return launcher.serving(self._settings)

    def severed(self, name: str) -> bool:
        from hive_core.containers.local import membership

        run = records.read_run(self._folder(name))
        return run is not None and run.supervisor.alive() and membership.holds_removed(run.supervisor.pid, "/run/hive")

    def container_of(self, pid: int) -> str | None:
        from hive_core.containers.local.membership import container_of

        return container_of(pid, self._settings.containers)

    def exits(self, names: Sequence[str]) -> Mapping[str, int]:
        found = {}
        for name in names:
            run = records.read_run(self._folder(name))
            supervisor = hold(run) if run else None
            if supervisor is not None:
                found[name] = supervisor
        return found

    def cli(self, name: str) -> str | None:
        from hive_core.containers.local import programs

        return programs.inside(self._settings).environment.get(CLIS[name].variable)

    def capabilities(self) -> list[tuple[str, bool | None, str]]:
        """What this machine offers to keep agents apart and within limits: (what, whether, in words)."""
        from hive_core.containers.local.capabilities import look

        return list(look(self._settings))

    @property
    def _remembered(self) -> Path:
        return self._settings.home / "cache" / "sandbox.json"

    def _folder(self, name: str) -> Path:
        return self._settings.containers / agent_name(name)

    def _existing(self, name: str) -> Path:
        folder = self._folder(name)
        if not folder.is_dir():
            raise NotFound(f"There is no container {name}.")
        return folder

    def _choose(self, folder: Path) -> Sandbox:
        """The sandbox to use; never none where there was one, or a failing probe would set an agent free."""
        from hive_core.containers.local.choice import choose
        from hive_core.containers.local.sandbox import Sandbox

        if self._sandbox is not None:
            return self._sandbox
        sandbox, last = choose(self._remembered), records.read_run(folder)
        if sandbox is Sandbox.NONE and last is not None and last.sandbox != Sandbox.NONE.value:
            raise Refused(
                f"{folder.name} ran in a sandbox ({last.sandbox}) before, and this machine offers none any more.",
                "See `hive doctor`.",
            )
        return sandbox

    def _with_harness(self, folder: Path, view: View) -> View:
        """The view with the harness in it, where the locked revision holds one."""
        from hive_core.containers.local import harness

        if view.lock is None:
            return view
        found = harness.use(self._settings, folder, view.lock)
        return view._replace(read_only={**view.read_only, _HARNESS: found}) if found.is_dir() else view

    def _inside(self, folder: Path, config: AgentConfig, generation: Path, view: View) -> Inside:
        from hive_core.containers.local import programs
        from hive_core.containers.local.program import program
        from hive_core.containers.local.sandbox import defaults

        tools = programs.inside(self._settings)
        environment = {**defaults(), **config.environment, **view.environment, **tools.environment}
        command = program(config, self._harness or tools.harness)
        return self._described(folder, command, environment, view, {**tools.read_only, "/config": generation})

    def _described(
        self,
        folder: Path,
        command: tuple[str, ...],
        environment: Mapping[str, str],
        view: View,
        read_only: Mapping[str, Path],
    ) -> Inside:
        """What a command sees that runs as the agent: what the view shows, and these files and folders."""
        from hive_core.containers import private
        from hive_core.containers.local.sandbox import Inside, check

        root = folder / "root"
        root.mkdir(mode=0o700, exist_ok=True)
        inside = Inside(
            name=folder.name,
            uid=view.uid,
            command=command,
            environment=environment,
            read_write={target: self._real(source) for target, source in view.read_write.items()},
            read_only={to: self._real(source) for to, source in {**view.read_only, **read_only}.items()},
            root=str(root.resolve()),
            private=private.find(self._settings),
        )
        check(inside)
        return inside

    def _real(self, source: Path) -> str:
        """The path with the links that lead to hive's own folders resolved; those below are the sandbox's to refuse."""
        for base in (self._settings.home, self._settings.run):
            if source.is_relative_to(base):
                return str(base.resolve() / source.relative_to(base))
        return str(source)

    def _order(
        self, name: str, folder: Path, config: AgentConfig, sandbox: Sandbox, values: dict[str, object]
    ) -> dict[str, Any]:
        """What is to be started, for whoever starts it."""
        from hive_core.containers.local import cgroups
        from hive_core.containers.local.sandbox import Sandbox

        bare = sandbox is Sandbox.NONE
        return {
            "folder": str(folder.resolve()),
            "group": cgroups.place(str(self._settings.home), name),
            "limits": [config.limits.memory, config.limits.processes, config.limits.cpu],
            # The sandbox's own two processes are not the agent's, and do not count as such.
            "own": 0 if bare else 2,
            "values": {**values, "notice": f"sandbox: {sandbox.sentence}" if bare else None},
        }

    def _sweep(self, folder: Path) -> None:
        """Kill and remove what a supervisor that was killed left in its control group."""
        from hive_core.containers.local import cgroups

        groups = records.read_list(folder / "groups.json")
        if not cgroups.kill(groups):
            raise HiveError(f"Some processes of {folder.name} could not be killed; they are stuck in the kernel.")
        cgroups.remove(groups)


def _new_page_key(folder: Path) -> str:
    """A key for the page of a new start, that is nobody's yet.

    A new one each time: while the agent was down, any process may have listened on its port and been given the old.
    """
    key = os.urandom(32).hex()
    records.write_key(folder / PAGE_KEY, key)
    return key


def _launch_values(inside: Inside, sandbox: Sandbox, folder: Path, revision: str) -> dict[str, object]:
    from hive_core.containers.local.sandbox import ARGV, Sandbox, on_the_machine, outer_environment

    bare = sandbox is Sandbox.NONE
    seen = on_the_machine(inside) if bare else inside
    return {
        "name": inside.name,
        "folder": str(folder.resolve()),
        "instance": os.urandom(8).hex(),
        "revision": revision,
        "program": inside.command[0],
        "argv": ARGV[sandbox](inside),
        "environment": outer_environment(seen),
        "workdir": seen.workdir if bare else "/",
        "levels": 1 if bare else 2,
        "sandbox": sandbox.value,
    }
