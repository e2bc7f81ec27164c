"""What a program writes, as far as it is kept: nothing of it is lost unseen, and none fills the memory."""

from __future__ import annotations

import re
import subprocess
from subprocess import Popen, TimeoutExpired

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core.program_output import MOST_WORDS, HeadAndTail, TooMuch, read
from tests.properties import texts, thorough

LEFT_OUT = re.compile(r"\n\[\.\.\. (\d+) B left out \.\.\.\]\n")


@thorough
@given(st.lists(st.binary(max_size=9), max_size=9), st.integers(2, 40))
def test_what_is_kept_is_the_head_and_the_tail_and_the_rest_is_counted(pieces: list[bytes], most: int) -> None:
    kept, whole = HeadAndTail(most), b"".join(pieces)
    for piece in pieces:
        kept.add(piece)
    said = kept.text()
    half = most // 2
    assert kept.left_out == max(0, len(whole) - 2 * half)
    if kept.left_out:
        head, number, tail = LEFT_OUT.split(said)
        assert int(number) == kept.left_out
        assert (head, tail) == tuple(part.decode(errors="ignore") for part in (whole[:half], whole[-half:]))
    else:
        assert said == whole.decode(errors="ignore")


@thorough
@given(texts, st.integers(1, 9))
def test_no_character_is_lost_where_all_of_it_is_kept(text: str, at_once: int) -> None:
    data = text.encode("utf-8", "surrogatepass").decode(errors="ignore").encode()
    kept = HeadAndTail(len(data) + 2)
    for start in range(0, len(data), at_once):
        kept.add(data[start : start + at_once])
    assert kept.text() == data.decode()


def test_however_much_comes_only_so_much_is_held() -> None:
    kept = HeadAndTail(1000)
    for _ in range(100):
        kept.add(b"x" * 65536)
    assert len(kept._head) + len(kept._tail) < 1000 + 18 * 65536
    assert len(kept.text()) < 1100


def started(script: str) -> Popen[bytes]:
    return Popen(["sh", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_both_streams_are_read_to_their_end() -> None:
    process = started("echo out; echo words >&2; exit 3")
    assert read(process, 100, 60.0) == ("out\n", "words\n")
    assert process.returncode == 3


def test_whichever_stream_it_fills_first_the_other_is_read() -> None:
    process = started("head -c 300000 /dev/zero >&2; echo out")
    out, words = read(process, 100, 60.0)
    assert (out, len(words)) == ("out\n", 300000)


def test_of_its_words_head_and_tail_are_kept_and_of_what_it_gives_all_or_nothing() -> None:
    process = started(f"echo first >&2; head -c {2 * MOST_WORDS} /dev/zero >&2; echo last >&2")
    words = read(process, 100, 60.0)[1]
    assert words.startswith("first\n")
    assert words.endswith("last\n")
    assert "left out" in words
    # Nobody reads what comes after; it would wait for ever.
    process = started("exec yes")
    with pytest.raises(TooMuch):
        read(process, 100_000, 60.0)
    assert process.returncode in (-9, -13)


def test_one_that_takes_too_long_is_killed_whatever_it_is_at() -> None:
    for script in ("exec sleep infinity", "exec sleep infinity >&- 2>&-"):
        process = started(script)
        with pytest.raises(TimeoutExpired):
            read(process, 100, 0.05)
        assert process.returncode == -9
