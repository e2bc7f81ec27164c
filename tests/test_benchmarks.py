"""The benchmarks run: each once through, printing its tables."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hives import CHECKOUT
from tests.needs import needs_nix, requires

_libraries = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("huey", "redis")) and "CI" not in os.environ,
    reason="needs huey and redis (python3 -m hive_core.environment bench)",
)
_servers = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("gevent", "aiohttp")) and "CI" not in os.environ,
    reason="needs gevent and aiohttp (python3 -m hive_core.environment bench)",
)
_claude = pytest.mark.skipif(
    not (os.environ.get("HIVE_TEST_CLAUDE") or shutil.which("claude")) and "CI" not in os.environ,
    reason="needs claude on the PATH or in HIVE_TEST_CLAUDE (npm install @anthropic-ai/claude-code)",
)

# Script -> what its tables must show.
ROWS = [
    pytest.param("start_up", "supervisorctl status (20 programs)", "hive list"),
    pytest.param("crash_seen", "supervisord, event listener", "hive events --follow"),
    pytest.param("verdicts", "supervisord, event listener", "hive, all ends"),
    pytest.param("watching", "supervisord", "hive up"),
    pytest.param(
        "messages", "Redis BLPOP", "hive, agent's socket", marks=[requires("redis-server"), _libraries]
    ),
    pytest.param(
        "neighbours", "alone", "... as a tool", marks=[requires("redis-server"), _libraries]
    ),
    pytest.param("turns", "claude -p, a process per turn", "hive, the process is kept", marks=_claude),
    pytest.param("deploys", "bwrap true", "hive start, as a command", marks=requires("bwrap")),
    pytest.param("page", "gevent", "hive up, and 50 that read nothing", marks=_servers),
    pytest.param("nixos_update", "a loop: lock, build, switch", "hive meta-update hive", marks=needs_nix),
    pytest.param("growth", "100 messages", "2000 messages"),
    pytest.param("upkeep", "delete and vacuum, by sqlite3", "hive vacuum"),
]  # fmt: skip


# What makes one a small one.
_SMALLER = {
    "growth": ["--messages", "2000"],
    "neighbours": ["--waiting", "50", "--connections", "3"],
    "watching": ["--agents", "3"],
    "page": ["--tabs", "5"],
    "upkeep": ["--messages", "2000", "--agents", "2"],
    "nixos_update": ["--agents", "2"],
}


@pytest.mark.parametrize(("script", "peer", "ours"), ROWS)
def test_a_benchmark_prints_its_tables_with_a_peer_beside_hive(
    script: str, peer: str, ours: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # In this process, which has imported already what each of them imports.
    monkeypatch.setattr(sys, "argv", [script, "--rounds", "1", "--json", *_SMALLER.get(script, [])])
    importlib.import_module(f"benchmarks.{script}").main()
    rows = [row for table in json.loads(capsys.readouterr().out) for row in table["rows"]]
    assert {peer, ours} <= {row["name"] for row in rows}
    assert all(row["median"] > 0 and row["samples"] > 0 for row in rows)


def test_each_is_a_script_that_finds_what_it_imports_from_anywhere(tmp_path: Path) -> None:
    for script in (row.values[0] for row in ROWS):
        text = (CHECKOUT / "benchmarks" / f"{script}.py").read_text()
        found = text.index("sys.path.insert(0, str(Path(__file__).resolve().parent.parent))\n")
        assert found < min(at for at in (text.find("\nfrom benchmarks"), text.find("\nfrom hive")) if at > 0)
        assert text.endswith('\nif __name__ == "__main__":\n    main()\n')
    argv = [sys.executable, str(CHECKOUT / "benchmarks" / "growth.py"), "--help"]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=tmp_path, env={}, check=True)
    assert "--rounds" in done.stdout


def test_every_benchmark_is_run_and_told_of() -> None:
    page = (CHECKOUT / "benchmarks" / "README.md").read_text()
    scripts = {path.stem for path in (CHECKOUT / "benchmarks").glob("*.py") if "def main" in path.read_text()}
    # It is run by another, and measures nothing by itself.
    scripts.remove("noted_hive")
    assert scripts == {row.values[0] for row in ROWS}
    assert not [name for name in scripts if f"`{name}.py`" not in page]
