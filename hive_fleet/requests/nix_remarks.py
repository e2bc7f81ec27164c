"""What an agent's Nix does that deserves a look, by the words in it, whether or not anything is built of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hive_core.text import one_line
from hive_fleet.requests.consequences import Consequence, Weight, gravest_first

# What is looked at, and how much of it is told.
MOST_FILES, MOST_BYTES = 50, 256 << 10
MOST_PLACES, LONGEST_WORD = 5, 60
# The path of a file, and what it was and is; None where there was none, or is none any more.
Changed = tuple[str, bytes | None, bytes | None]


class _Kind(NamedTuple):
    """Words that do one thing. does: what the agent does by them, as a sentence goes on after its name."""

    does: str
    words: re.Pattern[str]


def _kind(does: str, words: str) -> _Kind:
    # Each builtin has a second name, which begins with two underscores.
    return _Kind(does, re.compile(rf"(?<![\w'-])(?:__)?(?:{words})", re.ASCII))


_END = r"(?![\w'-])"
_KINDS = (
    _kind("overrides what others say of its system", rf"(?:mkForce|mkOverride|mkVMOverride){_END}"),
    _kind(
        "has something fetched for its system",
        rf"(?:fetch(?:url|zip|git|svn|hg|cvs|patch|closure|tree|[A-Z]\w*)|getFlake|outputHash){_END}",
    ),
    _kind(
        "may read what has to be built before (import from derivation)",
        r"(?:import|readFile|readDir|importJSON|importTOML|scopedImport)(?=\s*(?:\(|\"[^\"\n]*\$\{))",
    ),
    _kind(
        "builds by commands of its own",
        rf"(?:derivation|derivationStrict|mkDerivation|runCommand\w*|buildCommand|overrideAttrs){_END}",
    ),
    _kind(
        "asks for what a build must not depend on",
        rf"(?:__impure|__noChroot|getEnv|currentTime|storePath|importNative){_END}",
    ),
    _kind("names builtins by what it computes", r"builtins\s*\.\s*\$\{|getAttr\s+(?!\")\S+\s+builtins"),
)


def remarks(changed: Iterable[Changed]) -> list[Consequence]:
    """What deserves a look in Nix files that differ, the gravest first.

    What a changed file still does is told as well: what it does that to may be new. Words in comments are told, too:
    where a comment ends takes all of nix's grammar to say, and whoever hides something knows it. They weigh less.
    """
    found: list[Consequence] = []
    left = MOST_BYTES
    for number, (path, before, after) in enumerate(changed):
        left -= len(before or b"") + len(after or b"")
        if number == MOST_FILES or left < 0:
            words = f"has more Nix than was looked at, from {one_line(path)} on"
            found.append(Consequence(path, Weight.NEUTRAL, words))
            break
        found += _of_file(path, before, after)
    return gravest_first(found)


def _of_file(path: str, before: bytes | None, after: bytes | None) -> Iterator[Consequence]:
    name = one_line(path)
    old, new = ((data or b"").decode(errors="replace") for data in (before, after))
    for kind in _KINDS:
        was, found = list(kind.words.finditer(old)), list(kind.words.finditer(new))
        if found:
            more = _outside_comments(new, found) > _outside_comments(old, was)
            still = "" if len(found) > len(was) else ", as before"
            words = f"{kind.does}{still}: {_places(name, new, found)}"
            yield Consequence(path, Weight.WIDENS if more else Weight.NEUTRAL, words)
        elif was:
            yield Consequence(path, Weight.NARROWS, f"no longer {kind.does}: {_words(was)} is gone from {name}")


def _outside_comments(text: str, found: list[re.Match[str]]) -> int:
    """How many of these stand in lines that do not begin as a comment."""
    return sum(not text[text.rfind("\n", 0, at.start()) + 1 : at.start()].lstrip().startswith("#") for at in found)


def _places(name: str, text: str, found: list[re.Match[str]]) -> str:
    """Which words these are, and where."""
    lines = list(dict.fromkeys(text.count("\n", 0, at.start()) + 1 for at in found[:MOST_PLACES]))
    shown = ", ".join(map(str, lines)) + (", …" if len(found) > MOST_PLACES else "")
    return f"{_words(found)} ({name}, {'line' if shown == str(lines[0]) else 'lines'} {shown})"


def _words(found: list[re.Match[str]]) -> str:
    return ", ".join(dict.fromkeys(one_line(at[0])[:LONGEST_WORD] for at in found[:MOST_PLACES]))
