"""The configuration that an agent runs by."""

from __future__ import annotations

from dataclasses import dataclass

from hive_core.arguments import AgentName
from hive_core.context import Hive
from hive_core.operation import OPERATOR, operation
from hive_core.text import indented
from hive_fleet.agents import table

# What a configuration consists of, beside what these name.
FILES = ("agent.toml", "agent.nix")


@dataclass(frozen=True, slots=True)
class DeployedFile:
    """A file of a configuration."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class DeployedConfiguration:
    """What an agent runs by: the files of the revision that was deployed last. sha: that revision's."""

    name: str
    sha: str
    files: list[DeployedFile]

    def text(self) -> str:
        shown = (f"{file.path}:\n{indented(file.text.rstrip())}" for file in self.files)
        return "\n\n".join([f"{self.name} at {self.sha[:12]}", *shown])


@operation(callers=OPERATOR, group="Seeing", reads=True)
def configuration(hive: Hive, name: AgentName) -> DeployedConfiguration:
    """Show the configuration that an agent runs by, as it was deployed last.

    name: which agent
    """
    from hive_core.git.repository import Repository

    with hive.store.read() as db:
        table.one(db, name)
    repository = Repository(hive.applied_path(name))
    sha = repository.main()
    found = {path: repository.read(sha, path) for path in FILES}
    files = [DeployedFile(path, data.decode(errors="replace")) for path, data in found.items() if data is not None]
    return DeployedConfiguration(name, sha, files)
