"""Reads git objects out of a repository that a hostile agent owns and may be changing at this moment."""

from __future__ import annotations

import os
import re
import stat
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from hive_agent import untrusted_files
from hive_core.errors import NotFound, Refused
from hive_core.git.packs import KINDS, DamagedObject, Object, inflate, object_sha, read_pack
from hive_core.transaction import never_inside

# No git library opens the repository, so nothing in it can speak: not its configuration, hooks, attributes,
# alternates, grafts, replacements or indexes. All that is read are regular files below `.git/objects` whose names are
# those of objects and packs, each folder opened without following links, each object known only by its own hash.

MOST_NEW_COMMITS = 2000  # that are new in one proposal
MOST_SECONDS = 10.0
SECONDS_ASIDE = 2.0  # for a look into a repository that nothing is taken from
MOST_OBJECT_BYTES = 64 << 20  # read from files
MOST_INFLATED = 128 << 20
MOST_LOOSE = 20_000
MOST_OBJECTS = 100_000
_LOOSE = re.compile(r"[0-9a-f]{38}")
_PACK = re.compile(r"([A-Za-z0-9._-]{1,200})\.pack")
_SHA256 = re.compile(r"^\s*objectformat\s*=\s*\"?sha256", re.IGNORECASE | re.MULTILINE)
_MOST_EXPLAINED = 64 << 10  # of a file that is read for what it tells of a repository
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SMALLER = "Propose from a smaller repository: a fresh clone of the applied one is."


@dataclass(frozen=True, slots=True)
class Bounds:
    """What receiving may take besides the bytes above. commits: new ones. until: by the monotonic clock."""

    commits: int
    until: float

    @classmethod
    def of_a_proposal(cls) -> Bounds:
        """What a person would still call a proposal, from now on."""
        return cls(MOST_NEW_COMMITS, time.monotonic() + MOST_SECONDS)

    @classmethod
    def of_a_look_aside(cls) -> Bounds:
        """For a repository whose owner is not who proposes: it may not use up the time that a proposal has."""
        return cls(0, time.monotonic() + SECONDS_ASIDE)

    @classmethod
    def of_a_whole_history(cls) -> Bounds:
        """For a repository that the operator takes over with all its past."""
        return cls(MOST_OBJECTS, time.monotonic() + 12 * MOST_SECONDS)

    def check(self) -> None:
        """Raises Refused when the time is up."""
        if time.monotonic() > self.until:
            raise Refused(f"The proposal cannot be read within {MOST_SECONDS:g} seconds.", _SMALLER)


class Ambiguous(Refused):
    """Several objects begin with the digits that were given."""

    def __init__(self, prefix: str, count: int) -> None:
        super().__init__(f"{prefix} is ambiguous: {count} objects begin with it.", "Give all 40 digits.")


class Missing(NotFound):
    """An object is not in the repository."""


