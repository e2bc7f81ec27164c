"""Runners: the programs that think. Which one an agent has is a word in its configuration."""

from __future__ import annotations

from hive_agent.errors import AgentError
from hive_agent.runners.base import Runner
from hive_agent.settings import Settings

RUNNERS = ("claude", "codex", "exec")


def make(settings: Settings) -> Runner:
    """Make the configured runner. Raises AgentError for one that is not known."""
    name = settings.configuration.runner
    if name == "claude":
        from hive_agent.runners.claude import ClaudeRunner

        return ClaudeRunner(settings)
    if name == "codex":
        from hive_agent.runners.codex import CodexRunner

        return CodexRunner(settings)
    if name == "exec":
        from hive_agent.runners.exec import ExecRunner

        return ExecRunner(settings)
    raise AgentError(f"The runner {name!r} is not known.", f"`runner` in agent.toml is one of: {', '.join(RUNNERS)}.")
