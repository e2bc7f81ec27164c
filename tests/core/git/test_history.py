"""What a repository tells of its files, and what it refuses to hand to a build."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive_core.errors import BuildFailed, NotFound, Refused
from hive_core.git.repository import Repository
from tests.git import commit, git, raw_commit, tree, write_object
from tests.needs import requires

pytestmark = requires("git")


def planted(applied: Repository, *entries: tuple[str, str | bytes, str]) -> str:
    """A commit that came into the applied repository by other ways than hive's."""
    return raw_commit(applied.path, write_object(applied.path, "tree", tree(*entries)))


def test_files_come_with_path_mode_and_content(applied: Repository, clone: Path) -> None:
    (clone / "run").write_text("#!/bin/sh\n")
    (clone / "run").chmod(0o755)
    sha = applied.receive(clone, commit(clone, {"b/c/d": b"\0\xff", "b.x": "1", "ä": "2"}), "refs/tags/proposal/1")
    assert list(applied.files(sha)) == [
        ("agent.toml", 0o644, b'runner = "claude"\n'),
        ("b.x", 0o644, b"1"),
        ("b/c/d", 0o644, b"\0\xff"),
        ("run", 0o755, b"#!/bin/sh\n"),
        ("ä", 0o644, b"2"),
    ]


def test_a_link_a_submodule_and_odd_names_are_not_built(applied: Repository) -> None:
    blob = write_object(applied.path, "blob", b"/etc/passwd")
    folder = write_object(applied.path, "tree", tree(("100644", "config", blob)))
    for entry, sentence in [
        (("120000", "inside", write_object(applied.path, "blob", b"agent.toml")), "'inside' is a symlink"),
        (("120000", "out", blob), "'out' is a symlink"),
        (("160000", "module", "1" * 40), "'module' is a submodule"),
        (("40000", ".git", folder), r"'\.git/config' can be taken for git's own folder"),
        (("40000", "GIT~1", folder), "'GIT~1/config' can be taken for git's own folder"),
        (("40000", "..", folder), r"'\.\./config' is no name of a file"),
        (("100644", "a\\b", blob), "has a backslash in its name"),
        (("100644", "a\x1b[2Jb", blob), r"'a\\\\x1b\[2Jb' has invisible, control"),
        (("100644", "a\nb", blob), "has invisible, control"),
        (("100644", "a\u202eb", blob), r"u\{202e\}b' has invisible"),
        (("100644", b"a\xff", blob), "has invisible, control or undecodable"),
    ]:
        with pytest.raises(BuildFailed, match=sentence):
            list(applied.files(planted(applied, entry)))


def test_what_must_not_become_a_file_never_does_not_even_by_moving_main(applied: Repository) -> None:
    blob = write_object(applied.path, "blob", b"evil")
    folder = write_object(applied.path, "tree", tree(("100644", "description", blob)))
    before = (applied.path / ".git/description").read_bytes()
    sha = planted(applied, ("40000", "..", folder), ("40000", ".git", folder), ("100644", "a", blob))
    main = applied.main()
    with pytest.raises(BuildFailed, match=r"cannot be checked out: it has the file '\.\./description'"):
        applied.move_main(main, sha)
    assert applied.main() == main
    assert (applied.path / ".git/description").read_bytes() == before
    assert not (applied.path.parent / "description").exists()


def test_odd_but_harmless_names_can_be_moved_to_and_back(applied: Repository) -> None:
    blob, old = write_object(applied.path, "blob", b"x"), applied.main()
    names = [b"a\nb", b"a\x1bb", b"a\\b", b"a\xff"]
    sha = planted(applied, *(("100644", name, blob) for name in sorted(names)))
    applied.move_main(old, sha)
    assert git(applied.path, "status", "--porcelain") == ""
    applied.move_main(sha, old)
    assert git(applied.path, "status", "--porcelain") == ""
    assert [path.name for path in applied.path.iterdir() if path.name != ".git"] == ["agent.toml"]


def test_too_many_files_or_bytes_are_not_built(applied: Repository) -> None:
    blob = write_object(applied.path, "blob", b"")
    many = planted(applied, *(("100644", f"{number:05}", blob) for number in range(2001)))
    with pytest.raises(BuildFailed, match="more than 2000 files or 16 MiB"):
        list(applied.files(many))
    large = write_object(applied.path, "blob", bytes(9 << 20))
    with pytest.raises(BuildFailed, match="counted up to 'b'"):
        list(applied.files(planted(applied, ("100644", "a", large), ("100644", "b", large))))


def test_one_file_is_read_if_it_is_one_and_small_enough(applied: Repository, clone: Path) -> None:
    (clone / "link").symlink_to("agent.toml")
    sha = applied.receive(clone, commit(clone, {"b/c": "12345"}), "refs/tags/proposal/1")
    assert applied.read(sha, "b/c") == b"12345"
    assert applied.read(sha[:8], "agent.toml") == b'runner = "claude"\n'
    for path in ("link", "b", "b/d", "b/c/d", "", "/", "../x", "agent.toml/", ".git/config"):
        assert applied.read(sha, path) is None, path
    with pytest.raises(Refused, match=r"b/c of .* is larger than 4 bytes"):
        applied.read(sha, "b/c", limit=4)
    with pytest.raises(NotFound, match="There is no commit"):
        applied.read("f" * 40, "b/c")


def test_only_commits_are_resolved(applied: Repository) -> None:
    main = applied.main()
    assert applied.resolve(main[:7]) == applied.resolve(main) == main
    for other in (git(applied.path, "rev-parse", "main^{tree}"), "f" * 7, "main", main[:6], "", main.upper() + "0"):
        assert applied.resolve(other) is None


def test_the_log_is_newest_first_and_limited(applied: Repository) -> None:
    for number in range(3):
        applied.commit({"a": str(number).encode()}, f"deploy {number}\n\nbody")
    log = applied.log(2)
    assert [line.subject for line in log] == ["deploy 2", "deploy 1"]
    assert [line.sha for line in log] == git(applied.path, "rev-list", "-2", "main").split()
    assert log[0].time == int(git(applied.path, "log", "-1", "--format=%ct"))
