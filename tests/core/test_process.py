"""Running programs: what is kept of what they write, and what becomes of those that have no end."""

from __future__ import annotations

import os
import signal
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from hive_core.errors import ProgramFailed, TookTooLong, WroteTooMuch
from hive_core.process import run
from hive_core.program_output import MOST_WORDS, HeadAndTail

FLOOD = "printf 'the first words\\n{0}'; yes 'and on and on' | head -c 200000000; printf '{0}the last words'"


@pytest.fixture
def peak() -> Iterator[object]:
    """How many bytes of memory were in use at once since the test began."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


def test_a_program_gives_what_it_writes_and_its_code() -> None:
    done = run(["sh", "-c", "read line; echo $line; echo words >&2; exit 3"], text="given\n", check=False)
    assert (done.code, done.stdout, done.stderr) == (3, "given\n", "words\n")
    with pytest.raises(ProgramFailed, match=r"(?s)ended with code 3\nstderr:\n    words"):
        run(["sh", "-c", "echo words >&2; exit 3"])


def test_of_a_flood_the_head_and_the_tail_are_kept(peak: object) -> None:
    done = run(["sh", "-c", f"({FLOOD.format('ä')}) >&2; echo result"])
    assert done.stdout == "result\n"
    assert done.stderr.startswith("the first words\nä")
    assert done.stderr.endswith("äthe last words")
    assert "\n[... 189.7 MiB left out ...]\n" in done.stderr
    assert len(done.stderr) < MOST_WORDS + 100
    assert callable(peak)
    assert peak() < 8 * MOST_WORDS


def test_a_program_that_gives_more_than_anybody_reads_is_killed(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    with pytest.raises(WroteTooMuch, match=r"yes` wrote more than 1\.0 MiB and was killed"):
        run(["sh", "-c", f"echo $$ >{told}; exec yes"], most=2**20)
    assert not Path(f"/proc/{told.read_text().strip()}").exists()
    assert len(run(["head", "-c", str(2**20), "/dev/zero"], most=2**20).stdout) == 2**20


@pytest.mark.parametrize("rest", ["exec sleep 1000", "exec sleep 1000 >&- 2>&-", "sleep 1000 & echo $! >{}.child"])
def test_a_program_that_takes_too_long_is_killed_whoever_else_writes_for_it(tmp_path: Path, rest: str) -> None:
    told = tmp_path / "pid"
    with pytest.raises(TookTooLong, match=r"took longer than 0\.3 seconds"):
        run(["sh", "-c", f"echo $$ >{told}; {rest.format(told)}"], timeout=0.3)
    assert not Path(f"/proc/{told.read_text().strip()}").exists()
    for child in tmp_path.glob("*.child"):
        os.kill(int(child.read_text()), signal.SIGKILL)


def test_what_is_cut_is_what_is_in_the_middle() -> None:
    for pieces in ([b"0123456789"], [b"%d" % digit for digit in range(10)], [b"0", b"12345678", b"9"]):
        kept = HeadAndTail(4)
        for piece in pieces:
            kept.add(piece)
        assert kept.text() == "01\n[... 6 B left out ...]\n89"
    whole = HeadAndTail(10)
    whole.add(b"0123456789")
    assert (whole.text(), whole.left_out) == ("0123456789", 0)


def test_a_program_has_the_environment_it_is_given_and_no_other() -> None:
    told = run([sys.executable, "-I", "-S", "-c", "import os; print(sorted(os.environ))"], env={"A": "1"}).stdout
    assert {"A", "PATH"} <= set(eval(told)) <= {"A", "PATH", "LC_ALL", "LC_CTYPE"}
