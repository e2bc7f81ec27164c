"""Tables on a terminal: the same words as in a pipe, coloured; folded where they do not fit."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

from tests.hives import CHECKOUT, TestHive


def on_a_terminal(hive: TestHive, *arguments: str, **variables: str) -> str:
    """What a command shows on a terminal."""
    ours, theirs = pty.openpty()
    argv = [sys.executable, str(CHECKOUT / "hive"), *arguments]
    process = subprocess.Popen(argv, env={**hive.environment, "TERM": "xterm", **variables}, stdout=theirs)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:
        pass  # How Linux tells the end of a terminal (EIO).
    os.close(ours)
    assert process.wait() == 0
    return shown.decode().replace("\r\n", "\n")


def bare(shown: str) -> list[str]:
    """The lines of a text without its colours."""
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()]


def test_a_table_on_a_terminal_has_the_words_of_the_one_in_a_pipe_and_colours(hive: TestHive) -> None:
    hive.run("request-spawn", "coder", "--description", "writes code")
    shown = on_a_terminal(hive, "approvals", COLUMNS="200")
    assert "\x1b[33mpending\x1b[0m" in shown
    # The age of the request may have moved on by a second.
    ages = re.compile(r"\d+ s")
    piped = hive.run("approvals").stdout
    assert ages.sub("", "\n".join(bare(shown))) == ages.sub("", piped.rstrip())


def test_a_table_that_does_not_fit_is_folded_and_loses_nothing(hive: TestHive) -> None:
    hive.run("request-spawn", "coder", "--description", "one two three four five six seven eight nine ten")
    lines = bare(on_a_terminal(hive, "approvals", COLUMNS="60"))
    assert max(map(len, lines)) <= 60
    assert {"one", "ten"} <= {word for line in lines for word in line.split()}


def test_a_terminal_that_wants_no_colours_gets_none(hive: TestHive) -> None:
    hive.run("request-spawn", "coder")
    assert "\x1b" not in on_a_terminal(hive, "approvals", NO_COLOR="1")
    assert "\x1b" not in on_a_terminal(hive, "approvals", TERM="dumb")
