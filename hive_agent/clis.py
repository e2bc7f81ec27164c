"""The CLIs that can think for an agent: one table of all that hive and the harness need to know of each.

What a CLI's login looks like, how it is logged in and which runner drives it follow from its entry here; a further one
is an entry and the file of its runner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where a CLI keeps its login.

    variable: names its login folder to it. folder: what that folder is called, on the machine and in the container.
    file: where the login is in there. tokens: the places in that file, as keys of nested objects, any one of which
    holds a text when there is a login. keys: the environment variables that it takes instead.
    """

    variable: str
    folder: str
    file: str
    tokens: tuple[tuple[str, ...], ...]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LoginProgram:
    """How a human logs a CLI in by its own program.

    arguments: its own login. hosts: where the links of its service lead, and nowhere else. prompt: what it writes,
    without an end of line, before it reads the code. again: how a line begins that asks for another code instead of
    the one that was given. takes_code: whether a human brings it one; else the link, and what is written after it, is
    all there is to do.
    """

    arguments: tuple[str, ...]
    hosts: tuple[str, ...]
    prompt: str = ""
    again: str = ""
    takes_code: bool = True


@dataclass(frozen=True, slots=True)
class Cli:
    """One CLI. name: its program on the PATH, and the runner's word in agent.toml. runner: `module:class`."""

    name: str
    runner: str
    credentials: Credentials
    login: LoginProgram

    @property
    def variable(self) -> str:
        """The environment variable that says where its program is: to hive by its user, to the harness by hive."""
        return f"HIVE_{self.name.upper()}"


_ENTRIES = (
    Cli(
        name="claude",
        runner="hive_agent.runners.claude:ClaudeRunner",
        # https://docs.claude.com/en/docs/claude-code/settings (environment variables)
        credentials=Credentials(
            variable="CLAUDE_CONFIG_DIR",
            folder="claude",
            file=".credentials.json",
            tokens=(("claudeAiOauth", "accessToken"),),
            keys=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
        ),
        # What claude 2.1.197 does, tried: `auth login` needs no terminal, prints a link to claude.com and reads the
        # code as a line. To a line that is no code it says so and reads on, at the end of its input it waits for ever.
        # With a code that is refused it ends with 1, with one that is taken it writes the credentials and ends with 0.
        login=LoginProgram(
            arguments=("auth", "login"),
            hosts=("claude.com", "claude.ai", "platform.claude.com", "console.anthropic.com"),
            prompt="Paste code here if prompted > ",
            again="Invalid code",
        ),
    ),
    Cli(
        name="codex",
        runner="hive_agent.runners.codex:CodexRunner",
        # https://developers.openai.com/codex/auth; which of the two a login has depends on how it was made.
        credentials=Credentials(
            variable="CODEX_HOME",
            folder="codex",
            file="auth.json",
            tokens=(("tokens", "access_token"), ("OPENAI_API_KEY",)),
            keys=("CODEX_API_KEY",),
        ),
        # codex 0.169: the link and the code to give there are all it shows; it waits for that, 15 minutes at most.
        login=LoginProgram(arguments=("login", "--device-auth"), hosts=("auth.openai.com",), takes_code=False),
    ),
)

CLIS: Mapping[str, Cli] = {cli.name: cli for cli in _ENTRIES}
