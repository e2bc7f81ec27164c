"""Killed at every line that writes, a repository is all old or all new, and the next command mends it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pygit2
import pytest

from hive_core.git.repository import Repository
from tests.git import commit, git
from tests.killing import Killer, died_at
from tests.needs import requires

pytestmark = requires("git")
FILES = ("hive_core/git/repository.py", "hive_core/git/worktree.py", "hive_core/git/made.py", "hive_core/git/writer.py")
# What is made in a folder of its own is all or nothing, whichever of its files is being written.
MAKING = ("hive_core/git/repository.py", "hive_core/git/made.py")
PROPOSAL = "refs/tags/proposal/1"


@dataclass
class World:
    """A copy of one state of things; sha is what its proposer proposes, seed what is applied."""

    root: Path
    seed: str
    sha: str

    @property
    def applied(self) -> Repository:
        return Repository(self.root / "applied/coder")

    @property
    def clone(self) -> Path:
        return self.root / "agents/coder/config"


Action = Callable[[World], object]


@pytest.fixture
def template(applied: Repository, clone: Path, tmp_path: Path) -> World:
    sha = commit(clone, {"agent.toml": None, "b/c": "1", "tool": "2"})
    return World(tmp_path / "home", applied.main(), sha)


def every_death(template: World, action: Action, tmp_path: Path, files: Sequence[str] = FILES) -> Iterator[World]:
    """Do `action` in the same world again and again, killed at each line in `files` before which something has changed.

    Given is each world that differs from the one that the death before left, and in the end one that survived.
    """
    world, left = World(tmp_path / "copy", template.seed, template.sha), None
    copy = Copy(template.root, world.root)
    places = places_of(action, world, files)
    assert len(places) > 3, "hardly anything was tried"
    for line in [*places, 1_000_000]:
        copy.restore()
        survived = died_at(line, partial(action, world), files)
        assert survived is (line > places[-1])
        before, left = left, contents(world.root)
        if survived or left != before:
            yield world


class Copy:
    """A copy of a tree that is made the same again by writing only what has changed in it since."""

    def __init__(self, original: Path, path: Path) -> None:
        self.original, self.path = original, path
        shutil.copytree(original, path, symlinks=True)
        self.known = marks(path)

    def restore(self) -> None:
        now = marks(self.path)
        for name in sorted(now.keys() - self.known.keys(), reverse=True):
            unwanted = self.path / name
            unwanted.rmdir() if unwanted.is_dir() and not unwanted.is_symlink() else unwanted.unlink()
        for name in sorted(name for name, mark in self.known.items() if now.get(name) != mark):
            if (self.original / name).is_dir():
                (self.path / name).mkdir(exist_ok=True)
            else:
                shutil.copy2(self.original / name, self.path / name, follow_symlinks=False)
        self.known = marks(self.path)


def marks(root: Path) -> dict[str, tuple[int, ...]]:
    """What tells whether something in a tree was written: of a folder that it is one, of a file which, when and how."""
    found = {}
    for path in root.rglob("*"):
        status = path.lstat()
        folder = stat.S_ISDIR(status.st_mode)
        found[str(path.relative_to(root))] = (
            (status.st_mode,) if folder else (status.st_mode, status.st_ino, status.st_size, status.st_ctime_ns)
        )
    return found


def contents(root: Path) -> dict[str, object]:
    """A tree as it reads: what each file holds, without the pid in a lock and the times that an index keeps."""
    found: dict[str, object] = {}
    for path in root.rglob("*"):
        status, name = path.lstat(), str(path.relative_to(root))
        if path.name == "index":
            found[name] = [(entry.path, str(entry.id), entry.mode) for entry in pygit2.Index(str(path))]
        elif path.name == "hive-lock" or not stat.S_ISREG(status.st_mode):
            found[name] = status.st_mode
        else:
            found[name] = (status.st_mode, path.read_bytes())
    return found


def places_of(action: Action, world: World, files: Sequence[str]) -> list[int]:
    """The lines in `files` before which something in the world has changed, as `action` is done in a process forked."""
    told, telling = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.ExitStack() as end:
            end.callback(os._exit, 1)
            killer = Killer(0, files, str(world.root))
            killer.arm()
            action(world)
            os.write(telling, json.dumps(killer.places).encode())
            os._exit(0)
    os.close(telling)
    with os.fdopen(told, "rb") as reader:
        places: list[int] = json.loads(reader.read())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return places


def sound(repository: Repository) -> None:
    assert git(repository.path, "fsck", "--strict", "--no-dangling") == ""
    assert list((repository.path / ".git").rglob("*.lock")) == []
    assert git(repository.path, "status", "--porcelain", "--ignored") == ""


def test_moving_main_can_be_finished_or_undone(template: World, tmp_path: Path) -> None:
    template.applied.receive(template.clone, template.sha, PROPOSAL)
    outcomes = set()
    for turn, world in enumerate(every_death(template, lambda it: it.applied.move_main(it.seed, it.sha), tmp_path)):
        applied = world.applied
        outcomes.add(applied.main())
        assert applied.main() in (world.seed, world.sha)
        target = (world.seed, world.sha)[turn % 2]
        applied.move_main(applied.main(), target)
        assert applied.main() == target
        sound(applied)
    assert outcomes == {template.seed, template.sha}


def test_receiving_can_be_repeated(template: World, tmp_path: Path) -> None:
    def action(world: World) -> None:
        world.applied.receive(world.clone, world.sha, PROPOSAL)

    for world in every_death(template, action, tmp_path):
        assert set(world.applied.tags().values()) <= {world.sha}
        action(world)
        assert world.applied.tags() == {"proposal/1": world.sha}
        sound(world.applied)


def test_a_commit_can_be_repeated_and_is_there_once(template: World, tmp_path: Path) -> None:
    def action(world: World) -> None:
        world.applied.commit({"lock": b"2", "agent.toml": None, "d/e": b"3"}, "deploy")

    for world in every_death(template, action, tmp_path):
        action(world)
        assert [line.subject for line in world.applied.log(9)] == ["deploy", "seed"]
        sound(world.applied)


def test_tags_can_be_made_and_removed_again(template: World, tmp_path: Path) -> None:
    def action(world: World) -> None:
        applied = world.applied
        applied.tag(["approved/1", "building/1"], world.seed)
        applied.annotate("failed/1", world.seed, "because")
        applied.untag(["building/1"])

    for world in every_death(template, action, tmp_path):
        action(world)
        assert world.applied.tags() == dict.fromkeys(["approved/1", "failed/1"], world.seed)
        assert world.applied.annotation("failed/1") == "because"
        sound(world.applied)


def test_restoring_a_file_leaves_it_whole(template: World, tmp_path: Path) -> None:
    (template.applied.path / "agent.toml").write_text("dirty")
    for world in every_death(template, lambda it: it.applied.restore("agent.toml"), tmp_path):
        assert (world.applied.path / "agent.toml").read_bytes() in (b"dirty", b'runner = "claude"\n')
        world.applied.restore("agent.toml")
        sound(world.applied)


def test_a_new_repository_is_whole_or_absent(template: World, tmp_path: Path) -> None:
    def action(world: World) -> None:
        Repository.create(world.root / "applied/new", {"a/b": b"1"}, "seed")

    for world in every_death(template, action, tmp_path, MAKING):
        path = world.root / "applied/new"
        if not path.exists():
            action(world)
        sound(Repository(path))
        assert sorted(entry.name for entry in path.parent.iterdir()) == ["coder", "new"]


def test_a_clone_is_whole_or_absent(template: World, tmp_path: Path) -> None:
    shutil.rmtree(template.clone)

    def action(world: World) -> None:
        Repository.clone(world.applied, world.clone, origin="/applied.git")

    for world in every_death(template, action, tmp_path, MAKING):
        if not world.clone.exists():
            action(world)
        sound(Repository(world.clone))
        assert [entry.name for entry in world.clone.parent.iterdir()] == ["config"]
        assert [entry.name for entry in world.applied.path.parent.iterdir()] == ["coder"]
