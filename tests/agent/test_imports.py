"""What the agent's side may load: the standard library and itself."""

from __future__ import annotations

import subprocess
import sys

from tests.agent.conftest import ROOT


def test_the_harness_runs_on_the_standard_library_alone() -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); "
        "import hive_agent.run, hive_agent.runners.claude, hive_agent.runners.codex, hive_agent.runners.exec; "
        "known = sys.stdlib_module_names; "
        "print(sorted({n.partition('.')[0] for n in sys.modules} - set(known) - {'__main__'}))"
    )
    argv = [sys.executable, "-I", "-S", "-c", program, str(ROOT)]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == "['hive_agent']\n"


def test_what_only_a_page_that_is_opened_needs_is_not_loaded() -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import hive_agent.run, hive_agent.page.serving; "
        "print(sorted({'http.server', 'ssl', 'email', 'hashlib', 'hive_agent.page.handling'} & set(sys.modules)))"
    )
    argv = [sys.executable, "-I", "-S", "-c", program, str(ROOT)]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_anything_but_run_is_told_how_to_call_it() -> None:
    argv = [sys.executable, "-I", str(ROOT / "hive_agent"), "walk"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage:")
