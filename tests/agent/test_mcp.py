"""The bridge from the CLI's standard input and output to the gate."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.agent.conftest import ROOT
from tests.stand_ins.gate import Gate


def bridge(path: Path) -> subprocess.Popen[str]:
    argv = [sys.executable, "-I", str(ROOT / "hive_agent" / "mcp.py")]
    return subprocess.Popen(
        argv, env={"HIVE_SOCKET": str(path)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def ask(process: subprocess.Popen[str], **request: object) -> dict[str, object]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, **request}) + "\n")
    process.stdin.flush()
    answer: dict[str, object] = json.loads(process.stdout.readline())
    return answer


def test_a_path_that_is_longer_than_an_address_leads_to_the_gate(gate: Gate, folder: Path) -> None:
    place = folder / ("long" * 40) / "agent.sock"
    place.parent.mkdir()
    gate.path.rename(place)
    with bridge(place) as process:
        assert "tools" in str(ask(process, method="tools/list"))
        assert process.stdin is not None
        process.stdin.close()


def test_lines_pass_both_ways_large_ones_too(gate: Gate) -> None:
    with bridge(gate.path) as process:
        assert "tools" in str(ask(process, method="tools/list"))
        body = "x" * 1_000_000
        ask(process, method="tools/call", params={"name": "send", "arguments": {"to": "operator", "body": body}})
        assert gate.sent == [("operator", body)]
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0


def test_it_ends_when_the_gate_does(gate: Gate) -> None:
    with bridge(gate.path) as process:
        ask(process, method="tools/list")
        gate.shut()
        assert process.wait(30) == 0


def test_a_gate_that_is_restarting_is_waited_for(gate: Gate) -> None:
    gate.shut()
    with bridge(gate.path) as process:
        gate.open()
        assert "tools" in str(ask(process, method="tools/list"))
        assert process.stdin is not None
        process.stdin.close()


def test_it_loads_nothing_but_the_standard_library() -> None:
    program = "import sys, runpy; runpy.run_path(sys.argv[1]); print(any('hive' in name for name in sys.modules))"
    argv = [sys.executable, "-I", "-c", program, str(ROOT / "hive_agent" / "mcp.py")]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == "False\n"
