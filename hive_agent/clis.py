"""The CLIs that can think for an agent: one table of all that hive and the harness need to know of each.

What a CLI's login looks like, how it is logged in and which runner drives it follow from its entry here; a further one
is an entry and the file of its runner.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from hive_agent.own_settings import Own, of_claude, of_codex, of_none

Place = tuple[str, ...]


class Token(NamedTuple):
    """Where a login's token is, as keys of nested objects: in `place`. expires: where unix milliseconds say until when
    it is good; a token that is a JWT says so itself. refresh: where the token is that renews it.
    """

    place: Place
    expires: Place = ()
    refresh: Place = ()


class Credentials(NamedTuple):
    """What a CLI is let in by at its service: a login of its own, or something else in place of one.

    variable: names its login folder to it. folder: what that folder is called, on the machine and in the container.
    file: where the login is in there. tokens: any one of which is a login. keys: the environment variables that hold a
    key or a token. switches: those that choose a cloud provider, where they say yes. settings: the CLI's own settings
    in there, "" where they set nothing in place of a login; own: reads from those what they set.
    """

    variable: str
    folder: str
    file: str
    tokens: tuple[Token, ...]
    keys: tuple[str, ...]
    switches: tuple[str, ...] = ()
    settings: str = ""
    own: Callable[[Mapping[str, Any]], Own] = of_none


class LoginProgram(NamedTuple):
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


class Cli(NamedTuple):
    """One CLI. name: its program on the PATH, and the runner's word in agent.toml. package: what npm calls it.
    runner: `module:class`.
    """

    name: str
    package: str
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
        package="@anthropic-ai/claude-code",
        runner="hive_agent.runners.claude:ClaudeRunner",
        # https://docs.claude.com/en/docs/claude-code/settings (environment variables)
        credentials=Credentials(
            variable="CLAUDE_CONFIG_DIR",
            folder="claude",
            file=".credentials.json",
            tokens=(
                Token(
                    ("claudeAiOauth", "accessToken"),
                    expires=("claudeAiOauth", "expiresAt"),
                    refresh=("claudeAiOauth", "refreshToken"),
                ),
            ),
            settings="settings.json",
            own=of_claude,
            keys=("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"),
            switches=(
                "CLAUDE_CODE_USE_BEDROCK",
                "CLAUDE_CODE_USE_VERTEX",
                "CLAUDE_CODE_USE_FOUNDRY",
                "CLAUDE_CODE_USE_ANTHROPIC_AWS",
                "CLAUDE_CODE_USE_MANTLE",
            ),
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
        package="@openai/codex",
        runner="hive_agent.runners.codex:CodexRunner",
        # https://developers.openai.com/codex/auth; which of the two a login has depends on how it was made.
        credentials=Credentials(
            variable="CODEX_HOME",
            folder="codex",
            file="auth.json",
            tokens=(
                Token(("tokens", "access_token"), refresh=("tokens", "refresh_token")),
                Token(("OPENAI_API_KEY",)),
            ),
            settings="config.toml",
            own=of_codex,
            keys=("CODEX_API_KEY",),
        ),
        # codex 0.169: the link and the code to give there are all it shows; it waits for that, 15 minutes at most.
        login=LoginProgram(arguments=("login", "--device-auth"), hosts=("auth.openai.com",), takes_code=False),
    ),
)

CLIS: Mapping[str, Cli] = {cli.name: cli for cli in _ENTRIES}
