"""Letters that pass for others: words of mixed scripts, and words of another script that read as Latin ones."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_WORD = re.compile(r"\w+")
# Of the letters that Unicode's confusables (UTS 39) list for ASCII ones, those that most fonts draw alike.
_CYRILLIC = "асԁеһіјӏорԛѕԝхуѵАВСЕНІЈКМОРЅТХҮԌ"
_GREEK = "οναρυιΑΒΕΖΗΙΚΜΝΟΡΤΥΧ"
_PHONETIC = "ɑɡ"
_ALIKE = frozenset(_CYRILLIC + _GREEK + _PHONETIC)
# Whole alphabets that have so many of them that a word which mixes them with Latin letters is never an honest one.
_ALPHABETS = ("CYRILLIC", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU")
_PUNCTUATION = {"\u2215": "/", "\u2044": "/", "\u29f8": "/", "\u01c3": "!", "\u2236": ":", "\u02d0": ":"}


def remarks(text: str) -> Iterator[str]:
    """What is to be said of each word that could pass for another, in ASCII: with its odd letters written out."""
    if text.isascii():
        return
    latin = re.search("[A-Za-z]", text) is not None
    for word in dict.fromkeys(_WORD.findall(text)):
        if (reason := _of_word(word, latin)) is not None:
            yield f"'{_written_out(word)}' {reason}"
    for character in dict.fromkeys(text):
        if character in _PUNCTUATION or (_stands_for_ascii(character) and not _WORD.match(character)):
            looks = _PUNCTUATION.get(character) or unicodedata.normalize("NFKC", character)
            yield f"'{_written_out(character)}' looks like '{looks}'"


def _of_word(word: str, latin: bool) -> str | None:
    """Why a word could pass for another, or None. latin: whether there are ASCII letters beside it."""
    if word.isascii():
        return None
    if any(map(_stands_for_ascii, word)):
        return f"reads as '{unicodedata.normalize('NFKC', word)}'" if latin or len(word) > 1 else None
    scripts = {_script(character) for character in word if character.isalpha()}
    mixed = "LATIN" in scripts and any(_script(character) in _ALPHABETS for character in word)
    alike = [character in _ALIKE for character in word if character.isalpha()]
    if mixed or ("LATIN" in scripts and any(alike)):
        return f"mixes letters that look alike: {', '.join(sorted(scripts)).title()}"
    if len(alike) > 1 and all(alike) and latin:
        return f"is all {', '.join(sorted(scripts)).title()} letters that look like Latin ones"
    return None


def _stands_for_ascii(character: str) -> bool:
    """Whether this is a form of one ASCII letter, digit or sign: full-width, mathematical and the like."""
    if character.isascii() or not unicodedata.category(character).startswith(("L", "P", "S", "Nd", "Nl")):
        return False
    plain = unicodedata.normalize("NFKC", character)
    return len(plain) == 1 and plain.isascii()


def _script(character: str) -> str:
    """The first word of a character's name, which for letters is their script."""
    return unicodedata.name(character, "UNKNOWN").split()[0]


def _written_out(word: str) -> str:
    return "".join(character if character.isascii() else f"\\u{{{ord(character):x}}}" for character in word)
