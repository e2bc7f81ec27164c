"""The runners' programs that a human has to log in: a table, and all that differs from one to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoginProgram:
    """How a runner's program is logged in.

    variable: what names its path in the environment; name: what it is called on the PATH. arguments: its own login.
    hosts: where the links of its service lead, and nowhere else. prompt: what it writes, without an end of line,
    before it reads the code. again: how a line begins that asks for another code instead of the one that was given.
    takes_code: whether a human brings it one; else the link, and what is written after it, is all there is to do.
    """

    variable: str
    name: str
    arguments: tuple[str, ...]
    hosts: tuple[str, ...]
    prompt: str = ""
    again: str = ""
    takes_code: bool = True


# By runner. What claude 2.1.197 does, tried: `auth login` needs no terminal, prints a link to claude.com and reads the
# code as a line. To a line that is no code it says so and reads on, at the end of its input it waits for ever; with a
# code that is refused it ends with 1, with one that is taken it writes the credentials and ends with 0.
LOGIN_PROGRAMS: Mapping[str, LoginProgram] = {
    "claude": LoginProgram(
        variable="HIVE_CLAUDE",
        name="claude",
        arguments=("auth", "login"),
        hosts=("claude.com", "claude.ai", "platform.claude.com", "console.anthropic.com"),
        prompt="Paste code here if prompted > ",
        again="Invalid code",
    ),
    # codex 0.169: the link and the code to give there are all it shows; it waits for that, 15 minutes at most.
    "codex": LoginProgram(
        variable="HIVE_CODEX",
        name="codex",
        arguments=("login", "--device-auth"),
        hosts=("auth.openai.com",),
        takes_code=False,
    ),
}
