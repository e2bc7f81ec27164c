"""The environment and agent.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive_agent.errors import AgentError
from hive_agent.settings import from_environment, read_configuration


def test_without_a_file_the_defaults_count(tmp_path: Path) -> None:
    settings = from_environment({"HIVE_CONFIG": str(tmp_path / "absent")})
    assert settings.configuration.runner == "claude"
    assert settings.pronouns == "she/her"
    assert str(settings.socket) == "/run/hive/agent.sock"


def test_the_configurations_environment_is_added_but_does_not_move_the_login(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('[environment]\nCLAUDE_CONFIG_DIR = "/elsewhere"\nNUMBER = 7\n')
    settings = from_environment({"HIVE_CONFIG": str(file), "HOME": "/h"})
    assert settings.environment["NUMBER"] == "7"
    assert settings.environment["HOME"] == "/h"
    assert settings.environment["CLAUDE_CONFIG_DIR"] == "/claude"


def test_a_byte_order_mark_at_the_beginning_is_no_part_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('runner = "exec"\r\n', encoding="utf-8-sig")
    assert read_configuration(file).runner == "exec"


@pytest.mark.parametrize("text", ["runner = 7", "runner = ", "mcp_servers = []"])
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(text)
    with pytest.raises(AgentError, match=r"agent\.toml"):
        read_configuration(file)


def test_a_retry_that_is_no_number_is_told(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="HIVE_RETRY_SECONDS"):
        from_environment({"HIVE_CONFIG": str(tmp_path / "absent"), "HIVE_RETRY_SECONDS": "soon"})
