"""What an agent's harness reports and asks, and which model the operator chooses for its turns."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from typing import Annotated

from hive_core.arguments import FREE, AgentName, Kind, choice, whole, words
from hive_core.context import Hive
from hive_core.errors import Invalid, Refused
from hive_core.operation import CONTAINERS, OPERATOR, operation
from hive_fleet.agents import harness_state, last_seen, status, table
from hive_fleet.agents.status import AgentStatus
from hive_fleet.home import ports

STATES = (
    *("idle", "thinking", "compacting", "rate_limited"),
    *("no_program", "needs_login", "key_refused", "account_trouble"),
)

HarnessState = Annotated[str, choice(STATES, "a state of the harness", "STATE")]
StatusText = Annotated[str, words(500, "the status", "TEXT", empty=True)]


def _model_name(value: object) -> str:
    name: str = words(200, "the model", "MODEL").parse(value)
    if not re.fullmatch("[!-~]+", name):
        raise Invalid(f"{ascii(name)[:80]} is not the name of a model.", "It has no spaces.")
    return name


ModelName = Annotated[str, Kind(_model_name, {"type": "string", "maxLength": 200}, "MODEL", FREE)]
UnixTime = Annotated[int, whole(0, 2**40, "the time in unix seconds", "UNIX")]


@dataclass(frozen=True, slots=True)
class TurnSettings:
    """The settings of the next turn. model: the operator's choice, None for the configuration's. port: of its page."""

    model: str | None
    paused: bool
    port: int


@operation(callers=CONTAINERS, group="Harness", tool=False)
def set_status(
    hive: Hive,
    state: HarnessState,
    text: StatusText | None = None,
    model: ModelName | None = None,
    until: UnixTime | None = None,
) -> None:
    """Say what the harness is doing; the badge shows this and nothing else.

    state: idle, thinking, compacting, rate_limited, no_program, needs_login, key_refused or account_trouble
    text: more of it, for a person
    model: the one in use
    until: when a rate limit ends, or the next try is
    """
    row = _row(hive, hive.caller.name)
    told = (state, text, model or row["active_model"], until)
    if told == (row["state"], row["status_text"], row["active_model"], row["until"]):
        return
    with last_seen.showing(hive, hive.caller.name) as db:
        harness_state.record(db, hive.caller.name, state=state, text=text, model=model, until=until, at=hive.clock())


@operation(callers=CONTAINERS, group="Harness", tool=False, reads=True)
def turn_settings(hive: Hive) -> TurnSettings:
    """What the next turn goes by."""
    row = _row(hive, hive.caller.name)
    return TurnSettings(row["model"], bool(row["paused"]), ports.of(hive, hive.caller.name))


@operation(callers=CONTAINERS, group="Harness", tool=False)
def set_model(hive: Hive, model: ModelName) -> None:
    """Choose the model of your next turn, as your page does; `default` goes back to what the configuration says.

    model: the model's name, as the agent's program knows it
    """
    _choose_model(hive, hive.caller.name, model)


@operation(callers=OPERATOR, group="Agents")
def model(hive: Hive, name: AgentName, model: ModelName) -> AgentStatus:
    """Choose the model of an agent's next turn; `default` goes back to what its configuration says.

    name: which agent
    model: the model's name, as the agent's program knows it
    """
    if not _has_harness(hive, name):
        raise Refused(
            f"{name} runs a command of its own: it has no model.", "`runner` in its agent.toml says what runs."
        )
    agent = _choose_model(hive, name, model)
    chosen = "what its configuration says" if model == "default" else model
    hive.say(f"the next turn of {name} runs with {chosen}")
    return agent


def _has_harness(hive: Hive, name: str) -> bool:
    """Whether the agent has a harness, which reads what is set here. Raises NotFound."""
    return bool(_row(hive, name)["runner"] != "command")


def _choose_model(hive: Hive, name: str, model: str) -> AgentStatus:
    chosen = None if model == "default" else model
    if _row(hive, name)["model"] != chosen:
        with last_seen.showing(hive, name) as db:
            table.one(db, name)
            harness_state.choose_model(db, name, chosen)
    return status.of(hive, name)


def _row(hive: Hive, name: str) -> sqlite3.Row:
    with hive.store.read() as db:
        return table.one(db, name)
