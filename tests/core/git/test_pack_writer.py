"""A pack that is written here is one that git would have indexed in the same way, byte for byte."""

from __future__ import annotations

import os
from pathlib import Path

from hive_core.git.pack_writer import write_pack
from hive_core.git.packs import Object, object_sha, read_pack
from hive_core.git.repository import MOST_LOOSE, Repository
from tests.git import commit, git
from tests.needs import requires

pytestmark = requires("git")


def objects() -> dict[str, Object]:
    """Objects of every kind and of sizes that take one, two and three bytes to say."""
    contents = [os.urandom(size) for size in (0, 1, 15, 16, 2047, 2048, 70_000)] + [f"{n}".encode() for n in range(300)]
    return {object_sha("blob", content): ("blob", content) for content in contents}


def test_the_index_is_the_one_that_git_makes(applied: Repository, tmp_path: Path) -> None:
    tmp_path = tmp_path / "pack"
    written = objects()
    write_pack(tmp_path, written)
    (pack,) = tmp_path.glob("*.pack")
    ours = pack.with_suffix(".idx").read_bytes()
    name = git(applied.path, "index-pack", "--index-version=2", "-o", str(tmp_path / "gits.idx"), str(pack))
    assert pack.name == f"pack-{name}.pack"
    assert (tmp_path / "gits.idx").read_bytes() == ours
    assert read_pack(pack.read_bytes(), lambda size: None, 1000) == written


def test_a_proposal_of_many_objects_comes_as_one_pack(applied: Repository, clone: Path) -> None:
    sha = commit(clone, {f"{number}": str(number) for number in range(MOST_LOOSE)})
    assert applied.receive(clone, sha, "refs/tags/proposal/1") == sha
    assert git(applied.path, "fsck", "--strict") == ""
    assert git(applied.path, "count-objects", "-v").splitlines()[3] == "packs: 1"
    assert git(applied.path, "show", f"{sha}:7") == "7"
    # What is there already is not written again.
    assert applied.receive(clone, sha, "refs/tags/proposal/2") == sha
    assert git(applied.path, "count-objects", "-v").splitlines()[3] == "packs: 1"
