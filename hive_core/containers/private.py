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
    """Each place as text, links followed, and what it is called in a sentence.

    hive, homes, keys: what the names say. kept: further places that a folder may lie in, but that none may hold.
    Text, for every start of a container compares some hundreds: pathlib would take a fifth of the start for it.
    """

    hive: dict[str, str]
    homes: dict[str, str]
    keys: dict[str, str]
    kept: dict[str, str]

    def why_not(self, path: Path) -> str | None:
        """Why no sandbox may show this real file or folder, as the end of a sentence; None where it may."""
        shown = str(path)
        if shown == "/":
            return "it is the whole machine"
        for place, name in (self.hive | self.homes | self.keys | self.kept).items():
            if _lies(place, shown):
                return f"it is {name}" if place == shown else f"it holds {name}"
        if path.parent == Path("/home"):
            return "it is somebody's home"
        return next((f"it lies in {name}" for place, name in self.keys.items() if _lies(shown, place)), None)

    def why_no_program(self, path: Path) -> str | None:
        """The same for what is to come from outside of hive: in its own folders others may have put it."""
        lies = (f"it lies in {name}" for place, name in self.hive.items() if _lies(str(path), place))
        return self.why_not(path) or next(lies, None)

    def within(self, folder: Path) -> list[Path]:
        """What has to be hidden where this folder of the system is shown; the outermost places alone."""
        found = sorted(place for place in self.hive | self.homes | self.keys if _lies(place, str(folder)))
        outermost = [place for place in found if not any(place != other and _lies(place, other) for other in found)]
        return list(map(Path, outermost))

    def hides(self, path: Path) -> bool:
        """Whether this is hidden where the folder of the system that it lies in is shown."""
        shown = str(path)
        return any(_lies(shown, place) for places in (self.hive, self.homes, self.keys) for place in places)


def _lies(path: str, place: str) -> bool:
    """Whether a path is this place or lies in it; both are real, and a place is never the root."""
    return path.startswith(place) and (path == place or path[len(place)] == "/")


def find(settings: Settings) -> Private:
    """The private places of this machine, for this hive."""
    return _places(os.path.realpath(settings.home), os.path.realpath(settings.run), tuple(_homes()))


@lru_cache(maxsize=8)
def _places(own: str, run: str, of_people: tuple[str, ...]) -> Private:
    # An account that somebody made for an agent has its home in hive's state.
    hive = {own: "hive's own state", run: "hive's sockets"}
    homes = {home: f"the home {home}" for home in of_people if home == own or not _lies(home, own)}
    keys = {f"{home}/{name}": f"{home}/{name}" for home in homes for name in _KEYS}
    kept = {f"{home}/{name}": f"{home}/{name}" for home in homes for name in _KEPT}
    keys |= {place: place for place in _KERNEL}
    kept |= {place: place for place in _MACHINE}
    return Private(hive, homes, keys, kept)


def _homes() -> Iterator[str]:
    """The homes of this machine: of whoever runs hive, and of the accounts in passwd(5)."""
    if (own := os.environ.get("HOME", "")).startswith("/") and own != "/":
        yield os.path.realpath(own)
    # Not by getpwall(3), which may ask a directory service for everybody there is.
    for line in Path("/etc/passwd").read_bytes().decode(errors="surrogateescape").split("\n"):
        fields = line.split(":")
        if len(fields) != 7 or not fields[2].isdigit() or not fields[5].startswith("/"):
            continue
        uid, home = int(fields[2]), os.path.realpath(fields[5])
        system = not _PEOPLE <= uid < _NOBODY and any(_lies(home, folder) for folder in _SYSTEM)
        if home != "/" and not system:
            yield home
