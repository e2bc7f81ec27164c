"""The program that a configuration stands for: one that is certainly not there is refused, and no other is looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive_core.containers.config import AgentConfig
from hive_core.containers.local.program import check_program, program, read_config
from hive_core.errors import BuildFailed


@pytest.fixture
def generation(tmp_path: Path) -> Path:
    """A configuration with a program of its own, and a file that is none; beside it, somebody's secret."""
    made = tmp_path / "generation"
    (made / "bin").mkdir(parents=True)
    (made / "bin" / "run").write_text("#!/bin/sh\n")
    (made / "bin" / "run").chmod(0o755)
    (made / "bin" / "notes").write_text("x")
    (made / "bin" / "notes").chmod(0o644)
    (tmp_path / "secret").write_text("x")
    (tmp_path / "secret").chmod(0o755)
    return made


def check(generation: Path, *command: str, **environment: str) -> None:
    check_program(AgentConfig(command=command, environment=environment), generation)


@pytest.mark.parametrize(
    "name", ["sh", "/config/bin/run", "/config/bin/../bin/run", "/state/later", "/usr/bin/nowhere"]
)
def test_what_is_there_or_can_only_be_known_at_the_start_is_taken(generation: Path, name: str) -> None:
    check(generation, name)


@pytest.mark.parametrize("name", ["/config/bin/nowhere", "/config/../secret", "/config/", "/config/bin"])
def test_what_is_no_executable_of_the_configuration_is_refused(generation: Path, name: str) -> None:
    with pytest.raises(BuildFailed, match="which is no executable file of the configuration"):
        check(generation, name)


def test_a_program_that_is_not_installed_is_refused_with_where_it_was_looked_for(generation: Path) -> None:
    with pytest.raises(BuildFailed, match="the program nowhere-at-all of command is not installed") as refused:
        check(generation, "nowhere-at-all", PATH="/usr/bin:/bin")
    assert "(/usr/bin:/bin)" in refused.value.message


@pytest.mark.parametrize("path", ["/state/bin:/usr/bin", "/config/bin", "/usr/../root/bin", "relative"])
def test_where_something_else_is_on_its_path_nothing_is_said_of_it(generation: Path, path: str) -> None:
    check(generation, "nowhere-at-all", PATH=path)


def test_the_runner_decides_what_is_started() -> None:
    harness = ("python3", "/hive/hive_agent", "run")
    assert program(AgentConfig(command=("sleep", "1")), harness) == ("sleep", "1")
    assert program(AgentConfig(runner="claude"), harness) == harness
    assert program(AgentConfig(runner="exec", command=("think",)), harness) == harness


def test_a_configuration_is_read_from_its_file(generation: Path) -> None:
    with pytest.raises(BuildFailed, match=r"agent\.toml is missing"):
        read_config(generation)
    (generation / "agent.toml").write_text("command = ['true']\n")
    assert read_config(generation).command == ("true",)
    (generation / "agent.toml").write_bytes(b"command = ['true']\n# \xff\n")
    with pytest.raises(BuildFailed, match=r"agent\.toml, line 2: this is not UTF-8"):
        read_config(generation)
    (generation / "agent.toml").write_bytes(b"#" * 10_000_000)
    with pytest.raises(BuildFailed, match="is larger than 64 KiB"):
        read_config(generation)
