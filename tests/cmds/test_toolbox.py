"""Where the agents' CLIs are found on this machine, and where a container sees them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hive_cmds import toolbox
from hive_core.settings import Settings, from_environment
from tests.hives import TestHive

TRIPLE = f"{os.uname().machine}-unknown-linux-musl"


@pytest.fixture
def npm(tmp_path: Path) -> Path:
    """What npm makes of a CLI whose native program lies in a package beside the launcher's."""
    packages = tmp_path / "node_modules" / "@openai"
    for file in (
        packages / "codex/bin/codex.js",
        packages / f"codex-linux-x64/vendor/{TRIPLE}/bin/codex",
        packages / "codex-linux-other/vendor/another-machine/bin/codex",
    ):
        file.parent.mkdir(parents=True)
        file.write_text("#!/bin/sh\n")
        file.chmod(0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/codex").symlink_to(packages / "codex/bin/codex.js")
    return packages


def settings(tmp_path: Path, program: Path) -> Settings:
    return from_environment(
        {"HIVE_HOME": f"{tmp_path}/home", "HIVE_RUN": f"{tmp_path}/run", "HIVE_CODEX": str(program)}
    )


def test_the_native_program_is_shown_with_what_lies_beside_it(tmp_path: Path, npm: Path) -> None:
    box = toolbox.inside(settings(tmp_path, tmp_path / "bin/codex"))
    assert box.environment["HIVE_CODEX"] == "/hive/codex/bin/codex"
    assert box.read_only["/hive/codex"] == npm / f"codex-linux-x64/vendor/{TRIPLE}"


def test_a_launcher_that_installs_the_native_program_within_itself_is_seen_through_too(
    tmp_path: Path, npm: Path
) -> None:
    (npm / "codex-linux-x64").rename(npm / "codex/node_modules-later")
    inner = npm / "codex/node_modules/@openai"
    inner.mkdir(parents=True)
    (npm / "codex/node_modules-later").rename(inner / "codex-linux-x64")
    found = toolbox.program(settings(tmp_path, tmp_path / "bin/codex"), "codex")
    assert found == inner / f"codex-linux-x64/vendor/{TRIPLE}/bin/codex"


def test_a_launcher_without_the_native_program_is_taken_as_it_is(tmp_path: Path, npm: Path) -> None:
    (npm / f"codex-linux-x64/vendor/{TRIPLE}/bin/codex").unlink()
    found = toolbox.program(settings(tmp_path, tmp_path / "bin/codex"), "codex")
    assert found == npm / "codex/bin/codex.js"


def test_a_plain_program_is_shown_with_its_folder_and_one_of_the_system_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    program = tmp_path / "own/codex"
    program.touch()
    box = toolbox.inside(settings(tmp_path, program))
    assert (box.environment["HIVE_CODEX"], box.read_only["/hive/codex"]) == ("/hive/codex/codex", tmp_path / "own")
    box = toolbox.inside(settings(tmp_path, Path("/usr/bin/env")))
    assert box.environment["HIVE_CODEX"] == str(Path("/usr/bin/env").resolve())
    assert "/hive/codex" not in box.read_only


def test_doctor_says_which_clis_it_found(hive: TestHive, tmp_path: Path, npm: Path) -> None:
    hive.extra |= {"HIVE_CODEX": str(tmp_path / "bin/codex"), "HIVE_CLAUDE": str(tmp_path / "absent")}
    rows = {row["check"]: row for row in hive.json("doctor")}
    assert (rows["codex"]["ok"], rows["claude"].get("ok")) == (True, None)
    found = {check: row["detail"] for check, row in rows.items()}
    assert found["codex"] == str(npm / f"codex-linux-x64/vendor/{TRIPLE}/bin/codex")
    assert found["claude"].startswith("not found: agents with the runner claude wait for it")
