"""Runners: the programs that think. Which one an agent has is a word in its configuration."""

from __future__ import annotations

import importlib

from hive_agent.clis import CLIS
from hive_agent.errors import AgentError
from hive_agent.runners.base import Runner
from hive_agent.settings import HarnessSettings

# Runner -> `module:class`: the CLIs', and any program for each turn. Only the configured one is imported.
_PLACES = {**{name: cli.runner for name, cli in CLIS.items()}, "exec": "hive_agent.runners.exec:ExecRunner"}


def make(settings: HarnessSettings) -> Runner:
    """Make the configured runner. Raises AgentError for one that is not known."""
    name = settings.configuration.runner
    if name not in _PLACES:
        raise AgentError(
            f"The runner {name!r} is not known.", f"`runner` in agent.toml is one of: {', '.join(_PLACES)}."
        )
    module, _, maker = _PLACES[name].partition(":")
    runner: Runner = getattr(importlib.import_module(module), maker)(settings)
    return runner
