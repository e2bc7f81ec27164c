"""The helper that kills programs at a chosen line does so, and counts right."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.killing import NO_DIFFERENCE, Changes

KILLING = Path(__file__).with_name("killing.py")

PROGRAM = """\
import sys
print("one", flush=True)
print("two", flush=True)
sys.exit(int(sys.argv[1]))
"""

THREADS = """\
import threading

def work():
    for number in range(100):
        number += 1

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
"""

FORKS = """\
import os
child = os.fork()
if child == 0:
    for number in range(50):
        pass
    os._exit(7)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(code, flush=True)
"""


def run(tmp_path: Path, at: int, *arguments: str) -> tuple[int, str, str]:
    count = tmp_path / "count"
    done = subprocess.run(
        [sys.executable, str(KILLING), str(at), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "KILLING_COUNT": str(count)},
        cwd=tmp_path,
        check=False,
    )
    return done.returncode, done.stdout, count.read_text().strip() if count.exists() else ""


def written(tmp_path: Path, text: str) -> str:
    (tmp_path / "program.py").write_text(text)
    return str(tmp_path / "program.py")


def test_counting_lets_the_program_run_to_its_own_end(tmp_path: Path) -> None:
    program = written(tmp_path, PROGRAM)
    assert run(tmp_path, 0, "program.py", "--", program, "5") == (5, "one\ntwo\n", "4")
    assert run(tmp_path, 5, "program.py", "--", program, "5") == (5, "one\ntwo\n", "4")


def test_the_program_dies_before_the_line_asked_for(tmp_path: Path) -> None:
    program = written(tmp_path, PROGRAM)
    assert run(tmp_path, 3, "program.py", "--", program, "5") == (-signal.SIGKILL, "one\n", "")


def test_files_that_are_not_named_do_not_count(tmp_path: Path) -> None:
    assert run(tmp_path, 0, "other.py", "--", written(tmp_path, PROGRAM), "0") == (0, "one\ntwo\n", "0")


def test_modules_and_code_run_as_under_python(tmp_path: Path) -> None:
    written(tmp_path, PROGRAM)
    assert run(tmp_path, 3, "program.py", "--", "-m", "program", "5") == (-signal.SIGKILL, "one\n", "")
    assert run(tmp_path, 0, "program.py", "--", "-c", "import sys; print(sys.argv)", "5")[1] == "['-c', '5']\n"


def test_lines_of_every_thread_count(tmp_path: Path) -> None:
    program = written(tmp_path, THREADS)
    code, _, count = run(tmp_path, 0, "program.py", "--", program)
    assert code == 0
    assert int(count) > 4 * 200
    assert run(tmp_path, int(count) - 5, "program.py", "--", program)[0] == -signal.SIGKILL


def test_the_places_are_the_lines_before_which_something_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "watched").mkdir()
    monkeypatch.setenv("KILLING_WATCH", str(tmp_path / "watched"))
    monkeypatch.setenv("KILLING_PLACES", str(tmp_path / "places"))
    program = written(tmp_path, 'one = 1\nopen("watched/file", "w").close()\ntwo = 2\nthree = 3\n')
    assert run(tmp_path, 0, "program.py", "--", program)[0] == 0
    assert json.loads((tmp_path / "places").read_text()) == [1, 3]


def test_what_makes_no_difference_after_a_death_is_no_change(tmp_path: Path) -> None:
    with closing(Changes(str(tmp_path), NO_DIFFERENCE)) as changes:
        assert changes.any()
        for name in ("meta.lock", "agent-coder.lock", "in.applied.coder.lock", "hive.db-bell", "af", "0" * 38):
            (tmp_path / name).touch()
        assert not changes.any()
        # Those of git are left behind.
        for name in ("hive.db-wal", "main.lock", "hive-unfinished", "index.lock", "agent.toml"):
            (tmp_path / name).touch()
            assert changes.any(), name


@pytest.mark.parametrize("at", [10, 20, 50])
def test_forked_children_are_neither_counted_nor_killed(tmp_path: Path, at: int) -> None:
    program = written(tmp_path, FORKS)
    code, out, count = run(tmp_path, 0, "program.py", "--", program)
    assert (code, out) == (0, "7\n")
    assert int(count) < 10
    assert run(tmp_path, at, "program.py", "--", program)[:2] == (0, "7\n")
