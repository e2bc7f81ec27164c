"""Consequences: what a new configuration lets an agent reach, run or use up, beside the one that is deployed."""

from __future__ import annotations

import enum
import math
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hive_agent.clis import CLIS
from hive_core.containers.config import RESTARTS, AgentConfig, Limits, McpServer

# Characters of a command line that a sentence has room for.
LONGEST_COMMAND = 160
_UNITS = ("", "K", "M", "G", "T")


class Weight(enum.StrEnum):
    """How grave a consequence is."""

    WIDENS = "widens"
    NARROWS = "narrows"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True)
class Consequence:
    """One thing that a request changes for the agent.

    topic: the key of agent.toml that it comes from, or the path of the Nix file. weight: widens (it may reach, run or
    use up more), narrows, or neutral. text: a sentence's worth about the agent, without its name; names
    and values in it are the agent's.
    """

    topic: str
    weight: Weight
    text: str


def consequences(before: AgentConfig | None, after: AgentConfig) -> list[Consequence]:
    """What changes from one checked configuration to another, the gravest first; with None before, what is new.

    Values of the environment are never among it: they may be keys.
    """
    first = before if before is not None else AgentConfig(allowed_recipients=())
    found = [
        *_program(before, after),
        *_model(first, after),
        *_environment("environment", first.environment, after.environment, "is given"),
        *_servers(first.mcp_servers, after.mcp_servers),
        *_recipients(frozenset(first.allowed_recipients), frozenset(after.allowed_recipients)),
        *_limits(first.limits, after.limits),
        *_restart(first.restart, after.restart),
        *_settling(first.settle_seconds, after.settle_seconds),
        *_stuck(first.stuck_minutes, after.stuck_minutes),
    ]
    return gravest_first(found)


def gravest_first(found: Iterable[Consequence]) -> list[Consequence]:
    """In the order in which they are told; those of one weight stay as they are."""
    order = list(Weight)
    return sorted(found, key=lambda consequence: order.index(consequence.weight))


def _program(before: AgentConfig | None, after: AgentConfig) -> Iterator[Consequence]:
    if before is not None and (before.runner, before.command) == (after.runner, after.command):
        return
    does = _does(after)
    if before is None:
        yield Consequence("runner", Weight.NEUTRAL, does)
        return
    # A program without a model does what it was written for; a model does what it is told by whoever writes to it.
    thinks = before.runner not in CLIS and after.runner in CLIS
    yield Consequence("runner", Weight.WIDENS if thinks else Weight.NEUTRAL, f"{does}, no longer {_short(before)}")


def _does(config: AgentConfig) -> str:
    if config.runner in CLIS:
        return f"thinks with {config.runner}, which runs what it decides"
    each = " for each message" if config.runner == "exec" else ""
    return f"runs `{_line(config.command)}`{each}"


def _short(config: AgentConfig) -> str:
    return config.runner if config.runner in CLIS else f"`{_line(config.command)}`"


def _line(words: tuple[str, ...]) -> str:
    line = shlex.join(words)
    return line if len(line) <= LONGEST_COMMAND else f"{line[: LONGEST_COMMAND - 1]}…"


def _model(before: AgentConfig, after: AgentConfig) -> Iterator[Consequence]:
    if before.model != after.model:
        uses = f"uses the model {after.model}" if after.model else f"uses the default model of {after.runner}"
        yield Consequence("model", Weight.NEUTRAL, uses)


def _environment(topic: str, before: Mapping[str, str], after: Mapping[str, str], given: str) -> Iterator[Consequence]:
    keys = {key for cli in CLIS.values() for key in cli.credentials.keys}
    for name in sorted(after.keys() - before.keys()):
        what = "a key to log in by" if name in keys else "an environment variable"
        yield Consequence(topic, Weight.WIDENS, f"{given} {name}, {what}")
    for name in sorted(before.keys() - after.keys()):
        yield Consequence(topic, Weight.NARROWS, f"{given} {name} no longer")
    for name in sorted(name for name in after.keys() & before.keys() if after[name] != before[name]):
        yield Consequence(topic, Weight.NEUTRAL, f"{given} another value of {name}")


