"""Nix, where it is installed: the commands that write a flake's lock, in the spelling of the version at hand."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hive_core.errors import ProgramFailed, Refused
from hive_core.process import run

# The first version in which `nix flake update` takes the names of inputs; before, it took names of flakes.
_UPDATE_TAKES_INPUTS = (2, 19)
# Nix makes a URL of the folder that it runs in, and quotes nothing.
_PLAIN = re.compile(r"[A-Za-z0-9/._~+-]+")


@dataclass(frozen=True, slots=True)
class Nix:
    """An installed nix. cache: a folder for what it remembers, instead of the user's home."""

    version: tuple[int, int]
    cache: Path

    def lock(self, flake: Path, update: Sequence[str] = ()) -> None:
        """Bring flake.lock in line with flake.nix, moving the inputs in `update` to their newest commits.

        Unknown names are only warned of by nix: check them first. Raises ProgramFailed, and Refused for a path that
        nix cannot take.
        """
        if not _PLAIN.fullmatch(str(flake)):
            raise Refused(
                f"nix cannot work in {flake.parent}: it takes only A-Z a-z 0-9 / . _ ~ + - in the path of a flake.",
                "Name another HIVE_HOME, or set HIVE_NIX=off: hive then writes the lock itself.",
            )
        self._run(flake, "lock")
        if update and self.version >= _UPDATE_TAKES_INPUTS:
            self._run(flake, "update", *update)
        elif update:
            self._run(flake, "lock", *(word for name in update for word in ("--update-input", name)))

    def _run(self, flake: Path, verb: str, *arguments: str) -> None:
        run(["nix", "flake", verb, *arguments], cwd=flake, env=self._environment())

    def _environment(self) -> dict[str, str]:
        settings = [
            "experimental-features = nix-command flakes",
            "flake-registry =",
            "warn-dirty = false",
            "accept-flake-config = false",
        ]
        if os.geteuid() == 0 and not _daemon():
            # Without the daemon there need not be any build users, and as root nix insists on them.
            settings += ["build-users-group =", "sandbox = false"]
        return {"HOME": str(self.cache), "NIX_CONFIG": "\n".join(settings)}


def installed(cache: Path) -> Nix | None:
    """The nix of this machine, or None where there is none that this user could write the store with.

    `HIVE_NIX=off` says that there is none.
    """
    if os.environ.get("HIVE_NIX") == "off" or shutil.which("nix") is None:
        return None
    if os.geteuid() != 0 and not _daemon():
        return None
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Nix(_version(), cache)


@cache
def _version() -> tuple[int, int]:
    text = run(["nix", "--version"], env={"HOME": "/nonexistent"}).stdout
    match = re.search(r"(\d+)\.(\d+)", text)
    if match is None:
        raise ProgramFailed(f"`nix --version` answered {text!r}, which holds no version.")
    return int(match.group(1)), int(match.group(2))


def _daemon() -> bool:
    return Path("/nix/var/nix/daemon-socket/socket").exists()


def string(text: str) -> str:
    """`text` as a Nix string literal (Nix manual, "String"): backslash, quote and interpolation escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${").replace("\n", "\\n")
    return f'"{escaped}"'
