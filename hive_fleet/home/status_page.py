"""The status page's place: the port it listens on, and the keys that open it, for whoever prints its link."""

from __future__ import annotations

import json
from pathlib import Path

from hive_agent import LOOPBACK, atomic
from hive_core.context import Hive
from hive_core.errors import Refused


def keys_of(hive: Hive) -> Path:
    """The file with the port and the keys of the page that is served now; the operator alone reads it."""
    return hive.settings.home / "page.json"


def link_of(port: int, key: str) -> str:
    """The link to the page: the key stands behind the '#', where no browser sends it to a server."""
    return f"http://{LOOPBACK}:{port}/#key={key}"


def remember(hive: Hive, port: int, keys: dict[str, str]) -> None:
    """Keep what opens the page, key -> what it opens, until `forget`."""
    atomic.write(keys_of(hive), json.dumps({"port": port, "keys": keys}), mode=0o600)


def forget(hive: Hive) -> None:
    """The page is served no more."""
    keys_of(hive).unlink(missing_ok=True)


def link(hive: Hive, opens: str = "all") -> str:
    """The link to the page that is served now. opens: `all`, or `read` for one that only looks. Raises Refused."""
    try:
        found = json.loads(keys_of(hive).read_text())
    except FileNotFoundError:
        found = None
    # The file of a page that was killed is still there; who serves one holds its lock.
    if found is None or not hive.running("page"):
        raise Refused("Nobody serves the status page.", "`hive up` does, or `hive page` by itself.")
    key = next(key for key, what in found["keys"].items() if what == opens)
    return link_of(int(found["port"]), key)
