"""What every runner shares that works by a process of its own: one child at a time, and a way to end it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from hive_agent.runners.child import Child
from hive_agent.settings import HarnessSettings
from hive_agent.turns import wording
from hive_agent.waits import Poke

# How long a program that was asked to end its turn may take before it is killed.
CANCEL_SECONDS = 3.0


class ProcessRunner:
    """The part of a Runner that is the same for all of them. environment: what the program is given."""

    def __init__(self, settings: HarnessSettings, environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._environment = environment
        self._system = wording.system_prompt(settings.label, settings.pronouns)
        self._poke = Poke()
        self._child: Child | None = None

    def cancel(self) -> None:
        self._poke.set()

    def close(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    def _spawn(self, argv: list[str], **more: str) -> Child:
        self._child = Child(argv, {**self._environment, **more}, self._settings.state, self._poke)
        return self._child


def bridge(settings: HarnessSettings) -> dict[str, object]:
    """The MCP server of the gate's tools: `command`, `args` and `env`, as every CLI spells it."""
    program = Path(__file__).resolve().parent.parent / "mcp.py"
    return {"command": sys.executable, "args": ["-I", str(program)], "env": {"HIVE_SOCKET": str(settings.socket)}}
