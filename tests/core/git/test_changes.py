"""The diff an operator decides on hides nothing, and says what it cannot show."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive_core.git.repository import Repository
from tests.git import commit, git, write_object
from tests.needs import requires

pytestmark = requires("git")


class Proposals:
    def __init__(self, applied: Repository, clone: Path) -> None:
        self.applied, self.clone = applied, clone
        self.number = 0

    def take(self, files: dict[str, str | bytes | None], message: str = "change") -> str:
        self.number += 1
        return self.applied.receive(self.clone, commit(self.clone, files, message), f"refs/tags/proposal/{self.number}")

    def sentences(self, before: str, after: str) -> str:
        return "\n".join(self.applied.beyond_text(before, after))


@pytest.fixture
def proposals(applied: Repository, clone: Path) -> Proposals:
    return Proposals(applied, clone)


def test_a_plain_change_is_a_plain_diff_and_nothing_beyond(proposals: Proposals) -> None:
    before = proposals.take({"a": "one\n"})
    after = proposals.take({"a": "two\n"})
    assert "-one\n+two\n" in proposals.applied.diff(before, after)
    assert proposals.applied.diff(before, after).startswith("diff --git a/a b/a\n")
    assert proposals.applied.beyond_text(before, after) == []
    assert proposals.applied.diff(after, after) == ""


def test_the_first_commit_is_compared_with_nothing(proposals: Proposals) -> None:
    main = proposals.applied.main()
    assert '+runner = "claude"\n' in proposals.applied.diff(None, main)
    assert proposals.applied.beyond_text(None, main) == []


def test_no_attribute_approved_before_hides_a_later_change(proposals: Proposals) -> None:
    before = proposals.take({".gitattributes": "* -diff\n*.x binary\n[attr]y -diff\n", "a": "one\n", "b.x": "one\n"})
    proposals.applied.move_main(proposals.applied.main(), before)
    after = proposals.take({"a": "two\n", "b.x": "two\n"})
    assert proposals.applied.diff(before, after).count("+two\n") == 2
    assert git(proposals.applied.path, "diff", before, after).count("+two") == 2
    assert proposals.applied.beyond_text(before, after) == []


def test_modes_links_submodules_and_renames_are_said(proposals: Proposals) -> None:
    clone = proposals.clone
    (clone / "gone").symlink_to("x")
    before = proposals.take({"tool": "1\n", "tame": "1\n", "moved": "some\nlines\nthat\nstay\n"})
    (clone / "tool").chmod(0o755)
    (clone / "link").symlink_to("/etc/\x1b[31mpasswd")
    (clone / "gone").unlink()
    git(clone, "mv", "moved", "here")
    git(clone, "add", "-A")
    (clone / "module").mkdir()
    git(clone, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    (clone / "new").write_text("#!/bin/sh\n")
    (clone / "new").chmod(0o755)
    middle = proposals.take({"gone": "file\n"})
    said = proposals.sentences(before, middle)
    assert "tool is made executable." in said
    assert "new is new and executable." in said
    assert r"link is a symlink to '/etc/\x1b[31mpasswd'." in said
    assert "gone\ndeleted file mode 120000\n" in proposals.applied.diff(before, middle)
    assert f"module is a submodule: commit {'1' * 40} of another repository" in said
    assert "moved is renamed to here." in said
    (clone / "tool").chmod(0o644)
    assert "tool is no longer executable." in proposals.sentences(middle, proposals.take({}))


def test_binary_large_and_long_things_are_named(proposals: Proposals) -> None:
    before = proposals.applied.main()
    after = proposals.take(
        {"bin": b"\0\1\2", "large": b"line\n" * 300_000, "long": "x" * 501 + "\n" + "y" * 500 + "\n"}
    )
    assert proposals.sentences(before, after).splitlines() == [
        "bin is binary; the diff does not show what is in it.",
        "large is larger than 1 MiB; the diff does not show it.",
        "long, line 1 is 501 characters long.",
    ]
    diff = proposals.applied.diff(before, after)
    assert "Binary files /dev/null and b/bin differ" in diff
    assert "diff --git a/large b/large\nLarger than 1 MiB, not shown\n" in diff


def test_the_name_of_a_large_file_forges_no_line_of_the_diff(proposals: Proposals) -> None:
    before = proposals.applied.main()
    diff = proposals.applied.diff(before, proposals.take({"x\n+++ b": b"line\n" * 300_000}))
    assert r"diff --git a/x\n+++ b b/x\n+++ b" in diff
    assert len(diff.splitlines()) == 2


def test_invisible_characters_in_added_lines_and_names_are_shown(proposals: Proposals) -> None:
    before = proposals.take({"old": "a\u202eb\n"})
    after = proposals.take(
        {"old": None, "new": "fine\r\na\u202eb\u200b\n\x1b[2K\n", "bad": b"caf\xe9\n", "n\u200bame": "1\n"}
    )
    said = proposals.sentences(before, after)
    assert r"new, line 2 has invisible, control or undecodable characters: a\u{202e}b\u{200b}" in said
    assert r"new, line 3 has invisible, control or undecodable characters: \x1b[2K" in said
    assert "new, line 1" not in said
    assert "bad, line 1 has" in said
    assert "\u202e" not in said
    assert "caf\ufffd" in proposals.applied.diff(before, after)


def test_several_commits_are_listed_with_author_and_subject(proposals: Proposals) -> None:
    before = proposals.applied.main()
    commit(proposals.clone, {"a": "1"}, "sneak\x1b[31m in")
    commit(proposals.clone, {"a": None}, "hide it again")
    git(proposals.clone, "config", "i18n.commitEncoding", "no-such-encoding")
    after = proposals.take({"b": "1"}, "harmless")
    said = proposals.applied.beyond_text(before, after)
    assert said[0] == "3 commits lie between; the diff is their sum."
    assert [line.partition(" by ")[2] for line in said[1:]] == [
        "Ada: harmless",
        "Ada: hide it again",
        r"Ada: sneak\x1b[31m in",
    ]


def test_a_long_diff_is_cut_and_says_so(proposals: Proposals) -> None:
    before = proposals.applied.main()
    after = proposals.take({f"f{number}": "0123456789\n" * 20_000 for number in range(4)})
    diff = proposals.applied.diff(before, after)
    assert diff.endswith("(cut here: the diff is longer than 512 KiB)\n")
    assert len(diff) < 513 << 10
    assert "it is cut, and no line further on was looked at" in proposals.sentences(before, after)


def test_sentences_come_to_an_end(proposals: Proposals) -> None:
    after = proposals.take({f"f{number}": b"\0" for number in range(300)})
    said = proposals.applied.beyond_text(proposals.applied.main(), after)
    assert len(said) == 51
    assert said[-1] == "There is more of this kind than is listed here."


def test_a_commit_with_no_message_or_a_strange_one_has_a_subject(proposals: Proposals) -> None:
    root = git(proposals.clone, "rev-parse", "HEAD^{tree}")
    person = b"\xff\xfe <> 1700000000 +0000"
    parent = git(proposals.clone, "rev-parse", "HEAD")
    for _ in range(2):
        content = f"tree {root}\nparent {parent}\n".encode() + b"author " + person + b"\ncommitter " + person
        parent = write_object(proposals.clone, "commit", content + b"\nencoding nonsense\n\n\n\n\xff\n")
    sha = proposals.applied.receive(proposals.clone, parent, "refs/tags/proposal/1")
    said = proposals.applied.beyond_text(proposals.applied.main(), sha)
    assert said[1] == f"{sha[:12]} by \ufffd\ufffd: \ufffd"


def test_the_commits_between_are_told_as_they_were_written(proposals: Proposals) -> None:
    before = proposals.applied.main()
    first = commit(proposals.clone, {"a": "1"}, "One\n\nand why")
    second = proposals.take({"a": "2"}, "x" * 10_000)
    told = proposals.applied.commits(before, second)
    assert [(each.sha, each.author, len(each.message)) for each in told] == [(second, "Ada", 4096), (first, "Ada", 12)]
    assert proposals.applied.commits(second, second) == []


def test_what_a_message_says_behind_a_nul_is_shown_and_that_git_does_not(proposals: Proposals) -> None:
    root = git(proposals.clone, "rev-parse", "HEAD^{tree}")
    person = "Ada <ada@example.org> 1700000000 +0000"
    head = f"tree {root}\nparent {proposals.applied.main()}\nauthor {person}\ncommitter {person}\n\n"
    sha = write_object(proposals.clone, "commit", head.encode() + b"harmless\n\0 and what it really does\n")
    proposals.applied.receive(proposals.clone, sha, "refs/tags/proposal/1")
    (shown,) = proposals.applied.commits(proposals.applied.main(), sha)
    assert shown.message == "harmless\n\0 and what it really does"
    assert any("has a NUL" in sentence for sentence in proposals.applied.beyond_text(proposals.applied.main(), sha))


def test_letters_that_look_like_others_are_remarked_on_in_lines_names_authors_and_messages(
    proposals: Proposals,
) -> None:
    git(proposals.clone, "config", "user.name", "\u0410da")
    sha = commit(proposals.clone, {"c\u043enfig": "url = 'p\u0430ypal'\n"}, "Use p\u0430ypal")
    proposals.applied.receive(proposals.clone, sha, "refs/tags/proposal/1")
    told = proposals.applied.beyond_text(proposals.applied.main(), sha)
    assert any(r"In config" not in line and r"'p\u{430}ypal' mixes" in line and "line 1" in line for line in told)
    assert any("In the name" in line and r"'c\u{43e}nfig'" in line for line in told)
    assert any("In the message or the author" in line for line in told)


def test_a_long_message_is_cut_and_says_so(proposals: Proposals) -> None:
    sha = commit(proposals.clone, {"a": "1"}, "x" * 5000)
    proposals.applied.receive(proposals.clone, sha, "refs/tags/proposal/1")
    (shown,) = proposals.applied.commits(proposals.applied.main(), sha)
    assert shown.message.endswith("(cut here: the message has 5000 characters)")


def test_the_files_of_a_name_that_differ_are_told_as_they_were_and_are(proposals: Proposals) -> None:
    before = proposals.take({"a.nix": "one", "kept.nix": "k", "gone/b.nix": "b", "other": "x"})
    (proposals.clone / "link.nix").symlink_to("a.nix")
    git(proposals.clone, "add", "link.nix")
    after = proposals.take({"a.nix": "two", "gone/b.nix": None, "new.nix": "n", "other": "y"})
    assert list(proposals.applied.changed(before, after, ".nix")) == [
        ("a.nix", b"one", b"two"),
        ("gone/b.nix", b"b", None),
        ("link.nix", None, b"a.nix"),
        ("new.nix", None, b"n"),
    ]
    assert [path for path, *_ in proposals.applied.changed(None, before, ".nix")] == ["a.nix", "gone/b.nix", "kept.nix"]


def test_of_very_many_files_only_those_that_moved_unchanged_are_called_renamed(proposals: Proposals) -> None:
    texts = ["".join(f"{number} {line}\n" for line in range(9)) for number in range(101)]
    before = proposals.take({"same": "all of this\n", **{f"a/{number}": text for number, text in enumerate(texts)}})
    gone: dict[str, str | bytes | None] = {"same": None, **{f"a/{number}": None for number in range(101)}}
    new = {f"b/{number}": f"{text}more\n" for number, text in enumerate(texts)}
    said = proposals.sentences(before, proposals.take({**gone, "moved": "all of this\n", **new}))
    assert "same is renamed to moved." in said
    assert said.count("renamed") == 1


def test_a_file_of_very_many_lines_is_shown_when_it_is_new_and_afterwards_named(proposals: Proposals) -> None:
    before = proposals.take({"long": "a\n" * 50_001})
    after = proposals.take({"long": "b\n" * 50_001})
    assert "long is longer than 50000 lines; the diff does not show it." in proposals.sentences(before, after)
    assert proposals.applied.diff(before, after) == "diff --git a/long b/long\nLonger than 50000 lines, not shown\n"
    assert "+a\n+a\n" in proposals.applied.diff(None, before)


def test_many_sentences_of_one_kind_keep_none_of_another_from_being_told(proposals: Proposals) -> None:
    before = proposals.applied.main()
    (proposals.clone / "zlink").symlink_to("/etc/passwd")
    odd = "".join(f"a\u200bb{number}\n" for number in range(300))
    words = " ".join(f"p\u0430yp\u0430l{number}" for number in range(300))
    files = {"aaa": odd, **{f"run{number}": "1" for number in range(60)}, "zbin": b"\0", "zlong": "x" * 501}
    after = proposals.take(files, words)
    said = proposals.applied.beyond_text(before, after)
    for sentence in (
        "zbin is binary; the diff does not show what is in it.",
        "zlink is a symlink to '/etc/passwd'.",
        "zlong, line 1 is 501 characters long.",
    ):
        assert sentence in said
    assert said.count("There is more of this kind than is listed here.") == 2
    assert len(said) < 200


def test_what_lies_behind_a_diff_that_is_cut_is_named_all_the_same(proposals: Proposals) -> None:
    before = proposals.applied.main()
    (proposals.clone / "zlink").symlink_to("/etc/passwd")
    after = proposals.take({f"f{number}": "0123456789\n" * 20_000 for number in range(4)})
    assert "zlink is a symlink to '/etc/passwd'." in proposals.sentences(before, after)
