"""What keeps a process from its work is told once, tried again ever later, and told when it is over."""

from __future__ import annotations

import errno
import os
import sqlite3

import pytest

from hive_core import trouble
from hive_core.errors import Refused, Replaced
from hive_core.trouble import FIRST, FORGOTTEN, LONGEST, Trouble

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/some/file")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def met(said: list[str]) -> Trouble:
    return Trouble(said.append, "the watch")


def test_the_same_is_told_once_and_waited_for_ever_longer(met: Trouble, said: list[str]) -> None:
    pauses = [met.met(FULL) for _ in range(8)]
    assert pauses == [min(LONGEST, FIRST * 2**number) for number in range(8)]
    assert said == [
        f"warning: the watch: /some/file: {os.strerror(errno.ENOSPC)}. Make room, or make it writable."
        " It goes on by itself when it can."
    ]
    assert not met.worked


def test_another_trouble_is_news(met: Trouble, said: list[str]) -> None:
    met.met(FULL)
    met.met(sqlite3.OperationalError("strange"))
    met.met(Refused("No.", "Do something."))
    met.met(Refused("No.", "Do something."))
    assert [line.removeprefix("warning: the watch: ") for line in said[1:]] == [
        "strange It goes on by itself when it can.",
        "No. Do something. It goes on by itself when it can.",
    ]


def test_when_it_is_over_that_is_told_and_the_same_is_news_again(met: Trouble, said: list[str]) -> None:
    met.met(FULL)
    met.met(FULL)
    met.over()
    met.over()
    assert met.worked
    assert said[1:] == ["the watch goes on"]
    assert met.met(FULL) == FIRST
    assert len(said) == 3


def test_without_trouble_nothing_is_told(met: Trouble, said: list[str]) -> None:
    met.over()
    assert met.worked
    assert said == []


def test_another_database_is_gone_on_with_at_once(met: Trouble, said: list[str]) -> None:
    assert [met.met(Replaced("It is another.")) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert said == ["warning: the watch: It is another."]


def test_after_a_long_time_without_it_the_same_is_news(
    met: Trouble, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(trouble.time, "monotonic", lambda: now)
    met.met(FULL)
    now += FORGOTTEN
    met.met(FULL)
    assert len(said) == 1
    now += FORGOTTEN + 1
    met.met(FULL)
    assert len(said) == 2