def _servers(before: Mapping[str, McpServer], after: Mapping[str, McpServer]) -> Iterator[Consequence]:
    topic = "mcp_servers"
    for name, server in after.items():
        old = before.get(name)
        command = _line((server.command, *server.args))
        if old is None:
            yield Consequence(topic, Weight.WIDENS, f"starts the MCP server {name}: `{command}`")
        elif (old.command, old.args) != (server.command, server.args):
            was = _line((old.command, *old.args))
            yield Consequence(
                topic, Weight.WIDENS, f"starts the MCP server {name} as `{command}`, no longer as `{was}`"
            )
        yield from _environment(
            topic, {} if old is None else old.environment, server.environment, f"gives the MCP server {name}"
        )
    for name in before.keys() - after.keys():
        yield Consequence(topic, Weight.NARROWS, f"no longer starts the MCP server {name}")


def _recipients(before: frozenset[str], after: frozenset[str]) -> Iterator[Consequence]:
    topic = "allowed_recipients"
    if "*" in after:
        if "*" not in before:
            yield Consequence(topic, Weight.WIDENS, "may write to everybody")
        return
    if "*" in before:
        yield Consequence(topic, Weight.NARROWS, f"may write to nobody but {_and(after)}")
        return
    if new := after - before:
        yield Consequence(topic, Weight.WIDENS, f"may write to {_and(new)}")
    if old := before - after:
        yield Consequence(topic, Weight.NARROWS, f"may no longer write to {_and(old)}")


def _and(names: frozenset[str]) -> str:
    ordered = sorted(names)
    return ordered[0] if len(ordered) == 1 else f"{', '.join(ordered[:-1])} and {ordered[-1]}" if ordered else "nobody"


def _limits(before: Limits, after: Limits) -> Iterator[Consequence]:
    for key, unit in (("memory", _size), ("processes", _number), ("cpu", _cores)):
        old, new = getattr(before, key), getattr(after, key)
        if old == new:
            continue
        # Nothing said is the machine's own limit: what that is beside a number, only the machine knows.
        weight = Weight.NEUTRAL if None in (old, new) else Weight.WIDENS if new > old else Weight.NARROWS
        weight = Weight.WIDENS if new == math.inf else weight
        yield Consequence("limits", weight, f"may use {_amount(new, key, unit)}, not {_amount(old, key, unit)}")


def _amount(value: float | None, key: str, unit: object) -> str:
    if value is None:
        return f"the default of {key}"
    if value == math.inf:
        return f"any amount of {key}"
    assert callable(unit)
    return str(unit(value))


def _size(value: float) -> str:
    left, at = int(value), 0
    while left and left % 1024 == 0 and at < len(_UNITS) - 1:
        left, at = left // 1024, at + 1
    return f"{left}{_UNITS[at]} of memory"


def _number(value: float) -> str:
    return f"{int(value)} processes"


def _cores(value: float) -> str:
    return f"{value:g} cores"


def _restart(before: str, after: str) -> Iterator[Consequence]:
    if before == after:
        return
    words = {"never": "is not restarted when it ends", "on-failure": "is restarted when it fails",
             "always": "is restarted whenever it ends"}  # fmt: skip
    more = RESTARTS.index(after) > RESTARTS.index(before)
    yield Consequence("restart", Weight.WIDENS if more else Weight.NARROWS, words[after])


def _settling(before: float, after: float) -> Iterator[Consequence]:
    if before != after:
        words = f"has to live for {after:g} seconds to count as deployed" if after else "counts as deployed at once"
        yield Consequence("settle_seconds", Weight.NEUTRAL, words)


def _stuck(before: int | None, after: int | None) -> Iterator[Consequence]:
    if before != after:
        words = "is never told to be stuck" if after == 0 else f"is stuck after {after} minutes without progress"
        words = "is stuck when the settings say so" if after is None else words
        yield Consequence("stuck_minutes", Weight.NEUTRAL, words)
