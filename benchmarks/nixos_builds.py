"""What it costs to build every agent's NixOS system anew after `hive` has moved, beside one `nix build` each."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pytest

from benchmarks.table import Table, arguments, scratch, show
from hive_core.containers.base import Lock
from hive_core.containers.nixos import nix
from hive_core.containers.nixos.host import NixosHost
from hive_core.settings import from_environment
from hive_fleet.flake import flake
from tests.core.containers.nixos.machine import installed, maker, threaded
from tests.git import commit, git
from tests.nix import evaluating

FLEET = 60


def main() -> None:
    options = arguments(__doc__ or "", rounds=3, agents=FLEET)
    table = Table(f"{options.agents} agents built anew")
    share = Table("of that, together: hive's own work, without nix's (in percent)", "%")
    with scratch() as folder, pytest.MonkeyPatch.context() as patch:
        for name, value in installed(folder / "machine").items():
            patch.setenv(name, value)
        fleet = Fleet(folder, options.agents)
        for _ in range(options.rounds):
            fleet.move()
            table.time("one `nix build` each", fleet.by_the_meta_flake)
            table.time("hive, one by one", fleet.one_by_one)
            fleet.move()
            with counting(patch) as spent:
                begin = time.perf_counter()
                table.time("hive, together", fleet.together)
                whole = time.perf_counter() - begin
            share.add("hive", 100 * (1 - spent() / whole))
    show([table, share], as_json=options.json)


class counting:
    """Add up the time that nix's programs take."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.patch, self.seconds = patch, 0.0

    def __enter__(self) -> Callable[[], float]:
        real = nix._run

        def timed(*words: object, **options: object) -> object:
            begin = time.perf_counter()
            try:
                return real(*words, **options)  # type: ignore[arg-type]
            finally:
                self.seconds += time.perf_counter() - begin

        self.context = self.patch.context()
        self.context.__enter__().setattr(nix, "_run", timed)
        return lambda: self.seconds

    def __exit__(self, *_: object) -> None:
        self.context.__exit__(None, None, None)


def committed_at(repository: Path) -> int:
    return int(git(repository, "show", "--no-patch", "--format=%ct", "HEAD"))


class Fleet:
    """Agents' repositories, a repository of hive that can be moved, and what builds them."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.base, self.moves = folder, folder / "base", 0
        (self.base / "hive_agent").mkdir(parents=True)
        git(self.base, "init", "-q", "-b", "main")
        maker(self.base)
        self.agents: dict[str, tuple[Path, str]] = {}
        for number in range(count):
            name = f"a{number}"
            repository = folder / "home/applied" / name
            repository.mkdir(parents=True)
            git(repository, "init", "-q", "-b", "main")
            files = {"agent.toml": 'runner = "claude"\n', "agent.nix": f'{{ networking.hostName = "x{number}"; }}\n'}
            self.agents[name] = (repository, commit(repository, files))
        settings = from_environment({"HIVE_HOME": str(folder / "home"), "HIVE_RUN": str(folder / "run")})
        self.host = NixosHost(settings)

    def move(self) -> None:
        """A newer hive: all have to be built again."""
        self.moves += 1
        revision = commit(self.base, {"hive_agent/run.py": f"{self.moves} {os.urandom(4).hex()}"})
        self.lock = Lock(self.folder / "meta", revision, (self.base,), threaded)
        urls = {"hive": (self.base, revision)} | {f"agent-{name}": found for name, found in self.agents.items()}
        inputs = {name: flake.local_url(path, "ref", "main") for name, (path, _) in urls.items()}
        nodes = {name: flake.node(inputs[name], rev, committed_at(path)) for name, (path, rev) in urls.items()}
        meta = self.folder / "meta"
        meta.mkdir(exist_ok=True)
        (meta / "flake.nix").write_text(flake.render(inputs, {name: threaded(name) for name in self.agents}))
        (meta / "flake.lock").write_text(flake.lock_text(nodes))

    def by_the_meta_flake(self) -> None:
        for name in self.agents:
            attribute = f"path:{self.folder}/meta#nixosConfigurations.{name}.config.system.build.toplevel"
            evaluating.nix(self.folder, "nix", "build", "--no-update-lock-file", "--no-link", attribute)

    def one_by_one(self) -> None:
        for name, found in self.agents.items():
            self.host.build(name, *found, self.lock)

    def together(self) -> None:
        self.host.build_together(self.agents, self.lock)
        self.one_by_one()


if __name__ == "__main__":
    main()
