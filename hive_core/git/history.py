"""What a git repository that only hive writes holds: its commits, tags, files and differences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hive_core.errors import BuildFailed, Invalid, NotFound, Refused
from hive_core.git import trees
from hive_core.git.changes import Authored, Changes, subject
from hive_core.git.library import ConfigLevel, ObjectType, RepositoryOpenFlag, SortMode, pygit2
from hive_core.git.packs import Object
from hive_core.git.worktree import FileContent, read_file
from hive_core.text import one_line
from hive_core.transaction import outside

MAIN = "refs/heads/main"
TAGS = "refs/tags/"
NAME, EMAIL = "hive", "hive@localhost"
SHA = re.compile(r"[0-9a-f]{7,40}")
OBJECT_TYPES = {
    "commit": ObjectType.COMMIT,
    "tree": ObjectType.TREE,
    "blob": ObjectType.BLOB,
    "tag": ObjectType.TAG,
}
_KINDS = {number: kind for kind, number in OBJECT_TYPES.items()}

# Somebody's gitconfig (autocrlf, templates with hooks, attributes) has no say in what hive reads or writes. Ownership
# stays validated: every repository that libgit2 opens is hive's own.
for _level in (ConfigLevel.PROGRAMDATA, ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL):
    pygit2.settings.search_path[_level] = "/dev/null"
# The tags are the history of decisions: what is said to be written survives a power cut (1 ms a command).
pygit2.settings.enable_fsync_gitdir(True)


@dataclass(frozen=True, slots=True)
class Logged:
    """A commit as a log shows it. time: unix seconds. subject: the first line of its message, as written."""

    sha: str
    time: int
    subject: str


class History:
    """The reading half of a repository. Opened when first needed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._git = path / ".git"

    @cached_property
    def _repository(self) -> pygit2.Repository:
        outside(f"the repository {self.path.name} was opened")
        try:
            repository = pygit2.Repository(str(self._git), RepositoryOpenFlag.NO_SEARCH)
        except pygit2.GitError as error:
            if self._git.is_dir():
                raise Refused(f"The git repository {self.path} cannot be opened: {error}.") from error
            raise NotFound(f"There is no git repository at {self.path}.") from error
        repository.set_ident(NAME, EMAIL)
        return repository

    def main(self) -> str:
        """The full sha of `main`. Raises NotFound when there is none."""
        target = self._target(MAIN)
        if target is None:
            raise NotFound(f"The git repository {self.path} has no branch main.")
        return target

    def resolve(self, prefix: str) -> str | None:
        """The full sha of the one commit that 7 to 40 hex digits name here; None when there is none, or several."""
        if not SHA.fullmatch(prefix):
            return None
        try:
            found = self._repository[prefix]
        except (KeyError, ValueError, pygit2.GitError):
            return None
        return str(found.id) if isinstance(found, pygit2.Commit) else None

    def is_ambiguous(self, prefix: str) -> bool:
        """Whether several objects begin with these 7 to 40 hex digits."""
        try:
            self._repository[prefix]
        except ValueError:
            return True
        except KeyError:
            return False
        return False

    def committed_at(self, sha: str) -> int:
        """When a commit was made, by its own word, in unix seconds. Raises NotFound."""
        return int(self._commit(sha).commit_time)

    def tags(self) -> dict[str, str]:
        """Every tag by its short name (`deployed/4`), with the full sha of its commit."""
        while True:
            packed, found = self._packed(), self._tags()
            # libgit2 reads the packed ones first: those that git packs and removes meanwhile it finds in neither place.
            if self._packed() == packed:
                return found

    def annotation(self, name: str) -> str | None:
        """The message of an annotated tag; None when there is no such tag, or it is a lightweight one."""
        target = self._target(tag_ref(name))
        tag = None if target is None else self._repository[target]
        return tag.raw_message.decode("utf-8", "replace") if isinstance(tag, pygit2.Tag) else None

    def is_same(self, one: str, other: str) -> bool:
        """Whether two commits have the same files. Raises NotFound."""
        return bool(self._commit(one).tree.id == self._commit(other).tree.id)

    def is_fast_forward(self, ancestor: str, descendant: str) -> bool:
        """Whether `descendant` is `ancestor`, or has it in its history. Raises NotFound."""
        old, new = self._commit(ancestor).id, self._commit(descendant).id
        return bool(old == new or self._repository.descendant_of(new, old))

    def read(self, sha: str, path: str, limit: int = 1 << 20) -> bytes | None:
        """The content of a regular file of a commit; None when there is no such file, or it is a link or a folder.

        limit: in bytes. Raises Refused for a larger one, NotFound for an unknown commit.
        """
        entry = self._entry(sha, path)
        if entry is None or entry.kind != "blob" or entry.mode == trees.LINK:
            return None
        if self._size(entry.sha) > limit:
            raise Refused(f"{one_line(path)} of {sha[:12]} is larger than {limit} bytes.")
        return self._repository.odb.read(entry.sha)[1]

    def files(self, sha: str) -> Iterator[tuple[str, int, bytes]]:
        """Every regular file of a commit: its path, its mode (0o644 or 0o755) and its content.

        Raises BuildFailed, naming the path, for links, submodules and names that must not become files, and when
        there are more than 2,000 files or 16 MiB; NotFound for an unknown commit.
        """
        size = 0
        for count, (path, entry) in enumerate(self._walk(sha), start=1):
            if reason := _unbuildable(path, entry):
                raise BuildFailed(f"The configuration cannot be built: {one_line(path)!r} {reason}.")
            size += self._size(entry.sha)
            if count > trees.MOST_FILES or size > trees.MOST_BYTES:
                raise BuildFailed(
                    f"The configuration cannot be built: it has more than {trees.MOST_FILES} files or "
                    f"{trees.MOST_BYTES >> 20} MiB, counted up to {one_line(path)!r}."
                )
            yield path, entry.permissions, self._repository.odb.read(entry.sha)[1]

    def changed(self, before: str | None, after: str, suffix: str) -> Iterator[tuple[str, bytes | None, bytes | None]]:
        """The files with such a name that differ between two commits: path, what it was, what it is.

        before: None for nothing. Each is read as it is come to; None where there is no such file. Of a link it is its
        target.
        """
        old, new = ({} if sha is None else self._named(sha, suffix) for sha in (before, after))
        for path in sorted(old.keys() | new.keys()):
            if old.get(path) != new.get(path):
                was, now = (self._object(side[path])[1] if path in side else None for side in (old, new))
                yield path, was, now

    def _named(self, sha: str, suffix: str) -> dict[str, str]:
        return {path: entry.sha for path, entry in self._walk(sha) if entry.kind == "blob" and path.endswith(suffix)}

    def diff(self, before: str | None, after: str) -> str:
        """The unified diff between two commits (`before` None: from nothing), raw but decoded: print it with `visible`.

        At most 512 KiB, and says so where it is cut; binary files and those over 1 MiB are only named.
        """
        return self._changes(before, after).text()

    def beyond_text(self, before: str | None, after: str) -> list[str]:
        """Sentences on what the diff's text does not make obvious, safe to print.

        Modes, links, submodules, binary and large files, long lines, renames, invisible characters, several commits.
        """
        return self._changes(before, after).sentences()

    def commits(self, before: str | None, after: str) -> list[Authored]:
        """The commits of `after` that `before` does not contain, newest first, at most 50, with message and author.

        All of it is as it was written: print it with `visible`.
        """
        return self._changes(before, after).commits()

    def log(self, limit: int) -> list[Logged]:
        """The newest `limit` commits of `main`, newest first."""
        walk = self._repository.walk(self.main(), SortMode.TOPOLOGICAL)
        return [
            Logged(str(commit.id), commit.commit_time, subject(commit))
            for _, commit in zip(range(limit), walk, strict=False)
        ]

    def _tags(self) -> dict[str, str]:
        found = {}
        for reference in self._repository.references.iterator():
            if reference.name.startswith(TAGS) and (commit := _peeled(reference)):
                found[reference.name.removeprefix(TAGS)] = commit
        return found

    def _packed(self) -> tuple[int, int] | None:
        """What tells the file of the packed references from the one before: git puts a new one in its place."""
        try:
            status = (self._git / "packed-refs").stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns

    def is_dirty(self, path: str) -> bool:
        """Whether one file of the work tree differs from `main`."""
        return read_file(self.path, path) != self._file(self.main(), path)

    def _target(self, ref: str) -> str | None:
        reference = self._repository.references.get(ref)
        return None if reference is None else str(reference.resolve().target)

    def _commit(self, sha: str) -> pygit2.Commit:
        full = self.resolve(sha)
        if full is None:
            raise NotFound(f"There is no commit {sha[:40]!a} in {self.path.name}.")
        found = self._repository[full]
        assert isinstance(found, pygit2.Commit)
        return found

    def _size(self, sha: str) -> int:
        return self._repository.odb.read_header(sha)[1]

    def _kind(self, sha: str) -> str | None:
        odb = self._repository.odb
        return _KINDS[ObjectType(odb.read_header(sha)[0])] if odb.exists(sha) else None

    def _object(self, sha: str) -> Object:
        number, content = self._repository.odb.read(sha)
        return _KINDS[ObjectType(number)], content

    def _walk(self, sha: str) -> Iterator[tuple[str, trees.Entry]]:
        return trees.walk(lambda tree: self._object(tree)[1], str(self._commit(sha).tree.id))

    def _entry(self, sha: str, path: str) -> trees.Entry | None:
        tree, entry = str(self._commit(sha).tree.id), None
        for name in path.encode("utf-8", "surrogateescape").split(b"/"):
            if entry is not None and entry.kind != "tree":
                return None
            listed = trees.tree_entries(tree, self._object(tree)[1])
            entry = next((line for line in listed if line.name == name), None)
            if entry is None:
                return None
            tree = entry.sha
        return entry

    def _file(self, sha: str, path: str) -> FileContent | None:
        entry = self._entry(sha, path)
        if entry is None or entry.kind != "blob":
            return None
        # A link becomes a plain file with its target as text, as under git's core.symlinks=false.
        return entry.permissions, self._repository.odb.read(entry.sha)[1]

    def _changes(self, before: str | None, after: str) -> Changes:
        old = None if before is None else str(self._commit(before).id)
        return Changes(self._git / "objects", old, str(self._commit(after).id))


def _peeled(reference: pygit2.Reference) -> str | None:
    try:
        return str(reference.peel(ObjectType.COMMIT).id)
    except (pygit2.GitError, ValueError):
        # An operator may have tagged a file or a folder; no decision is told by that.
        return None


def tag_ref(name: str) -> str:
    """The full name of a tag. Raises Invalid for a name git does not allow."""
    return checked_tag(TAGS + name)


def checked_tag(ref: str) -> str:
    """Return `ref` if it is the full name of a tag that git allows. Raises Invalid."""
    short = ref.removeprefix(TAGS)
    if short == ref or short.startswith("-") or not pygit2.reference_is_valid_name(ref):
        raise Invalid(f"{ref[:80]!a} is no tag that git allows.")
    return ref


def _unbuildable(path: str, entry: trees.Entry) -> str | None:
    if entry.kind == trees.SUBMODULE:
        return "is a submodule; put its files into the configuration instead"
    if entry.mode == trees.LINK:
        return "is a symlink; only regular files can be deployed"
    return trees.odd(path)