class UntrustedObjects:
    """The objects of one untrusted repository, within bounds that count over the whole life of this reader."""

    def __init__(self, git: int, objects: int, stack: ExitStack, bounds: Bounds) -> None:
        self._git = git
        self._objects = objects
        self._stack = stack
        self._bounds = bounds
        self._bytes = self._inflated = self._files = 0
        self._folders: dict[str, int | None] = {}
        self._packed: dict[str, Object] | None = None
        self._damaged: list[str] = []

    def matching(self, prefix: str) -> set[str]:
        """The full shas of all objects that begin with these hex digits."""
        if len(prefix) == 40 and self._loose(prefix) is not None:
            return {prefix}
        return set(self._loose_names(prefix)) | {sha for sha in self._packs() if sha.startswith(prefix)}

    def find(self, prefix: str) -> str:
        """Return the full sha of the one commit that `prefix`, 7 to 40 lower-case hex digits, names.

        Raises Missing when nothing has it, Refused when several objects have or when it is no commit.
        """
        found = self.matching(prefix)
        if not found:
            raise self._missing(
                f"There is no commit {prefix} in the proposed repository", "Commit first, then request."
            )
        if len(found) > 1:
            raise Ambiguous(prefix, len(found))
        sha = found.pop()
        kind, _ = self.read(sha)
        if kind != "commit":
            raise Refused(f"{prefix} is a {kind}, not a commit.", "Request the commit itself.")
        return sha

    def read(self, sha: str) -> Object:
        """Return kind and content of an object, which really hash to `sha`. Raises Missing, DamagedObject, Refused."""
        self._bounds.check()
        found = self._loose(sha) or self._packs().get(sha)
        if found is None:
            raise self._missing(f"The proposed repository is incomplete: it has no object {sha}", _INCOMPLETE)
        return found

    def _loose(self, sha: str) -> Object | None:
        folder = self._folder(sha[:2])
        raw = None if folder is None else self._file(folder, f"objects/{sha[:2]}", sha[2:])
        if raw is None:
            return None
        try:
            head = zlib.decompressobj().decompress(raw, 40)
            kind, _, digits = head.partition(b"\0")[0].decode("ascii", "replace").partition(" ")
            if kind not in KINDS.values() or not digits.isdecimal():
                raise DamagedObject(f"The object {sha} is damaged.")
            self._charge(int(digits))
            content = inflate(raw, 0, head.index(b"\0") + 1 + int(digits))[0][head.index(b"\0") + 1 :]
        except (zlib.error, ValueError) as error:
            raise DamagedObject(f"The object {sha} is damaged.") from error
        if object_sha(kind, content) != sha:
            raise DamagedObject(f"The object {sha} is damaged: it holds something else.")
        return kind, content

    def _loose_names(self, prefix: str) -> Iterator[str]:
        folder = self._folder(prefix[:2])
        for name in () if folder is None else self._names(folder):
            if _LOOSE.fullmatch(name) and name.startswith(prefix[2:]):
                yield prefix[:2] + name

    def _packs(self) -> dict[str, Object]:
        """All packed objects. As to git, a pack is what has an index: any other is being written, or a leftover."""
        if self._packed is None:
            self._packed = {}
            for name in self._pack_names():
                if f"{name}.idx" in self._pack_files():
                    self._read_pack(f"{name}.pack")
        return self._packed

    def _read_pack(self, name: str) -> None:
        assert self._packed is not None
        pack = self._file(self._folder("pack") or 0, "objects/pack", name)
        if pack is None:
            return
        try:
            self._packed |= read_pack(pack, self._charge, MOST_OBJECTS - len(self._packed))
        except DamagedObject:
            # Git, too, misses only what lies in it.
            self._damaged.append(name)

    def _pack_files(self) -> set[str]:
        folder = self._folder("pack")
        return set() if folder is None else set(self._names(folder))

    def _pack_names(self) -> list[str]:
        return [match[1] for name in sorted(self._pack_files()) if (match := _PACK.fullmatch(name))]

    def _missing(self, what: str, hint: str) -> Refused:
        """The error for an object that is not there, with all that may be the reason and what mends it."""
        reasons = list(self._reasons())
        text = f"{what}: {'; '.join(reason for reason, _ in reasons)}." if reasons else f"{what}."
        kind = DamagedObject if self._damaged else Missing
        return kind(text, " ".join(mended for _, mended in reasons) or hint)

    def _reasons(self) -> Iterator[tuple[str, str]]:
        if _SHA256.search(self._text(self._git, "config")):
            yield "it is a SHA-256 repository", "hive takes SHA-1: `git init --object-format=sha1`."
        if self._text(self._git, "shallow"):
            yield "it is a shallow clone", "`git fetch --unshallow` makes it whole."
        info = self._folder("info")
        if info is not None and self._text(info, "alternates"):
            yield (
                "it borrows objects of another repository (objects/info/alternates), where hive does not look",
                "`git repack -a -d` brings them over; then remove that file.",
            )
        files = self._pack_files()
        if any(name.endswith(".promisor") for name in files):
            yield "it is a partial clone", "Clone it anew without --filter."
        for name in self._damaged:
            yield f"objects/pack/{name} is damaged, or still being written", "Try again; else make a fresh clone."
        without = [name for name in self._pack_names() if f"{name}.idx" not in files]
        if without:
            yield f"objects/pack/{without[0]}.pack has no index, so git does not read it either", "`git index-pack` it."

    def _text(self, folder: int, name: str) -> str:
        """A small file beside the objects, only to say what may be wrong; nothing of one that cannot be read."""
        try:
            return (read_regular(folder, name, name, _MOST_EXPLAINED) or b"").decode("utf-8", "replace")
        except Refused:
            return ""

    def _folder(self, name: str) -> int | None:
        # Kept open to the end: at most 257 of them, one for each possible name.
        if name not in self._folders:
            folder = self._folders[name] = open_folder(name, self._objects, f"objects/{name}")
            if folder is not None:
                self._stack.callback(os.close, folder)
        return self._folders[name]

    def _names(self, folder: int) -> list[str]:
        names = []
        with os.scandir(folder) as entries:
            for entry in entries:
                names.append(entry.name)
                if len(names) > MOST_LOOSE:
                    raise Refused(f"The proposed repository has more than {MOST_LOOSE} objects.", _SMALLER)
        return names

    def _file(self, folder: int, where: str, name: str) -> bytes | None:
        content = read_regular(folder, name, f"{where}/{name}", MOST_OBJECT_BYTES - self._bytes)
        if content is not None:
            self._bytes += len(content)
            self._files += 1
        if self._files > MOST_LOOSE:
            raise Refused(f"The proposal needs more than {MOST_LOOSE} object files.", _SMALLER)
        return content

    def _charge(self, size: int) -> None:
        self._bounds.check()
        self._inflated += size
        if self._inflated > MOST_INFLATED:
            raise Refused(f"The proposal is larger than {MOST_INFLATED >> 20} MiB.", _SMALLER)


