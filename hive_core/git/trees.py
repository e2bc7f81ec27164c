"""Git trees taken apart: their entries, and which names among them may become files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hive_core.git.packs import DamagedObject
from hive_core.text import one_line

# What a configuration may hold at the most. One blob counts as often as it is named: so often it is written out.
MOST_FILES = 2000
MOST_BYTES = 16 << 20
SUBMODULE = "commit"
LINK = 0o120000
_TREE = 0o040000
# The modes git writes, and 100664, which it once wrote: git-fsck(1), badFilemode.
_KINDS = {_TREE: "tree", 0o100644: "blob", 0o100755: "blob", 0o100664: "blob", LINK: "blob", 0o160000: SUBMODULE}

# What HFS+ leaves out when it compares names: git's utf8.c, next_hfs_char().
_HFS_IGNORES = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a tree. kind: 'tree', 'blob', or 'commit' for a submodule, which is a commit elsewhere."""

    name: bytes
    mode: int
    kind: str
    sha: str

    @property
    def permissions(self) -> int:
        """What a regular file's mode becomes on disk: 0o644 or 0o755."""
        return 0o755 if self.mode & 0o100 else 0o644


def tree_entries(sha: str, content: bytes) -> list[Entry]:
    """Take a tree object apart, whatever the names in it. Raises DamagedObject."""
    entries: list[Entry] = []
    position = 0
    while position < len(content):
        space, nul = content.find(b" ", position), content.find(b"\0", position)
        digits = content[position:space]
        mode = int(digits, 8) if re.fullmatch(rb"[1-7][0-7]{4,5}", digits) else 0
        end = nul + 21
        if not position < space < nul or mode not in _KINDS or end > len(content):
            raise DamagedObject(f"The tree {sha} is not one that git writes.")
        entries.append(Entry(content[space + 1 : nul], mode, _KINDS[mode], content[nul + 1 : end].hex()))
        position = end
    return entries


def walk(read: Callable[[str], bytes], tree: str) -> Iterator[tuple[str, Entry]]:
    """Yield path and entry of everything below a tree that is no tree itself, in git's order.

    read: returns the content of a tree. Paths have surrogates for bytes that are not UTF-8.
    """
    pending: list[tuple[str, Entry]] = [("", Entry(b"", _TREE, "tree", tree))]
    while pending:
        path, entry = pending.pop()
        if entry.kind != "tree":
            yield path, entry
            continue
        below = tree_entries(entry.sha, read(entry.sha))
        prefix = f"{path}/" if path else ""
        pending += ((prefix + line.name.decode("utf-8", "surrogateescape"), line) for line in reversed(below))


def forged(name: bytes) -> str | None:
    """Say why `git fsck` calls a tree with this entry an error, or None.

    Covers what some file system could take for `.git`, `.` or `..` (hasDotgit, hasDot, hasDotdot, fullPathname):
    no honest git makes such a tree.
    """
    text = _HFS_IGNORES.sub("", name.decode("utf-8", "replace")).casefold()
    if name in (b"", b".", b"..") or b"/" in name:
        return "is no name of a file"
    # NTFS: trailing dots and spaces go, what follows a colon is a stream, a backslash separates, and `git~1` is short.
    if any(re.split(":", part)[0].rstrip(" .") in (".git", "git~1") for part in text.split("\\")):
        return "can be taken for git's own folder"
    if len(name) > 255:
        return "is longer than a file system allows"
    return None


def dangerous(path: str) -> bool:
    """Whether a path must never be written below a work tree."""
    return any(forged(name) for name in path.encode("utf-8", "surrogateescape").split(b"/"))


def odd(path: str) -> str | None:
    """Say why a path of a tree must not become a file of a configuration, or None.

    path: as git names it, '/' between names, with surrogates for bytes that are not UTF-8.
    """
    raw = path.encode("utf-8", "surrogateescape")
    for name in raw.split(b"/"):
        if reason := forged(name):
            return reason
    if b"\\" in raw:
        return "has a backslash in its name"
    if len(raw) > 1000:
        return "has too long a name"
    if "�" in raw.decode("utf-8", "replace") or one_line(path) != path:
        return "has invisible, control or undecodable characters in its name"
    return None
