"""Commits of a repository that is not hive's, whoever owns it: its objects are read, none of its settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hive_core.git import trees
from hive_core.git.library import ObjectType, pygit2
from hive_core.git.packs import DamagedObject
from hive_core.git.revision import objects_folder

_TREE, _COMMITTER = "tree", b"committer "
PlacedFile = tuple[str, int, bytes]


def files_below(repository: Path, revision: str, folder: str) -> list[PlacedFile] | None:
    """Every file of a commit below one of its top-level folders, or one that lies there itself: path, mode and content;
    none where there is no such thing.

    None when the repository is gone, or does not have all of the commit (it was rewritten, or is a partial clone).
    """
    objects = objects_folder(repository)
    if objects is None or not objects.is_dir():
        return None
    try:
        return list(_files(pygit2.Odb(str(objects)), revision, folder))
    except (KeyError, ValueError, pygit2.GitError, DamagedObject):
        return None


def committed_at(repository: Path, revision: str) -> int | None:
    """When a commit was made, by its own word, in unix seconds.

    None when the repository is gone, does not have it, or is of a kind that is not read here (its hashes are SHA-256).
    """
    objects = objects_folder(repository)
    if objects is None or not objects.is_dir():
        return None
    try:
        kind, text = pygit2.Odb(str(objects)).read(revision)[:2]
        header = bytes(text).partition(b"\n\n")[0] if kind == ObjectType.COMMIT else b""
        # gitformat-commit, "committer NAME <MAIL> SECONDS ZONE".
        [line] = [line for line in header.split(b"\n") if line.startswith(_COMMITTER)]
        return int(line.rpartition(b">")[2].split()[0])
    except (KeyError, ValueError, IndexError, pygit2.GitError):
        return None


def _files(odb: pygit2.Odb, revision: str, folder: str) -> Iterator[PlacedFile]:
    def read(sha: str) -> bytes:
        return bytes(odb.read(sha)[1])

    # A commit begins with its tree: gitformat-commit, "tree SHA".
    label, _, root = read(revision).partition(b"\n")[0].decode("ascii").partition(" ")
    if label != _TREE:
        raise DamagedObject(f"{revision} is no commit.")
    for entry in trees.tree_entries(root, read(root)):
        if entry.kind == "blob" and entry.mode != trees.LINK and entry.name == folder.encode():
            yield folder, entry.permissions, read(entry.sha)
        if entry.kind == _TREE and entry.name == folder.encode():
            for path, file in trees.walk(read, entry.sha):
                if file.kind == "blob" and file.mode != trees.LINK:
                    yield f"{folder}/{path}", file.permissions, read(file.sha)
