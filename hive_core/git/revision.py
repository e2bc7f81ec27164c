"""Which commit a checkout is at, read from its files alone: no git library is loaded for it."""

from __future__ import annotations

import re
from pathlib import Path

_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SYMBOLIC_DEPTH = 5  # as git: SYMREF_MAXDEPTH
_BRANCHES = "refs/heads/"


def head_revision(path: Path) -> str | None:
    """Return the full sha that HEAD of the checkout at `path` names, or None when there is no such thing.

    Follows gitrepository-layout(5): `.git` may be a file (a worktree, a submodule), refs may be loose or packed.
    """
    return named_revision(path, "HEAD")


def named_revision(path: Path, name: str) -> str | None:
    """Return the full sha that HEAD, a branch or a full sha names in the repository at `path`, bare or not.

    None for a tag, too: what it is on, only its object may tell.
    """
    if _SHA.fullmatch(name):
        return name
    git = _git_folder(path)
    if git is None:
        return None
    common = _common_folder(git)
    value = _text(git / "HEAD") if name == "HEAD" else f"ref: {_BRANCHES}{name.removeprefix(_BRANCHES)}"
    for _ in range(_SYMBOLIC_DEPTH):
        if value is None or not value.startswith("ref: "):
            break
        ref = value.removeprefix("ref: ")
        # A worktree has a HEAD of its own; branches belong to the repository it hangs on.
        value = _text(git / ref) or _text(common / ref) or _packed(common, ref)
    return value if value is not None and _SHA.fullmatch(value) else None


def head_branch(path: Path) -> str | None:
    """Return the branch that is checked out at `path`, or None when HEAD is at no branch."""
    git = _git_folder(path)
    head = (_text(git / "HEAD") or "") if git is not None else ""
    ref = head.removeprefix("ref: ")
    return ref.removeprefix(_BRANCHES) if ref != head and ref.startswith(_BRANCHES) else None


def objects_folder(path: Path) -> Path | None:
    """Return the folder with the objects of the repository at `path`, bare or not; None when there is no repository."""
    git = _git_folder(path)
    return None if git is None else _common_folder(git) / "objects"


def _git_folder(path: Path) -> Path | None:
    git = path / ".git"
    if git.is_dir():
        return git
    pointer = _text(git)
    if pointer is not None and pointer.startswith("gitdir: "):
        return path / pointer.removeprefix("gitdir: ")
    return path if (path / "HEAD").is_file() and (path / "objects").is_dir() else None


def _common_folder(git: Path) -> Path:
    common = _text(git / "commondir")
    return git / common if common else git


def _packed(common: Path, name: str) -> str | None:
    for line in (_text(common / "packed-refs") or "").split("\n"):
        sha, _, ref = line.partition(" ")
        if ref == name:
            return sha
    return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "surrogateescape").strip(" \t\r\n")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
