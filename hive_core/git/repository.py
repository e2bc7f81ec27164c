"""Git repositories that only hive writes, and how a commit comes into one from a repository that an agent writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from hive_core.errors import BuildFailed, Invalid, Refused
from hive_core.git import trees
from hive_core.git.closure import Closure
from hive_core.git.history import EMAIL, MAIN, NAME, OBJECT_TYPES, SHA, History, checked_tag, tag_ref
from hive_core.git.library import FileMode, ObjectType, RepositoryInitFlag, SortMode, pygit2
from hive_core.git.made import give_away, made_beside, make_readable
from hive_core.git.pack_writer import write_pack
from hive_core.git.packs import Object
from hive_core.git.untrusted import Bounds, open_untrusted
from hive_core.git.worktree import remove_file, write_file, write_work_tree
from hive_core.git.writer import only_writer
from hive_core.text import one_line

# As git's fetch.unpackLimit: with more objects than these one pack is made, which is a hundred times as fast.
MOST_LOOSE = 100
# info/attributes outranks every .gitattributes in the tree (gitattributes(5)): no filter runs, no line end changes and
# no file is declared undiffable, neither for hive nor for an operator's git in there.
_ATTRIBUTES = "* -text -eol -crlf -ident -filter -working-tree-encoding !diff !merge\n"


class Repository(History):
    """A repository that only hive writes: `applied/<name>`, `meta`, or a proposer's clone at its making.

    Every writing method excludes every other one on the same repository, in any process, and can be killed anywhere:
    the next one clears away what the dead one left locked, and `move_main(main, main)` mends index and work tree.
    """

    # --- making one

    @classmethod
    def create(cls, path: Path, files: Mapping[str, bytes], message: str) -> Repository:
        """Make a repository with one commit on `main` that holds `files`, by path.

        All or nothing: what a failure or a kill leaves is removed, at the latest by the next one made beside it.
        Raises Refused when there is something at `path`.
        """
        with made_beside(path, path.parent) as temporary:
            made = cls(temporary)
            repository = made._init()
            tree = made._tree(None, files)
            repository.create_commit(MAIN, _hive(), _hive(), _clean(message), tree, [])
            made._settle(made.main())
            make_readable(temporary)
        return cls(path)

    @classmethod
    def clone(cls, source: Repository, path: Path, *, origin: str, owner: tuple[int, int] | None = None) -> Repository:
        """Make a proposer's clone of `main`: its remote `origin` is that url, and `git pull` there works.

        owner: uid and gid that everything in it gets. It is made beside `source`, out of everybody's reach, and
        moved to `path` in one step, since an agent may write the folder it goes to. Nothing is shared with `source`.
        Raises Refused when there is something at `path`.
        """
        main = source.main()
        with made_beside(path, source.path.parent) as temporary:
            made = cls(temporary)
            repository = made._init()
            source._pack_into(temporary / ".git/objects/pack", main)
            repository.remotes.create("origin", origin)
            repository.config["branch.main.remote"] = "origin"
            repository.config["branch.main.merge"] = MAIN
            repository.references.create("refs/remotes/origin/main", main)
            repository.references.create(MAIN, main)
            made._settle(main)
            make_readable(temporary)
            if owner is not None:
                give_away(temporary, owner)
        return cls(path)

    @classmethod
    def adopt(cls, path: Path, untrusted: Path, sha: str) -> Repository:
        """Make a repository whose `main` is a commit taken from one that an agent may write; see `take_in`."""
        with made_beside(path, path.parent) as temporary:
            made = cls(temporary)
            repository = made._init()
            full = made.take_in(untrusted, sha, Bounds.of_a_whole_history())
            repository.references.create(MAIN, full)
            made._settle(full)
            make_readable(temporary)
        return cls(path)

    @classmethod
    def filled(cls, path: Path, fill: Callable[[Path], None]) -> Repository:
        """Make a repository that `fill` brings `main` into, by git's own means; all or nothing, as `create`."""
        with made_beside(path, path.parent) as temporary:
            made = cls(temporary)
            made._init()
            fill(temporary)
            made._settle(made.main())
            make_readable(temporary)
        return cls(path)

    def _init(self) -> pygit2.Repository:
        repository = pygit2.init_repository(self.path, flags=RepositoryInitFlag.NO_REINIT, initial_head="main")
        repository.config["core.symlinks"] = False
        repository.config["core.autocrlf"] = False
        (self._git / "info/attributes").write_text(_ATTRIBUTES)
        return self._repository

    def _pack_into(self, folder: Path, sha: str) -> None:
        def choose(builder: pygit2.PackBuilder) -> None:
            for commit in self._repository.walk(sha, SortMode.TOPOLOGICAL):
                builder.add_recur(commit.id)

        self._repository.pack(folder, choose, n_threads=1)

    # --- writing

    def receive(self, untrusted: Path, sha: str, ref: str) -> str:
        """`take_in` a commit and point `ref`, as `refs/tags/proposal/<id>`, at it. Returns the full sha."""
        checked_tag(ref)
        full = self.take_in(untrusted, sha)
        with self._writing(f"receiving {full[:12]}"):
            self._point([ref], full)
        return full

    def take_in(self, untrusted: Path, sha: str, bounds: Bounds | None = None) -> str:
        """Take a commit, and all it needs, out of a repository that a hostile agent writes; no ref points at it yet.

        untrusted: the work tree of that repository. sha: 7 to 40 hex digits. bounds: those of a proposal by default.
        Nothing in there runs or is followed; every object is checked before the first is written. Returns the full sha.
        Raises Invalid for a malformed sha, Refused (NotFound, DamagedObject) with the reason for what cannot be taken.
        """
        prefix = sha.lower()
        if not SHA.fullmatch(prefix):
            raise Invalid(f"{sha[:80]!a} is no commit: 7 to 40 hexadecimal digits are.")
        bounds = bounds or Bounds.of_a_proposal()
        with open_untrusted(untrusted, bounds) as objects:
            full = prefix if len(prefix) == 40 and self.resolve(prefix) else objects.find(prefix)
            new = Closure(self._kind, self._size, self._object, objects.read, bounds.commits).of(full)
        with self._writing(f"receiving {full[:12]}"):
            self._write(new)
        return full

    def _write(self, objects: Mapping[str, Object]) -> None:
        if len(objects) > MOST_LOOSE:
            write_pack(self._git / "objects" / "pack", objects)
            return
        # Each object after what it names: what is there is complete, whenever this is killed.
        for name, (kind, content) in objects.items():
            written = self._repository.odb.write(OBJECT_TYPES[kind], content)
            assert str(written) == name, f"{name} became {written}"

    def commit(self, changes: Mapping[str, bytes | None], message: str) -> str:
        """Commit `changes` (path to content, None removes) onto `main`; their files in the work tree follow.

        Other files of the work tree stay as they are. Returns the new sha, or `main` when nothing differs from it.
        """
        with self._writing("committing"):
            main = self._commit(self.main())
            tree = self._tree(main.tree, changes)
            if tree != main.tree.id:
                new = self._repository.create_commit(None, _hive(), _hive(), _clean(message), tree, [main.id])
                self._advance(str(main.id), str(new), f"commit: {_clean(message)}")
            for path in changes:
                self._restore(path)
            self._write_index(changes)
            return self.main()

    def move_main(self, expected: str, sha: str) -> None:
        """Move `main` from `expected` to `sha`, then index and work tree; if it is at `sha` already, only mend those.

        Raises Refused when `main` is at neither, NotFound when there is no such commit, BuildFailed for one with a file
        that must not be written anywhere.
        """
        with self._writing(f"moving main to {sha[:12]}"):
            new, main = str(self._commit(sha).id), self.main()
            if main != new:
                if main != str(self._commit(expected).id):
                    raise Refused(f"main of {self.path.name} moved to {main[:12]} meanwhile.", "Look again.")
                if bad := [path for path, _ in self._walk(new) if trees.dangerous(path)]:
                    raise BuildFailed(f"{new[:12]} cannot be checked out: it has the file {one_line(bad[0])!r}.")
                self._advance(main, new, f"hive: moved to {new}")
            self._settle(new)

    def tag(self, names: Sequence[str], sha: str) -> None:
        """Make lightweight tags on a commit, all in one ref transaction; those that are there already are fine.

        Raises Refused, and makes none, when one of them is on something else.
        """
        with self._writing("tagging"):
            self._point([tag_ref(name) for name in names], str(self._commit(sha).id))

    def annotate(self, name: str, sha: str, message: str) -> None:
        """Make an annotated tag; if it is on that commit already it is left as it is. Raises Refused otherwise."""
        with self._writing("tagging"):
            commit = self._commit(sha).id
            reference = self._repository.references.get(tag_ref(name))
            if reference is None:
                self._repository.create_tag(name, commit, ObjectType.COMMIT, _hive(), _clean(message))
            elif reference.peel(ObjectType.COMMIT).id != commit:
                raise Refused(f"The tag {name} of {self.path.name} is on another commit already.")

    def return_to(self, sha: str, message: str) -> str:
        """Make a commit with the tree of another on top of `main`, which stays where it is; returns its sha."""
        with self._writing(f"returning to {sha[:12]}"):
            tree, parent = self._commit(sha).tree.id, self._commit(self.main()).id
            return str(self._repository.create_commit(None, _hive(), _hive(), _clean(message), tree, [parent]))

    def untag(self, names: Sequence[str]) -> None:
        """Remove tags, in one ref transaction; absent ones are fine."""
        with self._writing("removing tags"), self._repository.transaction() as transaction:
            for ref in {tag_ref(name) for name in names}:
                if self._target(ref) is not None:
                    transaction.lock_ref(ref)
                    transaction.remove(ref)

    def restore(self, path: str) -> None:
        """Set one file of the work tree to what it is on `main`; one that is not there is removed."""
        with self._writing(f"restoring {one_line(path)}"):
            self._restore(path)

    # --- inside

    def _writing(self, purpose: str) -> AbstractContextManager[None]:
        self._repository  # noqa: B018 - there is nothing to lock in a repository that cannot be opened
        return only_writer(self._git, purpose)

    def _tree(self, base: pygit2.Tree | None, changes: Mapping[str, bytes | None]) -> pygit2.Oid:
        index = pygit2.Index()
        if base is not None:
            index.read_tree(base)
        for path, content in changes.items():
            if reason := trees.odd(path):
                raise Invalid(f"{one_line(path)!r} {reason}.")
            if content is None:
                if path in index:
                    index.remove(path)
                continue
            mode = index[path].mode if path in index else FileMode.BLOB
            index.add(pygit2.IndexEntry(path, self._repository.create_blob(content), mode))
        return index.write_tree(self._repository)

    def _advance(self, expected: str, sha: str, message: str) -> None:
        reference = self._repository.references[MAIN]
        if str(reference.target) != expected:
            raise Refused(f"main of {self.path.name} moved meanwhile.", "Look again.")
        # libgit2 compares with what `reference` read before it writes: a git at work in there is noticed too.
        reference.set_target(sha, message.partition("\n")[0][:200])

    def _point(self, refs: Sequence[str], sha: str) -> None:
        with self._repository.transaction() as transaction:
            for ref in dict.fromkeys(refs):
                transaction.lock_ref(ref)
                there = self._target(ref)
                if there is None:
                    transaction.set_target(ref, sha)
                elif there != sha:
                    raise Refused(f"{ref} of {self.path.name} is on another commit already: {there[:12]}.")

    def _settle(self, sha: str) -> None:
        """Make HEAD, work tree and index those of `sha`, which `main` is at."""
        repository = self._repository
        if repository.head_is_detached or repository.references["HEAD"].target != MAIN:
            repository.set_head(MAIN)
        odb = repository.odb
        files = {
            path: (entry.permissions, odb.read(entry.sha)[1])
            for path, entry in self._walk(sha)
            if entry.kind == "blob" and not trees.dangerous(path)
        }
        write_work_tree(self.path, files)
        self._write_index(files)

    def _restore(self, path: str) -> None:
        file = self._file(self.main(), path)
        if file is None:
            remove_file(self.path, path)
        else:
            write_file(self.path, path, file)

    def _write_index(self, settled: Mapping[str, object]) -> None:
        """Make the index that of `main`, and let it know the files whose work tree copies are known to be right."""
        index = self._repository.index
        index.read(force=True)
        index.read_tree(self._commit(self.main()).tree)
        for path in settled:
            if not trees.odd(path) and path in index and index[path].mode != FileMode.LINK:
                index.add(path)
        index.write()


def _hive() -> pygit2.Signature:
    return pygit2.Signature(NAME, EMAIL)


def _clean(message: str) -> str:
    """Git cannot keep NUL, and half a surrogate pair is no text."""
    return message.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
