"""What an agent's system has, as its configuration says when it is evaluated; for whoever decides on it.

Nobody has approved it yet: it has no network while it is looked at, little time, and what it says of itself is cut.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from hive_agent import atomic
from hive_core.containers.base import Lock
from hive_core.containers.nixos import builds, nix
from hive_core.errors import BuildFailed
from hive_core.locks import file_lock

FOLDER = "described"
_Description = Mapping[str, frozenset[str]]


def of(folder: Path, name: str, repository: Path, revision: str, lock: Lock) -> _Description:
    """What the system of a revision has, by topic; evaluated once. Raises BuildFailed, HiveError."""
    kept = folder / FOLDER / f"{revision}.{lock.hive}.json"
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # One at a time for each agent, however many look: no agent keeps more than one nix busy by it.
    with file_lock(kept.parent / "lock", f"evaluating {name}"):
        if not kept.exists():
            atomic.write(kept, json.dumps(_evaluated(folder, name, repository, revision, lock)))
        found = json.loads(kept.read_text())
    if isinstance(found, str):
        raise BuildFailed(found)
    return {topic: frozenset(things) for topic, things in found.items()}


def _evaluated(folder: Path, name: str, repository: Path, revision: str, lock: Lock) -> object:
    """What is kept of it: its description, or why it has none; what the machine is to blame for is not kept."""
    try:
        with builds.candidate(folder.parent, {name: builds.checked(repository, revision)}, lock) as made:
            return nix.describe(made)[name]
    except BuildFailed as error:
        return error.message


def remove_but(folder: Path, kept: set[str | None]) -> None:
    """Forget what other revisions have."""
    for path in (folder / FOLDER).glob("*.json"):
        if path.name.partition(".")[0] not in kept:
            path.unlink(missing_ok=True)
