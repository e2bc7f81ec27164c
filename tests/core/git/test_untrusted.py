"""A commit is taken out of a hostile repository: nothing in there runs, nothing outside is read, nothing hangs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hive_core.errors import Invalid, NotFound, Refused
from hive_core.git import untrusted
from hive_core.git.packs import DamagedObject
from hive_core.git.repository import Repository
from tests.at_once import at_once
from tests.git import commit, git, loose, raw_commit, tree, write_object
from tests.needs import requires

pytestmark = requires("git")
REF = "refs/tags/proposal/1"


def nothing_came(applied: Repository, *shas: str) -> None:
    assert applied.tags() == {}
    assert [sha for sha in shas if applied.resolve(sha)] == []
    assert git(applied.path, "fsck", "--strict", "--unreachable") == ""


def test_a_commit_and_all_it_needs_arrives(applied: Repository, clone: Path) -> None:
    commit(clone, {"a/b": "1"}, "first")
    sha = commit(clone, {"a/b": "2", "c": b"\0" * 100_000}, "second")
    assert applied.receive(clone, sha[:7].upper(), REF) == sha
    shutil.rmtree(clone)
    assert applied.tags() == {"proposal/1": sha}
    assert git(applied.path, "fsck", "--strict") == ""
    assert git(applied.path, "show", f"{sha}:a/b") == "2"
    assert git(applied.path, "log", "--format=%s", sha).split() == ["second", "first", "seed"]
    assert git(applied.path, "status", "--porcelain") == ""


def test_receiving_again_is_fine_and_needs_the_clone_no_more(applied: Repository, clone: Path) -> None:
    sha = commit(clone, {"a": "1"})
    applied.receive(clone, sha, REF)
    shutil.rmtree(clone / ".git/objects/" / sha[:2])
    assert applied.receive(clone, sha, REF) == sha
    assert applied.receive(clone, sha, "refs/tags/proposal/2") == sha
    other = commit(clone, {"b": "1"}) if loose(clone, sha).exists() else applied.main()
    with pytest.raises(Refused, match="on another commit already"):
        applied.receive(clone, other, REF)


@pytest.mark.parametrize("ref", ["refs/heads/main", "HEAD", "refs/tags/", "refs/tags/../heads/main", "refs/tags/-x"])
def test_only_a_tag_is_ever_pointed_at_what_arrived(applied: Repository, clone: Path, ref: str) -> None:
    with pytest.raises(Invalid, match="no tag that git allows"):
        applied.receive(clone, commit(clone, {"a": "1"}), ref)
    nothing_came(applied)


@pytest.mark.parametrize("sha", ["", "main", "HEAD", "abcdef", "a" * 41, "--output=x", "1234567\n", "refs/heads/main"])
def test_what_is_no_sha_is_not_looked_up(applied: Repository, clone: Path, sha: str) -> None:
    with pytest.raises(Invalid, match="7 to 40 hexadecimal digits"):
        applied.receive(clone, sha, REF)


def test_packed_objects_with_deltas_of_both_kinds_arrive(applied: Repository, clone: Path) -> None:
    lines = [f"line {number}\n" for number in range(5000)]
    for number in range(20):
        lines[number * 100] = f"changed {number}\n"
        sha = commit(clone, {"big": "".join(lines), f"d/{number}": str(number)})
    for setting in ("true", "false"):
        git(clone, "-c", f"repack.useDeltaBaseOffset={setting}", "repack", "-adfq", "--depth=50")
        assert not loose(clone, sha).exists()
        assert applied.receive(clone, sha[:9], REF) == sha
    other = Repository.create(applied.path.parent / "other", {"x": b""}, "seed")
    assert other.receive(clone, sha, REF) == sha
    assert git(other.path, "fsck", "--strict") == ""
    assert git(other.path, "show", f"{sha}:big") == git(clone, "show", f"{sha}:big")


def test_nothing_that_a_repository_can_configure_runs(applied: Repository, clone: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch {marker}\ncat\n")
    script.chmod(0o755)
    sha = commit(clone, {".gitattributes": "* filter=evil diff=evil merge=evil\n", "a": "1"})
    for hook in (clone / ".git/hooks").glob("*.sample"):
        hook.unlink()
    hooks = (
        "pre-commit post-checkout post-merge reference-transaction pre-receive update post-receive fsmonitor-watchman"
    )
    for name in f"{hooks} post-update pre-push pre-auto-gc post-index-change upload-pack".split():
        shutil.copy(script, clone / ".git/hooks" / name)
    included = tmp_path / "included"
    included.write_text(f"[core]\n sshCommand = {script}\n pager = {script}\n")
    for key in (
        *(
            "core.fsmonitor",
            "core.hooksPath",
            "core.gitProxy",
            "core.alternateRefsCommand",
            "uploadpack.packObjectsHook",
        ),
        *("filter.evil.smudge", "filter.evil.clean", "filter.evil.process", "diff.evil.textconv", "diff.evil.command"),
        *("diff.external", "merge.evil.driver", "gpg.program", "credential.helper", "remote.origin.uploadpack"),
    ):
        git(clone, "config", key, str(script))
    git(clone, "config", "include.path", str(included))
    git(clone, "config", "core.worktree", "/")
    git(clone, "config", "extensions.partialClone", "origin")
    assert applied.receive(clone, sha, REF) == sha
    applied.diff(applied.main(), sha)
    applied.beyond_text(applied.main(), sha)
    applied.move_main(applied.main(), sha)
    assert git(applied.path, "status", "--porcelain") == ""
    assert not marker.exists()
    assert "evil" not in (applied.path / ".git/config").read_text()


@pytest.fixture
def secret(tmp_path: Path) -> tuple[Path, str]:
    """A repository that the agent cannot read, but hive can; and a commit in it that the agent has heard of."""
    path = tmp_path / "secret"
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    return path, commit(path, {"password": "hunter2"})


def by_alternates(clone: Path, store: Path, sha: str) -> None:
    (clone / ".git/objects/info").mkdir(exist_ok=True)
    (clone / ".git/objects/info/alternates").write_text(f"{store}\n")


def by_linked_store(clone: Path, store: Path, sha: str) -> None:
    shutil.rmtree(clone / ".git/objects")
    (clone / ".git/objects").symlink_to(store)


def by_linked_folder(clone: Path, store: Path, sha: str) -> None:
    shutil.rmtree(clone / ".git/objects" / sha[:2], ignore_errors=True)
    (clone / ".git/objects" / sha[:2]).symlink_to(store / sha[:2])


def by_linked_object(clone: Path, store: Path, sha: str) -> None:
    (clone / ".git/objects" / sha[:2]).mkdir(exist_ok=True)
    loose(clone, sha).symlink_to(store / sha[:2] / sha[2:])


def by_linked_pack(clone: Path, store: Path, sha: str) -> None:
    git(store.parent.parent, "repack", "-adq")
    for pack in (store / "pack").iterdir():
        (clone / ".git/objects/pack" / pack.name).symlink_to(pack)


def by_linked_pack_folder(clone: Path, store: Path, sha: str) -> None:
    git(store.parent.parent, "repack", "-adq")
    shutil.rmtree(clone / ".git/objects/pack")
    (clone / ".git/objects/pack").symlink_to(store / "pack")


def by_git_file(clone: Path, store: Path, sha: str) -> None:
    shutil.rmtree(clone / ".git")
    (clone / ".git").write_text(f"gitdir: {store.parent}\n")


def by_linked_git(clone: Path, store: Path, sha: str) -> None:
    shutil.rmtree(clone / ".git")
    (clone / ".git").symlink_to(store.parent)


def by_linked_work_tree(clone: Path, store: Path, sha: str) -> None:
    shutil.rmtree(clone)
    clone.symlink_to(store.parent.parent)


def by_commondir(clone: Path, store: Path, sha: str) -> None:
    (clone / ".git/commondir").write_text(f"{store.parent}\n")


def by_missing_parent(clone: Path, store: Path, sha: str) -> None:
    """Nothing is linked; the name alone must not be enough."""


@pytest.mark.parametrize("short", [True, False])
@pytest.mark.parametrize(
    "reach",
    [
        by_alternates,
        by_linked_store,
        by_linked_folder,
        by_linked_object,
        by_linked_pack,
        by_linked_pack_folder,
        by_git_file,
        by_linked_git,
        by_linked_work_tree,
        by_commondir,
        by_missing_parent,
    ],
)
def test_nothing_outside_is_read_through_it(
    applied: Repository, clone: Path, secret: tuple[Path, str], reach: Callable[[Path, Path, str], None], short: bool
) -> None:
    path, sha = secret
    reach(clone, path / ".git/objects", sha)
    with pytest.raises(Refused) as refused:
        applied.receive(clone, sha[:10] if short else sha, REF)
    assert "hunter2" not in str(refused.value)
    nothing_came(applied, sha)


@pytest.mark.parametrize("part", ["tree", "blob", "parent"])
def test_a_commit_that_names_what_only_a_secret_repository_has_is_refused(
    applied: Repository, clone: Path, secret: tuple[Path, str], part: str
) -> None:
    path, sha = secret
    by_alternates(clone, path / ".git/objects", sha)
    if part == "blob":
        blob = git(path, "rev-parse", "HEAD:password")
        forged = raw_commit(clone, write_object(clone, "tree", tree(("100644", "x", blob))))
    elif part == "tree":
        forged = raw_commit(clone, git(path, "rev-parse", "HEAD^{tree}"))
    else:
        forged = raw_commit(clone, git(clone, "rev-parse", "HEAD^{tree}"), sha)
    with pytest.raises(NotFound, match="incomplete: it has no object"):
        applied.receive(clone, forged, REF)
    nothing_came(applied, forged)


def a_pipe(target: Path) -> None:
    os.mkfifo(target)


def a_device(target: Path) -> None:
    os.mknod(target, 0o020666, os.makedev(1, 5))  # /dev/zero


def a_socket(target: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        # The path of a socket is short: it is bound by way of the folder that is open.
        folder = os.open(target.parent, os.O_DIRECTORY)
        bound.bind(f"/proc/self/fd/{folder}/{target.name}")
        os.close(folder)


def a_folder(target: Path) -> None:
    target.mkdir()


@pytest.mark.parametrize("make", [a_pipe, a_device, a_socket, a_folder])
def test_what_is_named_like_an_object_but_no_file_neither_hangs_nor_opens(
    applied: Repository, clone: Path, make: Callable[[Path], None]
) -> None:
    if make is a_device and os.geteuid() != 0:
        pytest.skip("only root can make a device")
    sha = commit(clone, {"a": "1"})
    blob = git(clone, "rev-parse", "HEAD:a")
    for victim in (blob, sha):
        loose(clone, victim).unlink()
        make(loose(clone, victim))
        with pytest.raises(Refused, match="is not a regular file"):
            applied.receive(clone, sha[:8], REF)
    make(clone / ".git/objects/pack" / f"pack-{'0' * 40}.pack")
    (clone / ".git/objects/pack" / f"pack-{'0' * 40}.idx").touch()
    with pytest.raises(Refused, match=r"pack-0+\.pack in the proposed repository is not a regular file"):
        applied.receive(clone, "1234567", REF)
    nothing_came(applied, sha)


def test_a_hard_link_is_a_file_like_any_other(applied: Repository, clone: Path, tmp_path: Path) -> None:
    sha = commit(clone, {"a": "1"})
    os.link(loose(clone, sha), tmp_path / "twin")
    assert applied.receive(clone, sha, REF) == sha


def test_packs_are_read_whatever_git_calls_them(applied: Repository, clone: Path) -> None:
    sha = commit(clone, {"a": "1"})
    for _ in range(2):  # The first makes the pack, the second removes the loose objects that are in it.
        git(clone, "maintenance", "run", "--task=loose-objects")
    assert [path.name.partition("-")[0] for path in (clone / ".git/objects/pack").glob("loose-*.pack")] == ["loose"]
    assert not loose(clone, sha).exists()
    assert applied.receive(clone, sha[:9], REF) == sha


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("content", [b"", b"PACK", b"PACK\0\0\0\2\0\0\0\5" + b"x" * 100])
def test_a_stray_or_truncated_pack_keeps_nothing_from_arriving_that_lies_elsewhere(
    applied: Repository, clone: Path, content: bytes, indexed: bool
) -> None:
    sha = commit(clone, {"a": "1"})
    stray = clone / ".git/objects/pack" / f"pack-{'1' * 40}.pack"
    stray.write_bytes(content)
    if indexed:
        stray.with_suffix(".idx").touch()
    assert applied.receive(clone, sha[:9], REF) == sha


def without_index(clone: Path) -> None:
    git(clone, "repack", "-adq")
    for index in (clone / ".git/objects/pack").glob("*.idx"):
        index.unlink()


def truncated(clone: Path) -> None:
    git(clone, "repack", "-adq")
    for pack in (clone / ".git/objects/pack").glob("*.pack"):
        pack.chmod(0o644)
        pack.write_bytes(pack.read_bytes()[:-10])


def borrowing(clone: Path) -> None:
    lender = clone.parent / "lender"
    shutil.copytree(clone / ".git/objects", lender)
    for folder in (clone / ".git/objects").iterdir():
        shutil.rmtree(folder)
    (clone / ".git/objects/info").mkdir()
    (clone / ".git/objects/info/alternates").write_text(f"{lender}\n")


def of_sha256(clone: Path) -> None:
    shutil.rmtree(clone)
    git(clone.parent, "init", "-q", "--object-format=sha256", str(clone))
    git(clone, "commit", "-q", "--allow-empty", "-m", "one")


def partial(clone: Path) -> None:
    shutil.rmtree(clone / ".git/objects")
    (clone / ".git/objects/pack").mkdir(parents=True)
    (clone / ".git/objects/pack" / f"pack-{'1' * 40}.promisor").touch()


def linked(clone: Path) -> None:
    (clone / ".git").rename(clone.parent / "elsewhere")
    (clone / ".git").write_text(f"gitdir: {clone.parent}/elsewhere\n")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (without_index, "has no index, so git does not read it either"),
        (truncated, "is damaged, or still being written"),
        (borrowing, "borrows objects of another repository"),
        (of_sha256, "it is a SHA-256 repository"),
        (partial, "it is a partial clone"),
        (linked, "is a linked work tree or a submodule"),
    ],
)
def test_what_keeps_a_commit_from_arriving_is_named(
    applied: Repository, clone: Path, spoil: Callable[[Path], None], said: str
) -> None:
    sha = commit(clone, {"a": "1"})
    spoil(clone)
    for digits in (sha, sha[:8]):
        with pytest.raises(Refused, match=said) as refused:
            applied.receive(clone, digits, REF)
        assert refused.value.hint
    nothing_came(applied, sha)


@pytest.mark.parametrize("which", ["commit", "tree", "blob"])
def test_an_object_that_is_not_what_its_name_says_is_refused(applied: Repository, clone: Path, which: str) -> None:
    sha = commit(clone, {"a": "1"})
    name = git(clone, "rev-parse", {"commit": "HEAD", "tree": "HEAD^{tree}", "blob": "HEAD:a"}[which])
    kind = git(clone, "cat-file", "-t", name)
    content = subprocess.run(["git", "cat-file", kind, name], cwd=clone, capture_output=True, check=True).stdout
    write_object(clone, kind, content + b"\n", name)
    with pytest.raises(DamagedObject, match=f"{name} is damaged: it holds something else"):
        applied.receive(clone, sha, REF)
    loose(clone, name).write_bytes(b"no zlib at all")
    with pytest.raises(DamagedObject, match=f"{name} is damaged"):
        applied.receive(clone, sha, REF)
    loose(clone, name).write_bytes(b"")
    with pytest.raises(DamagedObject):
        applied.receive(clone, sha, REF)
    nothing_came(applied, sha)


@pytest.mark.parametrize("which", ["HEAD^", "HEAD^{tree}", "HEAD:a"])
def test_an_incomplete_commit_is_refused(applied: Repository, clone: Path, which: str) -> None:
    commit(clone, {"a": "0"})
    sha = commit(clone, {"a": "1"})
    missing = git(clone, "rev-parse", which)
    loose(clone, missing).unlink()
    with pytest.raises(NotFound, match=f"incomplete: it has no object {missing}"):
        applied.receive(clone, sha, REF)
    nothing_came(applied, sha)


def test_a_shallow_clone_is_incomplete(applied: Repository, clone: Path, tmp_path: Path) -> None:
    commit(clone, {"a": "0"})
    commit(clone, {"a": "1"})
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{clone}", "shallow")
    sha = commit(tmp_path / "shallow", {"a": "2"})
    with pytest.raises(NotFound, match="shallow"):
        applied.receive(tmp_path / "shallow", sha, REF)
    nothing_came(applied, sha)


def test_grafts_and_replacements_change_nothing(applied: Repository, clone: Path) -> None:
    good = commit(clone, {"a": "good"})
    bad = commit(clone, {"a": "bad"})
    git(clone, "replace", bad, good)
    (clone / ".git/info/grafts").write_text(f"{bad}\n")
    assert applied.receive(clone, bad, REF) == bad
    assert applied.read(bad, "a") == b"bad"
    assert applied.is_fast_forward(good, bad)


@pytest.mark.parametrize(("expression", "kind"), [("HEAD^{tree}", "tree"), ("HEAD:a", "blob"), ("v1", "tag")])
@pytest.mark.parametrize("packed", [True, False])
def test_only_commits_can_be_proposed(
    applied: Repository, clone: Path, expression: str, kind: str, packed: bool
) -> None:
    commit(clone, {"a": "1"})
    git(clone, "tag", "-a", "-m", "x", "v1")
    if packed:
        git(clone, "repack", "-adq")
    sha = git(clone, "rev-parse", expression)
    for given in (sha, sha[:12]):
        with pytest.raises(Refused, match=f"{given} is a {kind}, not a commit"):
            applied.receive(clone, given, REF)
    nothing_came(applied, sha)


def test_a_prefix_of_two_objects_is_ambiguous_wherever_they_are(applied: Repository, clone: Path) -> None:
    sha = commit(clone, {"a": "1"})
    twin = sha[:38] + ("00" if sha[38:] != "00" else "11")
    write_object(clone, "blob", b"", twin)
    with pytest.raises(Refused, match=f"{sha[:7]} is ambiguous: 2 objects begin with it"):
        applied.receive(clone, sha[:7], REF)
    assert applied.receive(clone, sha, REF) == sha


def test_an_unknown_sha_is_said_to_be_unknown(applied: Repository, clone: Path) -> None:
    for sha in ("f" * 7, "f" * 40):
        with pytest.raises(NotFound, match=r"There is no commit f+ in the proposed repository"):
            applied.receive(clone, sha, REF)


def test_a_missing_repository_is_said_to_be_missing(applied: Repository, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"There is no .*nowhere to fetch"):
        applied.receive(tmp_path / "nowhere", "1234567", REF)
    (tmp_path / "nowhere").mkdir()
    with pytest.raises(NotFound, match=r"There is no \.git to fetch"):
        applied.receive(tmp_path / "nowhere", "1234567", REF)


def test_a_huge_repository_is_refused_before_it_is_read(applied: Repository, clone: Path) -> None:
    with (clone / ".git/objects/pack" / f"pack-{'0' * 40}.pack").open("wb") as pack:
        pack.truncate(untrusted.MOST_OBJECT_BYTES + 1)
    (clone / ".git/objects/pack" / f"pack-{'0' * 40}.idx").touch()
    with pytest.raises(Refused, match="larger than 64 MiB"):
        applied.receive(clone, "1234567", REF)


def test_a_small_file_that_inflates_to_a_huge_one_is_refused(applied: Repository, clone: Path) -> None:
    size = untrusted.MOST_INFLATED + 1
    name = write_object(clone, "blob", bytes(size))
    assert loose(clone, name).stat().st_size < 1 << 20
    sha = raw_commit(clone, write_object(clone, "tree", tree(("100644", "zeros", name))))
    with pytest.raises(Refused, match="larger than 128 MiB"):
        applied.receive(clone, sha, REF)
    nothing_came(applied, sha)


def test_more_objects_in_a_folder_than_any_proposal_has_are_refused(applied: Repository, clone: Path) -> None:
    folder = clone / ".git/objects/12"
    folder.mkdir(exist_ok=True)
    for number in range(untrusted.MOST_LOOSE + 1):
        os.mknod(folder / f"{number:038x}")
    with pytest.raises(Refused, match="more than 20000 objects"):
        applied.receive(clone, "1234567", REF)


def test_what_takes_too_long_to_read_is_refused(applied: Repository, clone: Path) -> None:
    sha = commit(clone, {"a": "1"})
    with pytest.raises(Refused, match="cannot be read within 10 seconds"):
        applied.take_in(clone, sha, untrusted.Bounds(commits=2000, until=time.monotonic()))
    nothing_came(applied, sha)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can read what another user owns")
def test_a_repository_of_another_user_is_read(applied: Repository, clone: Path) -> None:
    sha = commit(clone, {"a": "1"})
    for path in (clone, *clone.rglob("*")):
        os.chown(path, 4242, 4242, follow_symlinks=False)
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)
    assert applied.receive(clone, sha, REF) == sha


def test_two_processes_may_receive_at_once(applied: Repository, clone: Path) -> None:
    shas = [commit(clone, {f"{number}": str(number)}) for number in range(6)]

    def work(_number: int) -> None:
        for number, sha in enumerate(shas):
            Repository(applied.path).receive(clone, sha, f"refs/tags/proposal/{number}")

    assert at_once(3, work) == [0, 0, 0]
    assert applied.tags() == {f"proposal/{number}": sha for number, sha in enumerate(shas)}
    assert git(applied.path, "fsck", "--strict") == ""
