"""The status page's place: where it is served, and the keys that open it, for whoever prints its link."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hive_agent import LOOPBACK, atomic
from hive_agent.page.door import authority, private_name
from hive_core.context import Hive
from hive_core.errors import Refused

# The lock of whoever would serve the page and cannot have its port.
LACKING = "page-lacking"
# What a key opens: everything, or only looking.
ALL, READ = "all", "read"


@dataclass(frozen=True, slots=True)
class Names:
    """What the page is called: by the headers Host and Origin of who may use it, and in its link."""

    hosts: frozenset[str]
    origins: frozenset[str]
    url: str


def names_of(port: int, host: str | None = None, origin: str | None = None) -> Names:
    """The page's names on loopback, and the one that a proxy before it has, of which either half tells the other."""
    own = {authority(name, port) for name in (LOOPBACK, "localhost")}
    if origin is None and host is not None:
        origin = f"https://{host}"
    if host is None and origin is not None:
        host = urlsplit(origin).netloc
    others = ({host}, {origin}) if host and origin else (set(), set())
    return Names(
        frozenset(own | others[0]),
        frozenset({f"http://{name}" for name in own} | others[1]),
        f"{origin or f'http://{authority(LOOPBACK, port)}'}/",
    )


def new_keys(*, read_only: bool = False) -> dict[str, str]:
    """A key for each thing that is opened: key -> what it opens. read_only: none opens everything."""
    return {secrets.token_urlsafe(24): opens for opens in ((READ,) if read_only else (ALL, READ))}


def keys_of(hive: Hive) -> Path:
    """The file with the link and the keys of the page that is served now; the operator alone reads it."""
    return hive.settings.home / "page.json"


def remember(hive: Hive, url: str, keys: Mapping[str, str]) -> None:
    """Keep what opens the page, until `forget`."""
    atomic.write(keys_of(hive), json.dumps({"url": url, "keys": dict(keys)}), mode=0o600)


def renew(hive: Hive) -> None:
    """Have the page that is served opened by new keys alone. Raises Refused when none is."""
    found = _served(hive)
    remember(hive, found["url"], new_keys(read_only=ALL not in found["keys"].values()))


def forget(hive: Hive) -> None:
    """The page is served no more."""
    keys_of(hive).unlink(missing_ok=True)


def link(hive: Hive, opens: str = ALL) -> str:
    """The link to the page that is served now; the key stands behind the '#', where no browser sends it to a server.

    It goes by the key's private name, unless the page has one that a proxy serves. Raises Refused.
    """
    found = _served(hive)
    key = next((key for key, what in found["keys"].items() if what == opens), None)
    if key is None:
        raise Refused("The page that is served only looks.", "`hive open --read-only` prints its link.")
    url = str(found["url"])
    if urlsplit(url).hostname == LOOPBACK:
        url = url.replace(LOOPBACK, private_name(key), 1)
    return f"{url}#key={key}"


def _served(hive: Hive) -> dict[str, Any]:
    try:
        found = json.loads(keys_of(hive).read_text())
    except FileNotFoundError:
        found = None
    # The file of a page that was killed is still there; who serves one holds its lock.
    if found is None or not hive.running("page"):
        if hive.running("up"):
            why = "Either its port is another program's (ports.page in hive.toml names another), or page.serve is off."
            raise Refused("Nobody serves the status page, though `hive up` runs.", why)
        raise Refused("Nobody serves the status page.", "`hive up` does, or `hive page` by itself.")
    return dict(found)


class Keys:
    """The keys of the page as the file has them now: who writes others there locks out who has those of before."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[object, dict[str, str]] = (None, {})

    def __call__(self) -> Mapping[str, str]:
        """Key -> what it opens; none where the file is gone. For any thread."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return {}
        identity = (found.st_ino, found.st_mtime_ns, found.st_ctime_ns)
        if self._known[0] != identity:
            # Written between the two, it is read again the next time.
            self._known = (identity, dict(json.loads(self._path.read_text())["keys"]))
        return self._known[1]
