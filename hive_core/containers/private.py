"""The places of a machine that no sandbox may show: hive's own state and sockets, people's homes, keys."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice, takewhile
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
_SYSTEM = tuple(f"{folder}/" for folder in ("/usr", "/bin", "/sbin", "/lib", "/etc", "/run", *_KERNEL))
_PEOPLE = 1000
_NOBODY = 65534


class _Places:
    """Places with their names, in the order in which a sentence prefers them.

    Every start of a container asks dozens of times what lies where: none of it goes through all of the places.
    """

    def __init__(self, *groups: Mapping[str, str]) -> None:
        self.names = {place: name for group in groups for place, name in group.items()}
        self._rank = {place: rank for rank, place in enumerate(self.names)}
        self._sorted = sorted(f"{place}/" for place in self.names)

    def around(self, path: str) -> str | None:
        """The place that a path is, or the innermost that it lies in."""
        while path and path not in self.names:
            path = path.rpartition("/")[0]
        return path or None

    def below(self, path: str) -> list[str]:
        """The places that are this path or lie in it."""
        start = bisect_left(self._sorted, f"{path}/")
        found = takewhile(lambda each: each.startswith(f"{path}/"), islice(self._sorted, start, None))
        return sorted((place[:-1] for place in found), key=self._rank.__getitem__)


class Private:
    """Each place, links followed, and what it is called in a sentence.

    hive, homes, keys: what the names say. kept: further places that a folder may lie in, but that none may hold.
    """

    def __init__(
        self, hive: Mapping[str, str], homes: Mapping[str, str], keys: Mapping[str, str], kept: Mapping[str, str]
    ) -> None:
        self.hive, self.homes, self.keys, self.kept = hive, homes, keys, kept
        self._hive, self._keys = _Places(hive), _Places(keys)
        self._hidden, self._all = _Places(hive, homes, keys), _Places(hive, homes, keys, kept)

    def why_not(self, path: Path) -> str | None:
        """Why no sandbox may show this real file or folder, as the end of a sentence; None where it may."""
        text = _plain(path)
        if text == "/":
            return "it is the whole machine"
        for place in self._all.below(text):
            return f"it {'is' if place == text else 'holds'} {self._all.names[place]}"
        if text.rpartition("/")[0] == "/home":
            return "it is somebody's home"
        around = self._keys.around(text)
        return None if around is None else f"it lies in {self._keys.names[around]}"

    def why_no_program(self, path: Path) -> str | None:
        """The same for what is to come from outside of hive: in its own folders others may have put it."""
        around = self._hive.around(_plain(path))
        return self.why_not(path) or (None if around is None else f"it lies in {self._hive.names[around]}")

    def within(self, folder: Path) -> list[Path]:
        """What has to be hidden where this folder of the system is shown; the outermost places alone."""
        found = sorted(self._hidden.below(_plain(folder)))
        return [Path(place) for place in found if not any(place != other and _lies(place, other) for other in found)]

    def hides(self, path: Path) -> bool:
        """Whether this is hidden where the folder of the system that it lies in is shown."""
        return self._hidden.around(_plain(path)) is not None


def _lies(path: str, place: str) -> bool:
    """Whether a path is this place or lies in it; both are real, and a place is never the root."""
    return f"{path}/".startswith(f"{place}/")


def find(settings: Settings) -> Private:
    """The private places of this machine, for this hive."""
    return _places(_real(settings.home), _real(settings.run), tuple(_homes()))


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
        yield _real(own)
    # Not by getpwall(3), which may ask a directory service for everybody there is.
    for line in Path("/etc/passwd").read_bytes().decode(errors="surrogateescape").split("\n"):
        fields = line.split(":")
        if len(fields) != 7 or not fields[2].isdigit() or not fields[5].startswith("/"):
            continue
        uid, home = int(fields[2]), _real(fields[5])
        system = f"{home}/".startswith(_SYSTEM) and not _PEOPLE <= uid < _NOBODY
        if home != "/" and not system:
            yield home


def _real(path: Path | str) -> str:
    return os.path.realpath(_plain(path))


def _plain(path: Path | str) -> str:
    # Two slashes at the beginning may mean something else than one (POSIX); here they never do.
    return f"/{str(path).lstrip('/')}"