_INCOMPLETE = "Objects in other repositories (alternates, shallow or partial clones) do not count: make a full clone."


@never_inside
@contextmanager
def open_untrusted(repository: Path, bounds: Bounds | None = None) -> Iterator[UntrustedObjects]:
    """Open the object store of the repository whose work tree is `repository`, for the block.

    Raises Refused when the folder, the one around it, its `.git` or `.git/objects` is missing or anything but a real
    folder.
    """
    with ExitStack() as stack:
        folder: int | None = None
        git = -1
        for name, shown in _steps_to_objects(repository):
            if name == ".git":
                _require_own_git(folder)
            git, folder = folder or -1, open_folder(name, folder, shown)
            if folder is None:
                raise NotFound(f"There is no {shown} to fetch a proposal from.", f"Make {repository} a git clone.")
            stack.callback(os.close, folder)
        assert folder is not None
        yield UntrustedObjects(git, folder, stack, bounds or Bounds.of_a_proposal())


def _steps_to_objects(repository: Path) -> Iterator[tuple[str, str]]:
    """What is opened one in the other, without a link, and how it is called.

    Where hive is no root, an agent's user may have put a link in the place of the folder around its repository, too.
    """
    around = repository.parent
    # Whatever is above may be where the operator likes, by links, too.
    yield f"{around.parent}/.", str(around.parent)
    yield from ((folder.name, str(folder)) for folder in (around, repository))
    yield from ((".git", ".git"), ("objects", ".git/objects"))


def _require_own_git(repository: int | None) -> None:
    """Raises Refused for a work tree whose `.git` is only a pointer to where its objects lie."""
    try:
        there = os.stat(".git", dir_fd=repository, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISREG(there.st_mode):
        raise Refused(
            "The proposed repository is a linked work tree or a submodule (.git is a file): its objects lie elsewhere.",
            "Make a full clone of it.",
        )


def find(repository: Path, prefix: str, bounds: Bounds) -> str:
    """The full sha of the one commit that a prefix names in an untrusted repository; see `UntrustedObjects.find`."""
    with open_untrusted(repository, bounds) as objects:
        return objects.find(prefix.lower())


def all_matching(repositories: Sequence[Path], prefix: str, bounds: Bounds) -> set[str]:
    """What begins with a prefix in these repositories; one that cannot be read says nothing."""
    found: set[str] = set()
    for repository in repositories:
        try:
            with open_untrusted(repository, bounds) as objects:
                found |= objects.matching(prefix.lower())
        except Refused:
            continue
    return found


def open_folder(name: str, parent: int | None, shown: str) -> int | None:
    """Open a folder without following a link in its last component; None when it is absent. Raises Refused."""
    try:
        return os.open(name, _FOLDER, dir_fd=parent)
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = "it cannot be read" if isinstance(error, PermissionError) else "it is a link or a file"
        raise Refused(
            f"{shown} of the proposed repository is not a real folder that hive can read: {reason}."
        ) from error


def read_regular(folder: int, name: str, shown: str, limit: int) -> bytes | None:
    """Read a regular file of at most `limit` bytes; None when it is absent.

    Raises Refused for links, pipes, devices and sockets, which are looked at but never opened, and for larger files.
    """
    try:
        return untrusted_files.read(name, limit, folder=folder)
    except FileNotFoundError:
        return None
    except untrusted_files.TooLarge as error:
        raise Refused(f"The proposed repository is larger than {MOST_OBJECT_BYTES >> 20} MiB.", _SMALLER) from error
    except untrusted_files.NotRegular as error:
        raise Refused(f"{shown} in the proposed repository is not a regular file.", "Make a fresh clone.") from error
    except OSError as error:
        raise Refused(f"{shown} in the proposed repository cannot be read: {error.strerror}.") from error
