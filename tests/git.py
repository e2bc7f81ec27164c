"""Real git for tests, in an environment of its own, and helpers that write what git itself refuses to write."""

from __future__ import annotations

import os
import subprocess
import zlib
from collections.abc import Mapping
from pathlib import Path

from hive_core.git.library import pygit2
from hive_core.git.packs import object_sha

ROOT = Path(__file__).parent.parent
ADA = ("Ada", "ada@example.org")
ENVIRONMENT = {
    "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
    "HOME": "/nonexistent",
    "LC_ALL": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": ADA[0],
    "GIT_AUTHOR_EMAIL": ADA[1],
    "GIT_COMMITTER_NAME": ADA[0],
    "GIT_COMMITTER_EMAIL": ADA[1],
}


def git(folder: Path, *arguments: str, data: bytes | None = None, check: bool = True) -> str:
    """Run git in a folder; returns what it printed, without the last line break."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=ENVIRONMENT, input=data, capture_output=True, check=False
    )
    if check and done.returncode:
        raise AssertionError(f"git {' '.join(arguments)} in {folder}: {done.stderr.decode(errors='replace')}")
    return done.stdout.decode(errors="replace").removesuffix("\n")


def commit(folder: Path, files: Mapping[str, str | bytes | None], message: str = "change") -> str:
    """Write or remove files in a work tree and commit all, as git does; returns the sha."""
    for path, content in files.items():
        target = folder / path
        if content is None:
            target.unlink()
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
    return commit_here(folder, message, ADA)


def commit_here(folder: Path, message: str = "change", who: tuple[str, str] = ("t", "t@t")) -> str:
    """Commit all of a work tree in this process; returns the sha.

    What a test only needs to be there is made so: three programs for each commit are a good part of its time.
    """
    repository = pygit2.Repository(str(folder))
    assert repository.status(), "there is nothing to commit"
    return commit_all(repository, message, who)


def commit_all(repository: pygit2.Repository, message: str = "change", who: tuple[str, str] = ("t", "t@t")) -> str:
    """The same where it may be that nothing has changed."""
    index = repository.index
    index.add_all()
    for path, status in repository.status().items():
        if status & pygit2.enums.FileStatus.WT_DELETED:
            index.remove(path)
    index.write()
    parents = [] if repository.head_is_unborn else [repository.head.target]
    by = pygit2.Signature(*who)
    return str(repository.create_commit("HEAD", by, by, f"{message}\n", index.write_tree(), parents))


def write_object(folder: Path, kind: str, content: bytes, name: str | None = None) -> str:
    """Write a loose object that git would not write, under its own name or a false one; returns the name."""
    name = name or object_sha(kind, content)
    target = folder / ".git/objects" / name[:2] / name[2:]
    target.parent.mkdir(exist_ok=True)
    if target.exists():
        target.unlink()
    target.write_bytes(zlib.compress(f"{kind} {len(content)}\0".encode() + content))
    return name


def tree(*entries: tuple[str, str | bytes, str]) -> bytes:
    """The content of a tree object: (mode, name, sha) each, in the order given."""
    return b"".join(
        f"{mode} ".encode() + (name.encode() if isinstance(name, str) else name) + b"\0" + bytes.fromhex(sha)
        for mode, name, sha in entries
    )


def raw_commit(folder: Path, tree_sha: str, *parents: str) -> str:
    """Commit a tree as it is, whatever is in it; returns the sha."""
    person = "Ada <ada@example.org> 1700000000 +0000"
    lines = [f"tree {tree_sha}", *(f"parent {parent}" for parent in parents), f"author {person}"]
    return write_object(folder, "commit", "\n".join([*lines, f"committer {person}", "", "raw\n"]).encode())


def loose(folder: Path, sha: str) -> Path:
    return folder / ".git/objects" / sha[:2] / sha[2:]
