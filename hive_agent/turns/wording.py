"""What the agent's CLI is told: the system prompt from its file, and the prompt that wakes it for a message."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hive_agent import MANAGER


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as the gate hands it out. at: unix seconds. redelivered: an earlier turn on it did not end.

    count: how many of one sender's it is, one on each line of the body; id and at are the first one's.
    """

    id: str
    sender: str
    body: str
    at: float
    redelivered: bool
    count: int = 1

    @classmethod
    def from_wire(cls, first: dict[str, Any], *others: dict[str, Any]) -> Delivery:
        """A message, or several that were handed out together."""
        return cls(
            id=str(first["id"]),
            sender=str(first["from"]),
            body="\n".join(str(fields["body"]) for fields in (first, *others)),
            at=float(first["at"]),
            redelivered=any(bool(fields.get("redelivered")) for fields in (first, *others)),
            count=1 + len(others),
        )

    @property
    def key(self) -> str:
        """The same for every delivery, different from every other message even after ids began anew."""
        return f"{self.id}@{self.at:.0f}"


def system_prompt(label: str, pronouns: str) -> str:
    """The prompt of this agent, or of the manager, with `{label}` and `{operator_pronouns}` put in."""
    name = "manager.md" if label == MANAGER else "agent.md"
    text = (Path(__file__).resolve().parent / "prompts" / name).read_text(encoding="utf-8")
    values = {"{label}": label, "{operator_pronouns}": pronouns}
    # In one pass, so that nothing put in is replaced again.
    return re.sub("|".join(re.escape(key) for key in values), lambda match: values[match.group()], text)


def wake_prompt(message: Delivery, unread: int) -> str:
    """The prompt of a turn: who sent what, whether it was delivered before, and how many more wait.

    The body stands between two lines with a mark that its writer could not know, so it cannot pretend to end.
    """
    mark = f"--- message {message.id} {os.urandom(4).hex()} ---"
    if message.count == 1:
        lines = [f"A message from {message.sender} woke you. It stands between the two marked lines."]
    else:
        lines = [
            f"{message.count} messages from {message.sender} woke you. They stand between the two marked lines, one on"
            " each line."
        ]
    if message.redelivered:
        lines.append(
            "It was given to you before, in a turn that did not end well. Some of the work may be done already: "
            "look before you do it again."
        )
    if unread:
        more = "1 more message waits" if unread == 1 else f"{unread} more messages wait"
        lines.append(f"{more} for you: take them with recv when you are done, or let the next turns bring them.")
    return "\n".join([*lines, "", mark, message.body, mark])
