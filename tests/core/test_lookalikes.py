"""Words that pass for others are remarked on, and honest words of any language are not."""

from __future__ import annotations

import pytest

from hive_core.lookalikes import remarks


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("url = 'https://p\u0430ypal.example'", r"'p\u{430}ypal' mixes letters that look alike: Cyrillic, Latin"),
        ("runner = 'c\u043emm\u0430nd'", r"'c\u{43e}mm\u{430}nd' mixes"),
        ("\u0441\u043e\u0440\u0435 = 1 # scope", r"is all Cyrillic letters that look like Latin ones"),
        ("\u0430dmin_user", r"'\u{430}dmin_user' mixes"),
        ("\u03bfpen", r"'\u{3bf}pen' mixes letters that look alike: Greek, Latin"),
        ("\uff52\uff4d -rf", "reads as 'rm'"),
        ("\U0001d42b\U0001d426", "reads as 'rm'"),
        ("a \u2215 b", r"'\u{2215}' looks like '/'"),
        ("x\u037e y", r"'\u{37e}' looks like ';'"),
        ("n\u0261inx", "mixes"),
        ("\u216eommand", "reads as 'Dommand'"),
    ],
)
def test_what_passes_for_something_else_is_said_with_its_letters_written_out(text: str, said: str) -> None:
    found = list(remarks(text))
    assert len(found) == 1
    assert said in found[0]
    assert found[0].isascii()


@pytest.mark.parametrize(
    "text",
    [
        "plain = 'ASCII'",
        "Grüße, Übermaß, naïve façade, Łódź, sınıf",
        "Привет, это README на русском",
        "Ελληνικά και English",
        "日本語とPython版",
        "Δt = 5 µs, x², ½, 10 €, “quoted” – dash…",
        "π ≈ 3.14, α and β",
        "",
    ],
)
def test_honest_text_is_not_remarked_on(text: str) -> None:
    assert list(remarks(text)) == []
