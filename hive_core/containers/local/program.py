"""The program that a configuration stands for, and whether it can be there."""

from __future__ import annotations

import os
from pathlib import Path

from hive_agent.bounded_toml import MOST_TOML_BYTES
from hive_core.containers.config import AgentConfig, parse
from hive_core.containers.local.sandbox import defaults
from hive_core.errors import BuildFailed
from hive_core.process import NIXOS

# Where a container sees the programs of the machine.
_SYSTEM = (*map(Path, ("/usr", "/bin", "/sbin", "/opt", "/nix/store")), NIXOS)


def read_config(generation: Path) -> AgentConfig:
    """The checked agent.toml of an exported configuration. Raises BuildFailed."""
    path = generation / "agent.toml"
    if not path.is_file():
        raise BuildFailed("agent.toml is missing.", "A configuration has an agent.toml at its top.")
    with path.open("rb") as file:
        data = file.read(MOST_TOML_BYTES + 1)
    try:
        return parse(data.decode())
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BuildFailed(f"agent.toml, line {line}: this is not UTF-8.", "Save the file as UTF-8.") from error


def program(config: AgentConfig, harness: tuple[str, ...]) -> tuple[str, ...]:
    """The argv that a configuration stands for: its own command, or the turn loop that runs the runner."""
    return config.command if config.runner == "command" else harness


def check_program(config: AgentConfig, generation: Path) -> None:
    """Raise BuildFailed for a program that is certainly not there; one in /state can only be known at the start."""
    if not config.command:
        return
    name = config.command[0]
    # Only what a container sees is looked at: an answer about any other file would be news of the machine.
    if name.startswith("/config/"):
        own = Path(os.path.normpath(generation / name.removeprefix("/config/")))
        if not own.is_relative_to(generation) or not own.is_file() or not os.access(own, os.X_OK):
            raise BuildFailed(f"agent.toml: command names {name}, which is no executable file of the configuration.")
        return
    path = config.environment.get("PATH", defaults()["PATH"]).split(":")
    system = [folder for folder in path if _of_the_system(folder)]
    if "/" in name or len(system) < len(path):
        return
    if not any(os.access(f"{folder}/{name}", os.X_OK) and Path(folder, name).is_file() for folder in system):
        raise BuildFailed(
            f"agent.toml: the program {name} of command is not installed on this machine ({':'.join(path)}).",
            "Install it, or give its path.",
        )


def _of_the_system(folder: str) -> bool:
    return any(Path(os.path.normpath(folder)).is_relative_to(system) for system in _SYSTEM)
