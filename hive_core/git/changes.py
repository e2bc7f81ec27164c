"""What lies between two commits, as text and in sentences about what the text does not make obvious."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from hive_core.git.library import DeltaStatus, DiffFind, FileMode, SortMode, pygit2
from hive_core.lookalikes import remarks
from hive_core.text import one_line, visible

MOST_DIFF = 512 << 10
LARGE_FILE = 1 << 20
# Of a file before and after. Comparing ten times as many takes seconds, in which libgit2 lets no other thread run.
MOST_LINES = 50_000
LONG_LINE = 500
MOST_PAIRS = 10_000
# Of each kind by itself: who proposes can make as many of one as it likes, and would keep the others from being told.
MOST_OF_A_KIND = 50
MOST_SHOWN = 50
LONGEST_MESSAGE = 4096
LARGEST_REMARKED = 64 << 10
_NO_OBJECT = "0" * 40


@dataclass(frozen=True, slots=True)
class Authored:
    """A commit as whoever made it wrote it, so by nothing but their word. message: at most 4096 characters,
    and then it says that it was cut."""

    sha: str
    author: str
    email: str
    message: str


class Changes:
    """The difference between two commits of the object store at `objects`; `before` None is the empty tree.

    Read without the repository around it: an attribute such as `-diff` in a `.gitattributes` that was approved
    before, or configuration, could otherwise hide later changes.
    """

    def __init__(self, objects: Path, before: str | None, after: str) -> None:
        self._store = pygit2.Repository()
        self._store.set_odb(pygit2.Odb(str(objects)))
        self._before = before
        self._after = after
        old = None if before is None else self._commit(before).tree
        new = self._commit(after).tree
        # Against nothing, libgit2 diffs from the tree to the empty one: `swap` turns that round.
        self._diff = old.diff_to_tree(new) if old is not None else new.diff_to_tree(swap=True)
        self._diff.find_similar(self._renames())

    def _renames(self) -> DiffFind:
        """How renames are looked for: where very many pairs would have to be compared, only those that changed nothing.

        libgit2 lets no other thread run until it is done, which takes many seconds where a thousand files make way
        for a thousand others.
        """
        status = [delta.status for delta in self._diff.deltas]
        few = status.count(DeltaStatus.ADDED) * status.count(DeltaStatus.DELETED) <= MOST_PAIRS
        return DiffFind.FIND_RENAMES if few else DiffFind.FIND_RENAMES | DiffFind.FIND_EXACT_MATCH_ONLY

    def _commit(self, sha: str) -> pygit2.Commit:
        commit = self._store[sha]
        assert isinstance(commit, pygit2.Commit)
        return commit

    def text(self) -> str:
        """The unified diff: at most 512 KiB and then a line that says so, undecodable bytes replaced."""
        parts: list[str] = []
        size = 0
        for delta, patch in self._patches():
            data = _named(delta, patch) if isinstance(patch, str) else patch.data
            parts.append(data[: MOST_DIFF - size].decode("utf-8", "replace"))
            size += len(data)
            if size > MOST_DIFF:
                parts.append(f"\n(cut here: the diff is longer than {MOST_DIFF >> 10} KiB)\n")
                break
        return "".join(parts)

    def sentences(self) -> list[str]:
        """What the diff's text does not make obvious, at most 50 sentences of each kind, safe to print.

        Of the lines, the first 512 KiB of the diff are looked at, and of the files all.
        """
        looked_at, more = self._looked_at()
        texts = [patch for _, patch in looked_at if isinstance(patch, pygit2.Patch) and not patch.delta.is_binary]
        deltas = [delta for delta in self._diff.deltas if delta.status != DeltaStatus.DELETED]
        kinds = (
            more,
            _of_what_is_not_shown(looked_at),
            self._of_links(deltas),
            _of_executables(deltas),
            _of_names(deltas),
            self._of_the_commits(),
            _of_hidden_characters(texts),
            _of_lookalikes(texts),
            _of_long_lines(texts),
            self._of_the_messages(),
        )
        return [visible(sentence) for kind in kinds for sentence in _not_too_many(kind)]

    def _looked_at(self) -> tuple[list[tuple[pygit2.DiffDelta, pygit2.Patch | str]], list[str]]:
        """The patches up to where the diff is cut, and what is to be said of that."""
        found: list[tuple[pygit2.DiffDelta, pygit2.Patch | str]] = []
        size = 0
        for delta, patch in self._patches():
            found.append((delta, patch))
            size += 0 if isinstance(patch, str) else len(patch.data)
            if size > MOST_DIFF:
                long = f"The diff is longer than {MOST_DIFF >> 10} KiB"
                return found, [f"{long}: it is cut, and no line further on was looked at."]
        return found, []

    def _patches(self) -> Iterator[tuple[pygit2.DiffDelta, pygit2.Patch | str]]:
        """Each entry and its patch, or what the file is of which none is made."""
        for number, delta in enumerate(self._diff.deltas):
            # Each patch is made only when it is asked for; those of large files never are.
            yield delta, self._too_large(delta) or self._diff[number] or "without a patch"

    def _too_large(self, delta: pygit2.DiffDelta) -> str:
        old, new = delta.old_file, delta.new_file
        if max(self._size(old), self._size(new)) > LARGE_FILE:
            return "larger than 1 MiB"
        if self._size(old) and self._size(new) and max(self._lines(old), self._lines(new)) > MOST_LINES:
            return f"longer than {MOST_LINES} lines"
        return ""

    def _lines(self, file: pygit2.DiffFile) -> int:
        # A line has a byte at least.
        return 0 if self._size(file) <= MOST_LINES else self._store.odb.read(file.id)[1].count(b"\n")

    def _size(self, file: pygit2.DiffFile) -> int:
        if str(file.id) == _NO_OBJECT or file.mode == FileMode.COMMIT:
            return 0
        return self._store.odb.read_header(file.id)[1]

    def _of_links(self, deltas: Iterable[pygit2.DiffDelta]) -> Iterator[str]:
        for delta in deltas:
            new, path = delta.new_file, _path(delta)
            if new.mode == FileMode.LINK:
                target = self._store.odb.read(new.id)[1][:1000] if self._size(new) <= LARGE_FILE else b"..."
                yield f"{path} is a symlink to '{one_line(target.decode('utf-8', 'replace'))}'."
            elif new.mode == FileMode.COMMIT:
                yield f"{path} is a submodule: commit {new.id} of another repository, which this diff does not show."

    def commits(self) -> list[Authored]:
        """The commits that lie between, newest first, at most 50."""
        return [_authored(commit) for commit in self._between()[:MOST_SHOWN]]

    def _between(self) -> list[pygit2.Commit]:
        """The commits between, and one more than are shown if there are so many."""
        walk = self._store.walk(self._after, SortMode.TOPOLOGICAL)
        if self._before is not None:
            walk.hide(self._before)
        return [commit for _, commit in zip(range(MOST_SHOWN + 1), walk, strict=False)]

    def _of_the_messages(self) -> Iterator[str]:
        for commit in self._between()[:MOST_SHOWN]:
            told, short = _authored(commit), str(commit.id)[:12]
            if "\0" in told.message:
                yield f"The message of {short} has a NUL: git shows nothing of what is behind it."
            for remark in remarks(f"{told.author} {told.email} {told.message}"):
                yield f"In the message or the author of {short} {remark}."

    def _of_the_commits(self) -> Iterator[str]:
        commits = self._between()
        if len(commits) < 2:
            return
        more = "more than " if len(commits) > MOST_SHOWN else ""
        yield f"{more}{min(len(commits), MOST_SHOWN)} commits lie between; the diff is their sum.".capitalize()
        for commit in commits[:MOST_SHOWN]:
            author = commit.author.raw_name.decode("utf-8", "replace")
            yield f"{str(commit.id)[:12]} by {one_line(author)}: {one_line(subject(commit))}"


def _message(commit: pygit2.Commit) -> str:
    """A commit's whole message: git's own libraries, and git itself, show none of what lies behind a NUL.

    Not decoded as the commit claims either: the encoding may be one that does not exist.
    """
    return commit.read_raw().partition(b"\n\n")[2].decode("utf-8", "replace").strip()


def _authored(commit: pygit2.Commit) -> Authored:
    # Raw: the decoded ones would look up whatever encoding the commit claims.
    author, email = (
        name.decode("utf-8", "replace")[:200] for name in (commit.author.raw_name, commit.author.raw_email)
    )
    message = _message(commit)
    if len(message) > LONGEST_MESSAGE:
        note = f"\n(cut here: the message has {len(message)} characters)"
        message = message[: LONGEST_MESSAGE - len(note)] + note
    return Authored(str(commit.id), author, email, message)


def subject(commit: pygit2.Commit) -> str:
    """The first line of a commit's message, at most 200 characters, undecodable bytes replaced."""
    return _message(commit).partition("\n")[0][:200]


