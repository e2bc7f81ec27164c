"""The CLIs that runners drive, each with its scripted service and what that says when something is wrong."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.agent.conftest import Place
from tests.stand_ins import messages_api, responses_api
from tests.stand_ins.scripted import Answer, Asked, Failure, Script, ScriptedApi, Text, ToolUse

WORDS = ("aardvark", "bumblebee", "cormorant")


@dataclass(frozen=True)
class Cli:
    """One of them. package: where npm has it. url, key: the variables that name its service and a key for it.

    shell: its tool that runs commands. limited: a limit that ends at that moment. summarized: the service's answer to
    being asked for a summary of the conversation, None for anything else.
    """

    name: str
    package: str
    api: type[ScriptedApi]
    url: str
    key: str
    shell: str
    unauthorized: Failure
    account: tuple[Failure, ...]
    overloaded: Failure
    too_long: Failure
    limited: Callable[[float], Failure]
    summarized: Callable[[Asked], Answer | None]

    @property
    def program(self) -> str | None:
        return os.environ.get(f"HIVE_TEST_{self.name.upper()}") or shutil.which(self.name)

    @property
    def engine(self) -> str | None:
        """What the program from npm starts by way of node, where it is such a one; else the program itself."""
        package = Path(self.program or "").resolve().parents[1:2]
        found = [path for folder in package for path in folder.parent.glob(f"{self.name}-*/vendor/*/bin/{self.name}")]
        return str(found[0]) if found else self.program

    @property
    def needed(self) -> pytest.MarkDecorator:
        reason = f"needs {self.name} on the PATH or in HIVE_TEST_{self.name.upper()} (npm install {self.package})"
        return pytest.mark.skipif(self.program is None and "CI" not in os.environ, reason=reason)

    def settle(self, place: Place) -> Place:
        """Make a place one where this runs, and a fake key the only login."""
        place.install(self.name, self.engine)
        # codex asks it twice at each start: a script that runs forty programs. Few containers have it.
        place.install("lsb_release", shutil.which("false"))
        # Before each conversation codex has a login shell say what it knows: a tenth of what a turn costs.
        (place.codex / "config.toml").write_text("[features]\nshell_snapshot = false\n")
        place.configure(runner=self.name)
        place.environment["CLAUDE_CODE_MAX_RETRIES"] = "1"
        place.environment[self.key] = "fake-key"
        return place

    def serve(self, place: Place, script: Script) -> AbstractContextManager[ScriptedApi]:
        """The harness and the service, for a `with` block."""
        api = self.api(script)
        return place.served_by(api, **{self.url: api.base_url})


def _claude_summary(asked: Asked) -> Answer | None:
    if "<summary>" in asked.text and "Tool calls will be rejected" in asked.text:
        return Text("<analysis>a</analysis><summary>We talked.</summary>")
    return None


CLAUDE = Cli(
    name="claude",
    package="@anthropic-ai/claude-code",
    api=messages_api.MessagesApi,
    url="ANTHROPIC_BASE_URL",
    key="ANTHROPIC_API_KEY",
    shell="Bash",
    unauthorized=messages_api.UNAUTHORIZED,
    account=messages_api.ACCOUNT,
    overloaded=messages_api.OVERLOADED,
    too_long=messages_api.PROMPT_TOO_LONG,
    limited=messages_api.rate_limited,
    summarized=_claude_summary,
)
CODEX = Cli(
    name="codex",
    package="@openai/codex",
    api=responses_api.ResponsesApi,
    url="OPENAI_BASE_URL",
    key="CODEX_API_KEY",
    shell="exec_command",
    unauthorized=responses_api.UNAUTHORIZED,
    account=responses_api.ACCOUNT,
    overloaded=responses_api.OVERLOADED,
    too_long=responses_api.PROMPT_TOO_LONG,
    limited=responses_api.rate_limited,
    summarized=lambda asked: Text("") if asked.text == "compaction_trigger" else None,
)


def answer_with_send(asked: Asked) -> Answer:
    """Have the agent send one message."""
    if asked.tool_results:
        return Text("sent")
    return ToolUse("mcp__hive__send", {"to": "operator", "body": "done"})


def remembered(asked: Asked) -> list[str]:
    """Which of the animals that the operator spoke of are in the conversation."""
    return [word for word in WORDS if word in json.dumps(asked.body)]
