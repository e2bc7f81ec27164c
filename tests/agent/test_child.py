"""How a program is found, and how its end is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hive_agent.errors import AgentError
from hive_agent.runners.child import find, how_it_ended
from tests.needs import needs_root
from tests.users import USER, become, open_folder, runnable

FIND = """
import sys
sys.path.insert(0, sys.argv[1])
from hive_agent.errors import AgentError
from hive_agent.runners.child import find
try:
    print(find(sys.argv[2], {}))
except AgentError as error:
    print(error.message)
"""


def test_a_path_of_what_is_no_program_is_told_as_one_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("x")
    (tmp_path / "loop").symlink_to("loop")
    paths = [str(tmp_path / name) for name in ("none", "text", "text/within", "loop", "x" * 300, "x\0y")]
    for path in (*paths, str(tmp_path), "/dev/null"):
        with pytest.raises(AgentError, match="is not on the PATH of this container"):
            find(path, {})
    assert find(sys.executable, {}) == sys.executable


@needs_root
def test_a_program_in_a_folder_that_is_closed_to_the_agent_is_told_likewise() -> None:
    python, checkout = runnable(USER)
    with open_folder() as folder:
        program = folder / "closed" / "program"
        program.parent.mkdir(mode=0o700)
        program.symlink_to("/bin/true")
        argv = [*become(USER), python, "-I", "-c", FIND, str(checkout), str(program)]
        done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout == f"{program} is not on the PATH of this container.\n"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (0, "x ended with code 0"),
        (3, "x ended with code 3"),
        (-9, "x was killed by SIGKILL"),
        (-40, "x was killed by signal 40"),
    ],
)
def test_an_end_is_told_by_its_code_or_its_signal(code: int, told: str) -> None:
    assert how_it_ended("x", code) == told
