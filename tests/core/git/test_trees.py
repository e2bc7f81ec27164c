"""Trees taken apart: what git writes is read back, and nothing that some file system takes for git's own is a file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core.git.packs import DamagedObject
from hive_core.git.trees import LINK, SUBMODULE, Entry, dangerous, forged, odd, tree_entries, walk
from tests.properties import thorough

MODES = {0o100644: "blob", 0o100755: "blob", LINK: "blob", 0o040000: "tree", 0o160000: SUBMODULE}
SHA = "ab" * 20
names = st.binary(min_size=1, max_size=12).filter(lambda name: b"\0" not in name)


def tree(*entries: tuple[int, bytes]) -> bytes:
    return b"".join(b"%o %s\0%s" % (mode, name, bytes.fromhex(SHA)) for mode, name in entries)


@thorough
@given(st.lists(st.tuples(st.sampled_from(list(MODES)), names), max_size=5))
def test_what_git_writes_is_read_back(entries: list[tuple[int, bytes]]) -> None:
    found = tree_entries(SHA, tree(*entries))
    assert found == [Entry(name, mode, MODES[mode], SHA) for mode, name in entries]
    assert all(
        each.permissions == (0o755 if each.mode == 0o100755 else 0o644)
        for each in found
        if each.kind == "blob" and each.mode != LINK
    )


@thorough
@given(st.binary(max_size=60))
def test_any_other_bytes_are_no_tree(content: bytes) -> None:
    try:
        found = tree_entries(SHA, content)
    except DamagedObject as error:
        said = error.message
    else:
        assert b"".join(b"%o %s\0%s" % (e.mode, e.name, bytes.fromhex(e.sha)) for e in found) == content
        return
    assert SHA in said


@pytest.mark.parametrize(
    "content",
    [
        b"100644 a\0" + b"x" * 19,
        b"100644 a",
        b"100600 a\0" + b"x" * 20,
        b"0100644 a\0" + b"x" * 20,
        b"100644 \0" + b"x" * 20,
    ],
)
def test_a_tree_that_is_cut_or_has_a_mode_that_git_does_not_write_is_refused(content: bytes) -> None:
    if content.startswith(b"100644 \0"):
        assert forged(tree_entries(SHA, content)[0].name) == "is no name of a file"
        return
    with pytest.raises(DamagedObject, match="is not one that git writes"):
        tree_entries(SHA, content)


def test_everything_below_a_tree_is_walked_in_gits_order() -> None:
    trees = {"11" * 20: tree((0o100644, b"x"), (0o100644, b"\xff"))}
    top = b"100644 a\0" + b"\xaa" * 20 + b"40000 b\0" + b"\x11" * 20 + b"100755 c\0" + b"\xcc" * 20
    trees["22" * 20] = top
    assert [path for path, _ in walk(lambda sha: trees[sha], "22" * 20)] == ["a", "b/x", "b/\udcff", "c"]


# What takes it for `.git`: case, what HFS+ leaves out, what NTFS leaves out, cuts, or has as a short name.
DOTGIT = [
    ".git", ".GIT", ".Git", ".g\u200cit", "\ufeff.git", ".git.", ".git ", ".git . .", ".git::$INDEX_ALLOCATION",
    ".git:x", "git~1", "GIT~1", "a\\.git", ".git\\a", "a\\.git .\\b",
]  # fmt: skip


def test_whatever_a_file_system_takes_for_gits_own_folder_is_forged_by_any_spelling() -> None:
    for name in DOTGIT:
        assert forged(name.encode()) == "can be taken for git's own folder", name
        assert dangerous(f"sub/{name}/config")
        assert odd(f"sub/{name}") == "can be taken for git's own folder"


@thorough
@given(st.sampled_from(DOTGIT), st.sampled_from(["", "\u200d"]), st.sampled_from(["", " ", ".", "\u202e", "\u202e. "]))
def test_nothing_that_is_left_out_or_cut_off_makes_it_another_name(name: str, before: str, after: str) -> None:
    assert forged(f"{before}{name}{after}".encode()) == "can be taken for git's own folder"


@pytest.mark.parametrize("name", [b".gitignore", b".gitattributes", b"git", b"digit~1", b".github", b"git~2", b"x.git"])
def test_what_only_looks_like_it_is_a_file(name: bytes) -> None:
    assert forged(name) is None
    assert odd(name.decode()) is None


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("a/../b", "is no name of a file"),
        ("a//b", "is no name of a file"),
        ("./a", "is no name of a file"),
        ("a\\b", "has a backslash in its name"),
        ("x" * 256, "is longer than a file system allows"),
        ("/".join(["x" * 200] * 6), "has too long a name"),
        ("a\u202eb", "has invisible, control or undecodable characters in its name"),
        ("a\x1b[2Jb", "has invisible, control or undecodable characters in its name"),
        ("a\udcffb", "has invisible, control or undecodable characters in its name"),
        ("a b/ä.nix", None),
    ],
)
def test_why_a_path_is_no_file_of_a_configuration_ends_a_sentence(path: str, why: str | None) -> None:
    assert odd(path) == why
