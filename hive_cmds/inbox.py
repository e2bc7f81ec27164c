"""The caller's own inbox: messages taken, acknowledged, put back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from hive_core.arguments import Also, Limit, whole
from hive_core.caller import Role
from hive_core.context import Hive
from hive_core.operation import CONTAINERS, EVERYONE, operation
from hive_fleet.messages.inbox import acknowledge, has_mail, is_in_hand, put_back, take, take_told, unread
from hive_fleet.messages.messages import Message

# Messages handed out in one transaction: others write in between.
AT_ONCE = 100
# How many messages of the system, and bytes of them, one turn is given at once: little enough for one transaction.
MOST_TOGETHER, TOGETHER_BYTES = 50, 64 * 1024

Wait = Annotated[int, whole(0, 180, "the time to wait in seconds", "SECONDS"), Also("wait_seconds")]


@dataclass(frozen=True, slots=True)
class Received:
    """What `recv` handed out, and how many messages still wait."""

    messages: list[Message]
    unread: int

    def text(self) -> str:
        shown = "\n\n".join(message.text() for message in self.messages) or "No message waits for you."
        return shown + (f"\n\n{self.unread} more" if self.unread else "")


@operation(callers=EVERYONE, group="Messages", parks="wait")
def recv(
    hive: Hive,
    wait: Wait = 30,  # noqa: ARG001  (read by whoever parks it)
    limit: Limit = 1,
    together: bool = False,
) -> Received:
    """Take the oldest messages of your inbox; with none there, wait for one.

    wait: seconds to wait for a message, at most 180
    limit: how many to take at the most
    together: when the first is from `system`, take all that it has told you up to the next message of somebody else
    """
    me = hive.caller.name
    with hive.store.read() as db:
        if not has_mail(db, me):
            return Received([], 0)
    if together and (told := _take_told(hive)):
        return told
    taken: list[Message] = []
    while True:
        room = min(limit - len(taken), AT_ONCE)
        with hive.store.write() as db:
            more = take(db, me, room, sum(len(message.body) for message in taken))
            # The operator has no turn that could die with them.
            if hive.caller.role is Role.OPERATOR:
                acknowledge(db, me)
            left = unread(db, me)
        taken += more
        if len(more) < room or len(taken) == limit:
            return Received(taken, left)


def _take_told(hive: Hive) -> Received | None:
    """What the system has told, all of it: what happened at once wakes once. None where somebody else wrote first."""
    me = hive.caller.name
    with hive.store.write() as db:
        taken = take_told(db, me, MOST_TOGETHER, TOGETHER_BYTES)
        if taken and hive.caller.role is Role.OPERATOR:
            acknowledge(db, me)
        return Received(taken, unread(db, me)) if taken else None


@operation(callers=CONTAINERS, group="Messages", tool=False)
def ack(hive: Hive) -> None:
    """Acknowledge everything that was delivered to you: the turn that it went to has ended well."""
    if _is_in_hand(hive):
        with hive.store.write() as db:
            acknowledge(db, hive.caller.name)


@operation(callers=CONTAINERS, group="Messages", tool=False)
def nack(hive: Hive) -> None:
    """Put back what was delivered to you and not acknowledged: the turn that it went to has died."""
    if _is_in_hand(hive):
        with hive.store.write() as db:
            put_back(db, hive.caller.name)


def _is_in_hand(hive: Hive) -> bool:
    with hive.store.read() as db:
        return is_in_hand(db, hive.caller.name)
