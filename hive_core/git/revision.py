"""Which commit a checkout is at, read from its files alone: no git library is loaded for it."""

from __future__ import annotations

import re
from pathlib import Path

_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SYMBOLIC_DEPTH = 5  # as git: SYMREF_MAXDEPTH


def head_revision(path: Path) -> str | None:
    """Return the full sha that HEAD of the checkout at `path` names, or None when there is no such thing.

    Follows gitrepository-layout(5): `.git` may be a file (a worktree, a submodule), refs may be loose or packed.
    """
    git = _git_folder(path)
    if git is None:
        return None
    common = _common_folder(git)
    value = _text(git / "HEAD")
    for _ in range(_SYMBOLIC_DEPTH):
        if value is None or not value.startswith("ref: "):
            break
        name = value.removeprefix("ref: ").strip()
        # A worktree has a HEAD of its own; branches belong to the repository it hangs on.
        value = _text(git / name) or _text(common / name) or _packed(common, name)
    return value if value is not None and _SHA.fullmatch(value) else None


def _git_folder(path: Path) -> Path | None:
    git = path / ".git"
    if git.is_dir():
        return git
    pointer = _text(git)
    if pointer is None or not pointer.startswith("gitdir: "):
        return None
    return path / pointer.removeprefix("gitdir: ")


def _common_folder(git: Path) -> Path:
    common = _text(git / "commondir")
    return git / common if common else git


def _packed(common: Path, name: str) -> str | None:
    for line in (_text(common / "packed-refs") or "").splitlines():
        sha, _, ref = line.partition(" ")
        if ref == name:
            return sha
    return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
