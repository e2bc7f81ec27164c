"""What an agent's Nix does that deserves a look, told by its words, which nothing hides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_fleet.requests import nix_remarks
from hive_fleet.requests.consequences import Weight
from tests.properties import AWKWARD, thorough

WIDENS, NARROWS, NEUTRAL = Weight.WIDENS, Weight.NARROWS, Weight.NEUTRAL
HARMLESS = """\
{ pkgs, lib, ... }:
{
  imports = [ ./more.nix ];
  environment.systemPackages = [ pkgs.jq ];
  programs.git.config.fetch.prune = lib.mkDefault true;
  systemd.services.x.script = "fetchmail; exec import";
}
"""


def told(before: str | None, after: str | None) -> list[tuple[Weight, str]]:
    before_, after_ = (None if text is None else text.encode() for text in (before, after))
    return [(one.weight, one.text) for one in nix_remarks.remarks([("agent.nix", before_, after_)])]


def test_packages_and_options_deserve_no_look() -> None:
    assert told(None, HARMLESS) == told(HARMLESS, None) == []


@pytest.mark.parametrize(
    ("does", "texts"),
    [
        ("overrides what others say of its system", ["lib.mkForce 1", "mkOverride 10 1", 'lib."mkForce" 1']),
        (
            "has something fetched for its system",
            [
                "builtins.fetchurl x",
                "fetchTarball { }",
                "__fetchGit x",
                "pkgs.fetchFromGitHub { }",
                "builtins.getFlake x",
                "{ outputHash = x; }",
            ],
        ),
        (
            "may read what has to be built before (import from derivation)",
            ["import (pkgs.x)", "import\n  (x)", 'builtins.readFile "${pkgs.x}/y"', "lib.importJSON (x)"],
        ),
        (
            "builds by commands of its own",
            ["derivation { }", "pkgs.stdenv.mkDerivation x", "runCommandLocal x", "pkgs.x.overrideAttrs f"],
        ),
        ("asks for what a build must not depend on", ["{ __impure = true; }", "builtins.getEnv x", "__getEnv x"]),
        ("names builtins by what it computes", ['builtins.${"fetch" + "url"}', "builtins.getAttr name builtins"]),
    ],
)
def test_what_deserves_a_look_is_named_with_its_place(does: str, texts: list[str]) -> None:
    for text in texts:
        ((weight, said),) = told(HARMLESS, f"{HARMLESS}# one more\n{text}\n")
        assert weight == WIDENS
        assert said.startswith(f"{does}: ")
        assert said.endswith("(agent.nix, line 9)"), said


def test_what_a_changed_file_still_does_is_told_and_weighs_less_and_what_is_gone_less_still() -> None:
    before = 'x: fetchurl { url = "one"; }\n'
    assert told(before, before.replace("one", "two")) == [
        (NEUTRAL, "has something fetched for its system, as before: fetchurl (agent.nix, line 1)")
    ]
    assert told(before, before * 2) == [
        (WIDENS, "has something fetched for its system: fetchurl (agent.nix, lines 1, 2)")
    ]
    assert told(before, None) == [
        (NARROWS, "no longer has something fetched for its system: fetchurl is gone from agent.nix")
    ]
    (once,) = told(before, before + "fetchzip x\n" * 7)
    assert once[1].endswith("fetchurl, fetchzip (agent.nix, lines 1, 2, 3, 4, 5, …)")


def test_words_in_a_comment_weigh_less_but_are_told() -> None:
    """A line that begins as a comment does may be one of a text, in which Nix is written."""
    text = "{ x = ''\n  # ${builtins.fetchurl y}\n''; }"
    ((weight, said),) = told(None, text)
    assert (weight, "fetchurl (agent.nix, line 2)" in said) == (NEUTRAL, True)


def test_the_gravest_is_first_and_names_cannot_write_over_the_terminal() -> None:
    changed = [("a.nix", b"mkForce 1", b""), ("b\x1b[2J.nix", b"", b"mkForce 1"), ("c.nix", b"mkForce 1", b"mkForce 2")]
    found = nix_remarks.remarks(changed)
    assert [one.weight for one in found] == [WIDENS, NARROWS, NEUTRAL]
    assert "\x1b" not in "".join(one.text for one in found)


def test_more_than_is_looked_at_is_said_and_costs_nothing() -> None:
    many = ((f"{number}.nix", None, b"mkForce") for number in range(10_000))
    found = nix_remarks.remarks(many)
    assert len(found) == nix_remarks.MOST_FILES + 1
    assert found[-1].text == f"has more Nix than was looked at, from {nix_remarks.MOST_FILES}.nix on"
    large = b"import " * (nix_remarks.MOST_BYTES // 7) + b"mkForce "
    assert "more Nix than was looked at" in nix_remarks.remarks([("x.nix", None, large)])[0].text


_words = st.sampled_from(
    [
        "mkForce",
        "fetchurl",
        "builtins.fetchTarball",
        "import (",
        "getEnv",
        "# fetchgit",
        "x",
        "jq",
        "\n",
        " ",
        "\x1b[2J",
    ]
)
_nix = st.lists(_words | st.text(alphabet=AWKWARD, max_size=4), max_size=10).map(" ".join)
_files = st.lists(st.tuples(st.sampled_from(["a.nix", "b\x1b.nix"]), st.none() | _nix, st.none() | _nix), max_size=3)


@thorough
@given(_files)
def test_whatever_a_file_holds_it_is_told_in_printable_lines(files: list[tuple[str, str | None, str | None]]) -> None:
    changed = [(path, *(None if text is None else text.encode() for text in texts)) for path, *texts in files]
    found = nix_remarks.remarks(changed)  # type: ignore[arg-type]
    assert all(each.text.isprintable() for each in found)
    order = list(Weight)
    assert [order.index(each.weight) for each in found] == sorted(order.index(each.weight) for each in found)
    # What stays as it is neither widens nor narrows anything.
    same = [(path, after, after) for path, _before, after in changed]
    assert {each.weight for each in nix_remarks.remarks(same)} <= {NEUTRAL}


@thorough
@given(st.binary(max_size=60))
def test_bytes_that_are_no_text_are_looked_at_all_the_same(data: bytes) -> None:
    (found,) = nix_remarks.remarks([("a.nix", None, data + b" mkForce ")]) or [None]
    assert found is not None
    assert found.text.startswith("overrides what others say of its system: ")
