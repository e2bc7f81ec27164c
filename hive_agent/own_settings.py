"""What a CLI's own settings, in its login folder, set in place of a login. The agent may have written them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

Table = Mapping[str, Any]

# What a person is shown of a name that the agent has chosen.
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)


class Own(NamedTuple):
    """What the settings set.

    environment: variables for the CLI. helper: the setting that names a program which prints a key, "" without one.
    provider: the service that is used in place of the CLI's own, "" for that. key: the variable that this provider
    takes its key from, "" where it needs none.
    """

    environment: tuple[tuple[str, str], ...] = ()
    helper: str = ""
    provider: str = ""
    key: str = ""


def of_claude(settings: Table) -> Own:
    """Of settings.json: https://docs.claude.com/en/docs/claude-code/settings (`env`, `apiKeyHelper`)."""
    environment = _table(settings.get("env"))
    given = tuple((name, value) for name, value in environment.items() if isinstance(value, str))
    return Own(environment=given, helper="apiKeyHelper" if _text(settings.get("apiKeyHelper")) else "")


def of_codex(settings: Table) -> Own:
    """Of config.toml: https://developers.openai.com/codex/config-reference (`model_provider`, `profile`).

    A provider that is not declared is one of the CLI's own (ollama, lmstudio), and has no login with OpenAI either.
    """
    profile = _table(_table(settings.get("profiles")).get(_text(settings.get("profile"))))
    name = _text(profile.get("model_provider")) or _text(settings.get("model_provider"))
    provider = _table(_table(settings.get("model_providers")).get(name))
    if name in ("", "openai") or provider.get("requires_openai_auth") is True:
        return Own()
    return Own(provider=_shown(name), key=_shown(_text(provider.get("env_key"))))


def of_none(_settings: Table) -> Own:
    """Of a CLI that is let in by its login and by keys alone."""
    return Own()


def _shown(name: str) -> str:
    return name if not name or _NAME.fullmatch(name) else "of an odd name"


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _table(value: object) -> Table:
    return value if isinstance(value, dict) else {}
