"""A folder to work in is there as long as whoever works in it, and no longer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hive_core.containers.nixos.workrooms import sweep, workroom
from tests.hives import CHECKOUT

WORKS = """\
import sys; from pathlib import Path; from hive_core.containers.nixos.workrooms import workroom
with workroom(Path(sys.argv[1])) as made:
    (made / "file").write_text("x" * 1000)
    print(made, flush=True)
    sys.stdin.read()
"""


def test_it_is_empty_and_gone_afterwards_however_the_work_ends(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="full"), workroom(tmp_path) as made:
        assert list(made.iterdir()) == []
        (made / "below").mkdir()
        (made / "below/file").touch()
        raise OSError("full")
    assert not made.exists()


def test_what_a_killed_process_left_is_cleared_and_what_a_living_one_works_in_stays(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", WORKS, str(tmp_path)]
    with subprocess.Popen(argv, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        theirs = Path(process.stdout.readline().strip())
        assert sweep(tmp_path, dry=False) == 0
        with workroom(tmp_path):
            assert (theirs / "file").exists()
        process.kill()
        process.wait()
    assert sweep(tmp_path, dry=True) >= 1000
    assert theirs.exists()
    with workroom(tmp_path) as ours:
        assert not theirs.exists()
        assert ours.exists()
    assert sweep(tmp_path, dry=False) == 0