def _not_too_many(sentences: Iterable[str]) -> Iterator[str]:
    rest = iter(sentences)
    yield from islice(rest, MOST_OF_A_KIND)
    if next(rest, None) is not None:
        yield "There is more of this kind than is listed here."


def _of_what_is_not_shown(patches: Iterable[tuple[pygit2.DiffDelta, pygit2.Patch | str]]) -> Iterator[str]:
    for delta, patch in patches:
        if isinstance(patch, str):
            yield f"{_path(delta)} is {patch}; the diff does not show it."
        elif patch.delta.is_binary:
            yield f"{_path(delta)} is binary; the diff does not show what is in it."


def _of_executables(deltas: Iterable[pygit2.DiffDelta]) -> Iterator[str]:
    for delta in deltas:
        old, new = delta.old_file.mode, delta.new_file.mode
        if new == FileMode.BLOB_EXECUTABLE and old != new:
            yield f"{_path(delta)} is {'new and' if delta.status == DeltaStatus.ADDED else 'made'} executable."
        elif old == FileMode.BLOB_EXECUTABLE and new == FileMode.BLOB:
            yield f"{_path(delta)} is no longer executable."


def _of_names(deltas: Iterable[pygit2.DiffDelta]) -> Iterator[str]:
    for delta in deltas:
        for remark in remarks(delta.new_file.raw_path.decode("utf-8", "replace")):
            yield f"In the name {_path(delta)} {remark}."
        if delta.status == DeltaStatus.RENAMED:
            yield f"{_shown(delta.old_file)} is renamed to {_path(delta)}."


