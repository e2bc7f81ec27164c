"""Which sandbox a container is started in: found out once, remembered, and found out anew when anything has changed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hive_core.containers.local.choice import choose, forget
from hive_core.containers.local.probe import probe
from hive_core.containers.local.sandbox import Sandbox
from tests.hives import PLAIN, TestHive
from tests.needs import requires

pytestmark = requires("bwrap")


def test_a_start_tries_no_sandbox_again(hive: TestHive) -> None:
    hive.configure("coder", PLAIN)
    memory = hive.home / "cache" / "sandbox.json"
    # What a hive of the tests is given to know.
    memory.unlink()
    hive.run("spawn", "coder")
    found = json.loads(memory.read_text())
    assert found["sandbox"] == probe().value
    # Another one than a try would find: it is what the start goes by.
    memory.write_text(json.dumps({**found, "sandbox": Sandbox.UNSHARE.value}))
    hive.run("restart", "coder")
    run = json.loads((hive.home / "containers" / "coder" / "run.json").read_text())
    assert run["sandbox"] == Sandbox.UNSHARE.value


def test_a_start_that_fails_forgets_it(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.run("approve", str(hive.request("coder", 'runner = "command"\ncommand = ["/state/nothing"]\n')), code=1)
    # The old configuration was started again after that, and the sandbox found out for it.
    memory = hive.home / "cache" / "sandbox.json"
    found = json.loads(memory.read_text())
    memory.write_text(json.dumps({**found, "sandbox": Sandbox.UNSHARE.value}))
    hive.run("approve", str(hive.request("coder", 'runner = "command"\ncommand = ["/state/nothing"]\n# 2\n')), code=1)
    assert json.loads(memory.read_text()) == found
    assert hive.agent("coder")["running"]


@pytest.mark.parametrize("field", [0, 1, 2], ids=["boot", "user", "programs"])
def test_on_another_machine_it_is_found_out_anew(tmp_path: Path, field: int) -> None:
    memory = tmp_path / "sandbox.json"
    assert choose(memory) is probe()
    found = json.loads(memory.read_text())
    found["machine"][field] = "another"
    memory.write_text(json.dumps({**found, "sandbox": Sandbox.NONE.value}))
    assert choose(memory) is probe()


def test_without_a_memory_that_can_be_read_or_written_it_is_found_out_each_time(tmp_path: Path) -> None:
    memory = tmp_path / "sandbox.json"
    memory.write_text("{")
    assert choose(memory) is probe()
    forget(memory)
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    assert choose(in_the_way / "sandbox.json") is probe()
    assert os.listdir(tmp_path) == ["file"]


def test_a_weaker_one_is_not_remembered_where_the_stronger_may_have_failed_in_a_bad_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert choose(tmp_path / "sandbox.json") is not Sandbox.BWRAP
    assert not (tmp_path / "sandbox.json").exists()
