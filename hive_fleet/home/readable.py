"""The harness where agents, as users of their own, can read it: the checkout's own, or a copy of one that is closed.

A checkout that was made under a umask of 077, as hardened machines give root, is readable to root alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hive_core.errors import Refused
from hive_core.settings import Settings


def harness(settings: Settings) -> Path:
    """The folder that is shown as the harness. Raises Refused where no copy can be made."""
    own = settings.source / "hive_agent"
    # Where hive is not root its agents are the same user.
    if os.geteuid() != 0 or all(_is_open(path) for path in (own, *_within(own))):
        return own
    from hashlib import sha256

    from hive_core.git.made import made_beside

    digest = sha256()
    for path in _within(own):
        digest.update(f"{path.relative_to(own)}\0{path.is_file()}\0".encode())
        digest.update(path.read_bytes() if path.is_file() else b"")
    kept = settings.home / "harness" / digest.hexdigest()[:16]
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        if not kept.is_dir():
            with made_beside(kept, kept.parent) as made:
                _copy(own, made)
    except Refused:
        # Unless another process has made the same meanwhile.
        if not kept.is_dir():
            raise
    return kept


def _within(folder: Path) -> Iterator[Path]:
    """Everything below the folder, but what Python has compiled: each folder before what is in it."""
    for path in sorted(folder.iterdir()):
        if path.name != "__pycache__":
            yield path
            if path.is_dir():
                yield from _within(path)


def _is_open(path: Path) -> bool:
    needed = 0o005 if path.is_dir() else 0o004
    return path.stat().st_mode & needed == needed


def _copy(own: Path, made: Path) -> None:
    for path in _within(own):
        target = made / path.relative_to(own)
        if path.is_dir():
            target.mkdir()
            target.chmod(0o755)
        else:
            target.write_bytes(path.read_bytes())
            target.chmod(0o644)