def _added(patches: Iterable[pygit2.Patch]) -> Iterator[tuple[str, int, str]]:
    """The path, the number and the text of each line that is new."""
    for patch in patches:
        for hunk in patch.hunks:
            for line in hunk.lines:
                if line.origin == "+":
                    text = line.raw_content.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")
                    yield _path(patch.delta), line.new_lineno, text


def _of_hidden_characters(patches: Iterable[pygit2.Patch]) -> Iterator[str]:
    for path, number, text in _added(patches):
        if visible(text) != text or "�" in text:
            yield f"{path}, line {number} has invisible, control or undecodable characters: {one_line(text)[:200]}"


def _of_lookalikes(patches: Iterable[pygit2.Patch]) -> Iterator[str]:
    for path, number, text in _added(patches):
        for remark in remarks(text[:LARGEST_REMARKED]):
            yield f"In {path}, line {number}, {remark}."


def _of_long_lines(patches: Iterable[pygit2.Patch]) -> Iterator[str]:
    for path, number, text in _added(patches):
        if len(text) > LONG_LINE:
            yield f"{path}, line {number} is {len(text)} characters long."


def _named(delta: pygit2.DiffDelta, why: str) -> bytes:
    names = f"diff --git a/{_shown(delta.old_file)} b/{_shown(delta.new_file)}"
    return f"{names}\n{why[:1].upper()}{why[1:]}, not shown\n".encode()


def _path(delta: pygit2.DiffDelta) -> str:
    return _shown(delta.new_file)


def _shown(file: pygit2.DiffFile) -> str:
    return one_line(file.raw_path.decode("utf-8", "replace"))
