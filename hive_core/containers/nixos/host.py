"""The backend for NixOS: nix builds each agent's system, nixos-container and systemd run it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hive_core.containers.base import GRACE, Activity, Container, Host, Lock, View
from hive_core.containers.nixos import builds, descriptions, files, nix, places, units
from hive_core.containers.nixos.files import LastStart
from hive_core.containers.nixos.units import ContainerUnit
from hive_core.containers.nixos.workrooms import sweep, workroom
from hive_core.containers.revisions import full
from hive_core.errors import BuildFailed, HiveError, NotFound, Refused
from hive_core.process import Owner, boot_id, lines_of
from hive_core.settings import Settings

if TYPE_CHECKING:
    from hive_core.containers.nixos.places import Places

# Numbers of no account, from systemd's range for containers: each has 65536 users, of which this one is the agent's.
USERS = range(0x1000_0000 + files.AGENT, 0x6000_0000, 0x1_0000)


class NixosHost:
    """Containers of nixos-container's, remembered below `$HIVE_HOME/containers`; implements base.Host."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def build(self, name: str, repository: Path, revision: str, lock: Lock | None) -> None:
        if lock is None:
            raise HiveError(f"{name} cannot be built without the meta flake's lock.")
        places.of(name)
        builds.build(self._folder(name), name, repository, full(revision), lock)

    def build_together(self, builds_: Mapping[str, tuple[Path, str]], lock: Lock) -> None:
        wanted = {name: (self._folder(name), *of_one) for name, of_one in builds_.items()}
        builds.build_together(wanted, lock)

    def configuration_of(
        self, name: str, repository: Path, revision: str, lock: Callable[[], Lock]
    ) -> Mapping[str, frozenset[str]] | None:
        places.of(name)
        return descriptions.of(self._folder(name), name, repository, full(revision), lock())

    def switch(self, name: str, revision: str, view: View, *, run: bool) -> None:
        place, folder = places.of(name), self._folder(name)
        hive = view.lock.hive if view.lock is not None else ""
        system = builds.built(folder, full(revision), hive)
        if system is None:
            raise BuildFailed(f"{name} has no build of {revision}.", "It has to be built first.")
        self._require_ours(place, folder)
        if place.conf.exists():
            # While the old one runs: where nix cannot do it, nothing has changed.
            self._install(place, system)
        before = self._unit(place) if run else None
        if before is not None:
            self._end(place, before, GRACE)
        # What it has is what is written here; whoever starts it sees to it.
        files.record(folder, {"revision": revision, "hive": hive})
        self._install(place, system)
        if before is not None:
            self._begin(place, view, before)

    def _require_ours(self, place: Places, folder: Path) -> None:
        if place.conf.exists() and files.recorded(folder) is None:
            raise Refused(
                f"There is a container {place.container} already, which is not of this hive.",
                f"`nixos-container destroy {place.container}` removes it, or choose another name.",
            )

    def _install(self, place: Places, system: Path) -> None:
        """Have the container's next start be of this system; makes the container where there is none."""
        from hive_core.process import run

        if place.conf.exists():
            # The same call goes back: nothing is evaluated.
            if place.profile.resolve() != system:
                nix.set_profile(place.profile, system)
            return
        # In a folder of its own: nixos-container leaves links in the present one, which others would find.
        with workroom(self._settings.containers) as alone:
            argv = ["nixos-container", "create", place.container, "--system-path", str(system)]
            try:
                run(argv, cwd=alone)
            except HiveError:
                # One that was made half-way is listed like any other.
                run(["nixos-container", "destroy", place.container], check=False)
                raise

    def start(self, name: str, view: View) -> None:
        place, folder = places.of(name), self._folder(name)
        known = files.recorded(folder)
        if known is None or not place.conf.exists():
            raise NotFound(f"{name} has no container.", "Spawn it first.")
        before = self._unit(place)
        if before.running:
            return
        self._bring_up_to_date(place, folder, known, view)
        self._begin(place, view, before)

    def _begin(self, place: Places, view: View, before: ContainerUnit) -> None:
        """Start what has what it is to have. before: its unit, as it was before it was ended, if it was."""
        folder = self._folder(place.name)
        if view.uid is not None and view.uid not in USERS:
            raise Refused(
                f"{place.name} was made on another backend: its files belong to the user {view.uid}.",
                f"`hive destroy {place.name} --purge` and a new spawn make it one of this backend.",
            )
        known = files.recorded(folder) or {}
        revision, hive = known["revision"], known["hive"]
        files.new_page_key(folder)
        files.write_conf(place, folder, view)
        limits = builds.configuration(self._settings.applied / place.name, revision).limits
        files.write_drop_in(place, folder, limits, units.reread)
        unit = units.start(place, before)
        first = Owner.of(unit.pid) or Owner(0, 0, boot_id())
        run = LastStart(unit.invocation, revision, hive, unit.started_at or 0.0, first.boot)
        files.record_run(folder, run._replace(pid=first.pid, ticks=first.started))

    def _bring_up_to_date(self, place: Places, folder: Path, known: Mapping[str, str], view: View) -> None:
        """Have the container be of what it is to have, with the hive that is locked now."""
        name, revision = place.name, known["revision"]
        hive = view.lock.hive if view.lock is not None else known["hive"]
        if view.lock is not None:
            builds.build(folder, name, self._settings.applied / name, revision, view.lock)
        system = builds.built(folder, revision, hive)
        if system is None:
            raise HiveError(f"The build of {name} is gone.", f"`hive rebuild {name}` makes it again.")
        files.record(folder, {"revision": revision, "hive": hive})
        self._install(place, system)

    def stop(self, name: str, *, grace: float) -> None:
        self.end(name, grace=grace)

    def end(self, name: str, *, grace: float) -> None:
        place = places.of(name)
        if files.recorded(self._folder(name)) is not None and place.conf.exists():
            self._end(place, self._unit(place), grace)

    def _end(self, place: Places, unit: ContainerUnit, grace: float) -> None:
        import signal

        folder = self._folder(place.name)
        known, run = files.recorded(folder), files.last_run(folder)
        if known is None or not unit.running:
            return
        if run is None or run.instance != unit.invocation:
            # It was started past us.
            run = LastStart(unit.invocation, known["revision"], known["hive"], unit.started_at or 0.0, boot_id())
        # A container that is asked to end does so in good order: only we know that it was asked.
        files.record_run(folder, run._replace(stopped=signal.SIGTERM if grace else signal.SIGKILL))
        units.stop(place, grace)

    def destroy(self, name: str) -> None:
        from hive_core.process import run

        if not places.can_be(name):
            return
        place, folder = places.of(name), self._folder(name)
        if files.recorded(folder) is not None and place.conf.exists():
            self.stop(name, grace=GRACE)
            run(["nixos-container", "destroy", place.container])
        place.drop_in.unlink(missing_ok=True)
        if folder.is_dir():
            for revision in {revision for revision, _hive, _link in builds.links(folder)}:
                builds.remove(folder, revision)
            shutil.rmtree(folder)

    def containers(self) -> dict[str, Container]:
        root = self._settings.containers
        known = [path.parent.name for path in sorted(root.glob(f"[a-z]*/{files.RECORD}"))]
        found = [place for name in known if (place := places.of(name)).conf.exists()]
        seen = self._units(found)
        return {place.name: self._container(place, seen[place.name]) for place in found if place.name in seen}

    def container(self, name: str) -> Container | None:
        if not places.can_be(name):
            return None  # It was made on another backend.
        place = places.of(name)
        if files.recorded(self._folder(name)) is None or not place.conf.exists():
            return None
        return self._container(place, self._unit(place))

    def _container(self, place: Places, unit: ContainerUnit) -> Container:
        folder = self._folder(place.name)
        known, run = files.recorded(folder) or {}, files.last_run(folder)
        has = known.get("revision")
        if unit.running:
            # Started by somebody else, after a reboot perhaps: then it is what it has.
            revision = run.revision if run is not None and run.instance == unit.invocation else has
            hive = run.hive if run is not None else known.get("hive")
            return Container(place.name, True, unit.invocation, revision, has, unit.started_at, None, hive)
        if run is None:
            return Container(place.name, False, None, has, has, None, None)
        if unit.active and unit.invocation == run.instance:
            files.await_end(folder, run)
        return Container(place.name, False, None, has, has, run.started_at, files.ended(folder, run), run.hive)

    def journal(self, name: str, lines: int, units: Sequence[str] = (), *, since: float = 0.0) -> list[str]:
        from hive_core.containers.nixos import journal

        return journal.read(self._existing(name).journal, lines, units, since)

    def follow_journal(self, name: str, lines: int, units: Sequence[str] = ()) -> Iterator[str]:
        from hive_core.containers.nixos import journal

        return journal.follow(self._existing(name).journal, lines, units)

    def activity(self, name: str) -> Activity | None:
        from hive_core.containers.nixos import activity

        place = places.of(name)
        unit = self._unit(place) if place.conf.exists() else None
        return activity.of(unit.pid) if unit is not None and unit.running else None

    def capabilities(self) -> list[tuple[str, bool | None, str]]:
        from hive_core.containers.nixos.capabilities import look

        return list(look())

    def cli(self, name: str) -> str | None:
        # What the container's own system has, which its agent.nix decides.
        return name

    def users(self) -> range | None:
        return USERS if os.geteuid() == 0 else None

    def page_host(self, name: str) -> str:
        return self._machine.page_host(name)

    def port_in_use(self, port: int) -> bool:
        return self._machine.port_in_use(port)

    def listeners(self, ports: Iterable[int]) -> Mapping[int, set[int]]:
        return self._machine.listeners(ports)

    def page_key(self, name: str) -> str | None:
        container = self.container(name)
        return files.page_key(self._folder(name)) if container is not None and container.running else None

    def enter(self, name: str, view: View, command: Sequence[str]) -> int:
        from hive_core.containers.nixos import terminal

        place = self._existing(name)
        if not self._unit(place).running:
            raise Refused(f"{name} is not running.", f"`hive start {name}` starts it.")
        return terminal.enter(place, view, command)

    def errand(self, name: str, view: View, source: str, arguments: Sequence[str], *, seconds: float) -> str:
        self._existing(name)
        return self._machine.errand(name, view, source, arguments, seconds=seconds)

    def leftovers(self, name: str, *, dry: bool) -> int:
        folder, place = self._folder(name), places.of(name)
        known, last = files.recorded(folder), files.last_run(folder)
        if known is None:
            return 0
        kept = {known["revision"], last.revision if last is not None else None}
        doomed = {revision: link for revision, _hive, link in builds.links(folder) if revision not in kept}
        freed = sum(map(_size, doomed.values()))
        for revision in doomed if not dry else ():
            builds.remove(folder, revision)
        if not dry and place.profile.is_symlink():
            nix.forget_old(place.profile)
        if not dry:
            descriptions.remove_but(folder, kept)
        return freed

    def shared_leftovers(self, lock: Lock, *, dry: bool) -> int:
        # What containers share is in the store, which nix keeps clean.
        if not dry:
            builds.forget_nixpkgs(self._settings.containers, lock)
        return sweep(self._settings.containers, dry=dry)

    def usage(self, name: str) -> Mapping[str, int]:
        from hive_core.hostile_folders import measure

        journal = measure(self._existing(name).journal).size
        return {"builds": sum(_size(link) for _r, _h, link in builds.links(self._folder(name))), "journal": journal}

    def launching(self) -> AbstractContextManager[str | None]:
        return nullcontext()  # systemd starts them, each in a control group of its own.

    def severed(self, name: str) -> bool:
        from hive_core.containers.nixos import activity

        place = places.of(name)
        unit = self._unit(place) if place.conf.exists() else None
        return unit is not None and unit.running and activity.holds_removed(unit.pid, "/run/hive")

    def container_of(self, pid: int) -> str | None:
        name = places.in_group("\n".join(lines_of(pid, "cgroup")))
        return name if name is not None and files.recorded(self._settings.containers / name) is not None else None

    def exits(self, names: Sequence[str]) -> Mapping[str, int]:
        wanted = [place for name in names if places.can_be(name) and (place := places.of(name)).conf.exists()]
        found = {}
        for name, unit in self._units([place for place in wanted if files.recorded(self._folder(place.name))]).items():
            owner = Owner.of(unit.pid) if unit.running else None
            if owner is None:
                continue
            with suppress(ProcessLookupError):
                descriptor = os.pidfd_open(owner.pid)
                if owner.alive():
                    found[name] = descriptor
                else:
                    os.close(descriptor)
        return found

    @property
    def _machine(self) -> Host:
        """The backend that knows this machine, whose network containers share."""
        from importlib import import_module

        from hive_core.containers.backends import BACKENDS

        module, _, name = BACKENDS["local"].partition(":")
        made: Host = getattr(import_module(module), name)(self._settings)
        return made

    def _folder(self, name: str) -> Path:
        return self._settings.containers / places.of(name).name

    def _unit(self, place: Places) -> ContainerUnit:
        return self._units([place])[place.name]

    def _units(self, places: Sequence[Places]) -> dict[str, ContainerUnit]:
        """The units of these containers. Of those that run as hive has started them systemd need not be asked."""
        known = {}
        for place in places:
            run = files.last_run(self._folder(place.name))
            if run is not None and run.lives:
                known[place.name] = ContainerUnit(True, run.instance, run.pid, run.started_at)
        return known | units.look([place for place in places if place.name not in known])

    def _existing(self, name: str) -> Places:
        place = places.of(name)
        if files.recorded(self._folder(name)) is None:
            raise NotFound(f"There is no container {name}.")
        return place


def _size(link: Path) -> int:
    from hive_core.hostile_folders import measure

    return measure(link.resolve()).size if link.exists() else 0
