"""Everything a commit needs, checked against what git itself calls broken, in an order safe to write."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from hive_core.errors import Refused
from hive_core.git.packs import DamagedObject, Object
from hive_core.git.trees import MOST_BYTES, MOST_FILES, SUBMODULE, Entry, forged, tree_entries
from hive_core.text import one_line

MOST_DEPTH = 32
MOST_PATH_BYTES = 1000
LARGEST_COMMIT = 1 << 20
LARGEST_TREE = 4 << 20
_PERSON = rb"[^\n<>\0]*<[^\n<>\0]*> \d{1,11} [+-]\d{4}\n"
_COMMIT = re.compile(
    rb"tree ([0-9a-f]{40})\n((?:parent [0-9a-f]{40}\n)*)author " + _PERSON + rb"committer " + _PERSON + rb"[^\0]*?\n"
)

Read = Callable[[str], Object]


@dataclass(frozen=True, slots=True)
class _Shape:
    """How far a tree reaches when it is laid out as files."""

    files: int
    size: int
    depth: int
    longest: int


class Closure:
    """Collects what is new below a commit.

    known: the kind of an object that the repository to be written has, with all below it, or None; size: its size in
    bytes. trusted: reads
    such an object; trees are looked into nevertheless: what many small steps add up to has to stay within bounds too.
    untrusted: reads any other object, or raises. commits: how many new ones there may be.
    """

    def __init__(
        self,
        known: Callable[[str], str | None],
        size: Callable[[str], int],
        trusted: Read,
        untrusted: Read,
        commits: int,
    ) -> None:
        self._known = known
        self._size = size
        self._trusted = trusted
        self._untrusted = untrusted
        self._commits = self._commits_left = commits
        self._new: dict[str, Object] = {}
        self._done: set[str] = set()
        self._there: set[str] = set()
        self._shapes: dict[str, _Shape] = {}

    def of(self, commit: str) -> dict[str, Object]:
        """Return every object below `commit`, itself included, that is not there yet: each after what it names.

        Raises DamagedObject, Refused, and what the readers raise.
        """
        stack: list[tuple[str, str, Object | None]] = [(commit, "commit", None)]
        while stack:
            sha, kind, entered = stack.pop()
            if entered is not None:
                self._leave(sha, entered)
            elif sha not in self._done:
                stack += self._enter(sha, kind)
        return self._new

    def _enter(self, sha: str, kind: str) -> list[tuple[str, str, Object | None]]:
        known = self._known(sha)
        if known == kind != "tree":
            self._done.add(sha)
            return []
        if known:
            self._there.add(sha)
        elif kind == "commit":
            self._count()
        found = self._trusted(sha) if known else self._untrusted(sha)
        if found[0] != kind:
            raise DamagedObject(f"{sha} should be a {kind}, but is a {found[0]}.")
        return [(sha, kind, found), *((name, wanted, None) for name, wanted in _names(sha, found))]

    def _count(self) -> None:
        self._commits_left -= 1
        if self._commits_left < 0:
            raise Refused(
                f"The proposal brings more than {self._commits} commits that are new.",
                "Rebase them into fewer: `git reset --soft` onto what is deployed, and one commit.",
            )

    def _leave(self, sha: str, found: Object) -> None:
        self._done.add(sha)
        if found[0] == "tree":
            self._shapes[sha] = self._shape(sha, checked_entries(sha, found[1]))
        if sha not in self._there:
            self._new[sha] = found

    def _shape(self, sha: str, lines: list[Entry]) -> _Shape:
        files, size, depth, longest = 0, 0, 1, 0
        for line in lines:
            below = self._shapes[line.sha] if line.kind == "tree" else _Shape(1, self._size_of(line), 0, 0)
            files += below.files
            size += below.size
            depth = max(depth, below.depth + 1)
            longest = max(longest, len(line.name) + 1 + below.longest)
        if files > MOST_FILES or size > MOST_BYTES or depth > MOST_DEPTH or longest > MOST_PATH_BYTES:
            raise Refused(
                f"The tree {sha[:12]} is too large for a configuration: at most {MOST_FILES} files, "
                f"{MOST_BYTES >> 20} MiB, {MOST_DEPTH} folders deep, {MOST_PATH_BYTES} bytes to a path."
            )
        return _Shape(files, size, depth, longest)

    def _size_of(self, line: Entry) -> int:
        if line.kind == SUBMODULE:
            return 0
        new = self._new.get(line.sha)
        return self._size(line.sha) if new is None else len(new[1])


def _names(sha: str, found: Object) -> list[tuple[str, str]]:
    kind, content = found
    if kind == "tree":
        return [(line.sha, line.kind) for line in checked_entries(sha, content) if line.kind != SUBMODULE]
    if kind != "commit":
        return []
    match = _COMMIT.match(content)
    if match is None or len(content) > LARGEST_COMMIT:
        raise DamagedObject(f"The commit {sha} is not one that git writes.", "Make it again with git itself.")
    parents = match[2].decode().replace("parent", "").split()
    return [(match[1].decode(), "tree"), *((parent, "commit") for parent in parents)]


def checked_entries(sha: str, content: bytes) -> list[Entry]:
    """Take a tree object apart. Raises DamagedObject, and Refused for what `git fsck` calls an error in a tree."""
    if len(content) > LARGEST_TREE:
        raise Refused(f"The tree {sha[:12]} is larger than {LARGEST_TREE >> 20} MiB.")
    lines = tree_entries(sha, content)
    last, names = b"", set()
    for line in lines:
        if reason := forged(line.name):
            raise Refused(f"The tree {sha[:12]} has an entry {_shown(line.name)}, which {reason}.")
        place = line.name + b"/" if line.kind == "tree" else line.name
        if place <= last or line.name in names:
            raise Refused(f"The tree {sha[:12]} has the entry {_shown(line.name)} twice, or not in its place.")
        last = place
        names.add(line.name)
    return lines


def _shown(name: bytes) -> str:
    return one_line(name.decode("utf-8", "replace"))
