"""What it costs to have every agent be of a moved `hive`, on the backend nixos, beside a loop over the agents."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pytest

from benchmarks import noted_hive
from benchmarks.table import Table, parser, scratch, show, throw_away_hive
from hive_core.containers.nixos import places
from hive_fleet.flake import flake
from tests.core.containers.nixos import machine
from tests.git import commit, git
from tests.hives import TestHive

FLEET = 60
TOML = 'runner = "command"\nsettle_seconds = 0.05\ncommand = ["sh", "-c", "exec sleep 100000"]\n'


def main() -> None:
    given = parser(__doc__ or "", rounds=3, agents=FLEET)
    given.add_argument("--boot", type=float, default=0.0, help="seconds that each container waits while it starts (0)")
    options = given.parse_args()
    table = Table(f"{options.agents} agents locked, built and switched after `hive` has moved", "s")
    share = Table("of hive's: what is neither nix's nor the containers'", "%")
    with scratch() as folder, fleet_in(folder, options.agents) as fleet:
        (folder / "machine/boot").write_text(str(options.boot))
        for _ in range(options.rounds):
            fleet.move()
            table.add("a loop: lock, build, switch", fleet.loop())
            # Not timed: what the loop has started hive has not.
            fleet.move()
            fleet.update()
            fleet.move()
            took = fleet.update()
            table.add("hive meta-update hive", took.whole)
            share.add("time with no program at work", 100 * took.alone / took.whole)
            share.add("hive's own processor time", 100 * took.processor / took.whole)
    show([table, share], as_json=options.json)


class Took(NamedTuple):
    """Seconds of a command. alone: while no program was at work that it waited for. processor: that it used itself."""

    whole: float
    alone: float
    processor: float


class Fleet:
    """A hive on the backend nixos, a repository of hive that moves, and a meta flake for the loop."""

    def __init__(self, hive: TestHive, base: Path, names: list[str]) -> None:
        self.hive, self.base, self.names, self.moves = hive, base, names, 0
        self.meta = hive.root / "loop"
        self.meta.mkdir()
        for file in ("flake.nix", "flake.lock"):
            (self.meta / file).write_text((hive.home / "meta" / file).read_text())
        git(self.meta, "init", "-q", "-b", "main")
        self._commit()

    def move(self) -> None:
        """A newer hive: every agent has to be built again."""
        self.moves += 1
        commit(self.base, {"hive_agent/run.py": f"{self.moves} {os.urandom(4).hex()}"})

    def update(self) -> Took:
        """The command, from its start to its end."""
        told = self.hive.root / "spans.json"
        program = [sys.executable, noted_hive.__file__, str(told)]
        begin = time.perf_counter()
        self._run(*program, "meta-update", "hive")
        whole = time.perf_counter() - begin
        noted = json.loads(told.read_text())
        return Took(whole, whole - noted_hive.busy(noted["spans"]), noted["processor"])

    def loop(self) -> float:
        """What a script does: the lock moved, then for each agent its input, its build, its switch."""
        begin = time.perf_counter()
        self._run("nix", "flake", "lock", "--update-input", "hive", cwd=self.meta)
        self._commit()
        for name in self.names:
            self._run("nix", "flake", "lock", "--update-input", f"agent-{name}", cwd=self.meta)
            self._switch(name)
        return time.perf_counter() - begin

    def _switch(self, name: str) -> None:
        system = f"git+file://{self.meta}#nixosConfigurations.{name}.config.system.build.toplevel"
        link, place = self.hive.root / f"loop-{name}", places.of(name)
        self._run("nix", "build", "--no-update-lock-file", "-o", str(link), system)
        self._run("nix-env", "-p", str(place.profile), "--set", str(link.resolve()))
        self._run("systemctl", "stop", place.unit)
        self._run("systemctl", "start", place.unit)

    def _commit(self) -> None:
        git(self.meta, "add", "-A")
        git(self.meta, "commit", "-q", "-m", "lock update: hive")

    def _run(self, *argv: str, cwd: Path | None = None) -> None:
        done = subprocess.run(
            argv,
            cwd=cwd,
            env=self.hive.environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, f"{argv}: {done.stderr}"


@contextmanager
def fleet_in(folder: Path, count: int) -> Iterator[Fleet]:
    """So many agents on a machine that is a folder."""
    base = folder / "base"
    (base / "hive_agent").mkdir(parents=True)
    git(base, "init", "-q", "-b", "main")
    machine.maker(base)
    commit(base, {"hive_agent/run.py": ""})
    given = machine.installed(folder / "machine")
    given |= {"HIVE_BACKEND": "nixos", "HIVE_FLAKE": flake.local_url(base, "ref", "main")}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        with throw_away_hive(folder / "hive") as hive:
            hive.extra |= given
            names = [f"a{number}" for number in range(count)]
            for name in names:
                hive.configure(name, TOML)
                done = hive.forked("spawn", name)
                assert done.returncode == 0, done.stderr
            yield Fleet(hive, base, names)


if __name__ == "__main__":
    main()
