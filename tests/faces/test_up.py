"""`hive up`: what it shows while it keeps watch."""

from __future__ import annotations

from tests.hives import TestHive, interrupt, line_of


def test_up_says_what_happens_in_sentences(hive: TestHive) -> None:
    up = hive.start("up")
    assert line_of(up).split()[1:] == ["manager", "spawning…"]
    assert interrupt(up) == 130
