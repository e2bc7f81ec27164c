"""The page's API as a program tries it that knows how servers fail: whatever is asked, it is answered in a sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hives import TestHive
from tests.status_page.near import served_near
from tests.status_page.openapi import document
from tests.status_page.routes import looked_at

pytest.importorskip("schemathesis", reason="needs schemathesis (pip install schemathesis)")
pytestmark = pytest.mark.remembered
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_whatever_is_asked_is_answered_and_nothing_fails(hive: TestHive, tmp_path: Path) -> None:
    hive.spawn("coder")
    hive.run("request-spawn", "worker", "--description", "x")
    hive.run("ask", "which?")
    # Of a route that looks for its arguments in another way none would be known, and none tried.
    assert looked_at("/api/journal/<name>") == ["unit", "lines"]
    assert looked_at("/spawn") == ["name", "description"]
    (tmp_path / "openapi.json").write_text(json.dumps(document()))
    with served_near(hive) as near:
        argv = [Path(sys.executable).with_name("schemathesis"), "run", "openapi.json"]
        argv += [f"--url=http://127.0.0.1:{near.port}", f"--header=Authorization: Bearer {near.key()}"]
        argv += [f"--checks={CHECKS}", "--phases=coverage,fuzzing", "--seed=1", "--max-examples=5"]
        argv += ["--generation-database=none", "--warnings=off", "--no-color"]
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, cwd=tmp_path, env={"PATH": os.environ["PATH"]}
        )
        assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
        assert near.client.ask("GET", "/api/state")[0] == 200
