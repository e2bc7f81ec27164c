"""The places of a machine that no sandbox may show: hive's own state and sockets, people's homes, keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from hive_agent.clis import CLIS
from hive_core.settings import Settings

# In a home: what nothing is taken from, and what is shown neither whole nor as a part of something larger, though
# programs lie in some of it.
_KEYS = (".ssh", ".gnupg", ".pki", ".aws", ".azure", ".kube", ".password-store", ".local/share/keyrings")
_LOGINS = tuple(f".{cli.credentials.folder}" for cli in CLIS.values())
_KEPT = (".config", ".docker", *_LOGINS, ".local/share", ".local/state", ".netrc", ".git-credentials")
# Of the machine: likewise.
_KERNEL = ("/proc", "/sys", "/dev")
_MACHINE = ("/etc", "/var", "/run", "/root", "/home", "/boot", "/srv", "/mnt", "/media", "/tmp")  # noqa: S108
# Homes of accounts that nobody has anything in: the system's programs lie there.
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/etc", "/run", *_KERNEL)
_PEOPLE = 1000
_NOBODY = 65534


@dataclass(frozen=True, slots=True)
class Private:
    """Each place, links followed, and what it is called in a sentence.

    hive, homes, keys: what the names say. kept: further places that a folder may lie in, but that none may hold.
    """

    hive: dict[Path, str]
    homes: dict[Path, str]
    keys: dict[Path, str]
    kept: dict[Path, str]

    def why_not(self, path: Path) -> str | None:
        """Why no sandbox may show this real file or folder, as the end of a sentence; None where it may."""
        if path == Path("/"):
            return "it is the whole machine"
        for place, name in {**self.hive, **self.homes, **self.keys, **self.kept}.items():
            if path == place:
                return f"it is {name}"
            if _lies(place, path):
                return f"it holds {name}"
        if path.parent == Path("/home"):
            return "it is somebody's home"
        return next((f"it lies in {name}" for place, name in self.keys.items() if _lies(path, place)), None)

    def why_no_program(self, path: Path) -> str | None:
        """The same for what is to come from outside of hive: in its own folders others may have put it."""
        lies = (f"it lies in {name}" for place, name in self.hive.items() if _lies(path, place))
        return self.why_not(path) or next(lies, None)

    def within(self, folder: Path) -> list[Path]:
        """What has to be hidden where this folder of the system is shown; the outermost places alone."""
        found = sorted(place for place in {**self.hive, **self.homes, **self.keys} if _lies(place, folder))
        return [place for place in found if not any(place != other and _lies(place, other) for other in found)]

    def hides(self, path: Path) -> bool:
        """Whether this is hidden where the folder of the system that it lies in is shown."""
        return any(_lies(path, place) for place in (*self.hive, *self.homes, *self.keys))


def _lies(path: Path, place: Path) -> bool:
    """Whether a path is this place or lies in it; both are real, and a place is never the root.

    Every start of a container asks it thousands of times: pathlib would take a fifth of the start for it.
    """
    return f"{path}/".startswith(f"{place}/")


def find(settings: Settings) -> Private:
    """The private places of this machine, for this hive."""
    return _places(settings.home.resolve(), settings.run.resolve(), tuple(_homes()))


@lru_cache(maxsize=8)
def _places(own: Path, run: Path, of_people: tuple[Path, ...]) -> Private:
    # An account that somebody made for an agent has its home in hive's state.
    hive = {own: "hive's own state", run: "hive's sockets"}
    homes = {home: f"the home {home}" for home in of_people if home == own or not _lies(home, own)}
    keys = {home / name: f"{home / name}" for home in homes for name in _KEYS}
    kept = {home / name: f"{home / name}" for home in homes for name in _KEPT}
    keys |= {Path(place): place for place in _KERNEL}
    kept |= {Path(place): place for place in _MACHINE}
    return Private(hive, homes, keys, kept)


def _homes() -> Iterator[Path]:
    """The homes of this machine: of whoever runs hive, and of the accounts in passwd(5)."""
    if (own := os.environ.get("HOME", "")).startswith("/") and own != "/":
        yield Path(own).resolve()
    # Not by getpwall(3), which may ask a directory service for everybody there is.
    for line in Path("/etc/passwd").read_bytes().decode(errors="surrogateescape").split("\n"):
        fields = line.split(":")
        if len(fields) != 7 or not fields[2].isdigit() or not fields[5].startswith("/"):
            continue
        uid, home = int(fields[2]), Path(fields[5]).resolve()
        system = any(_lies(home, Path(folder)) for folder in _SYSTEM) and not _PEOPLE <= uid < _NOBODY
        if home != Path("/") and not system:
            yield home
