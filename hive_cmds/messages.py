"""Messages: sent, shown again, searched, and the whole way of one."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any

from hive_core.arguments import AgentName, Limit, identity, words
from hive_core.caller import THE_OPERATOR, Role
from hive_core.context import Hive
from hive_core.errors import NotFound
from hive_core.human import count
from hive_core.operation import EVERYONE, OPERATOR, Only, operation
from hive_core.slices import Slicer
from hive_core.text import indented
from hive_fleet.agents import table
from hive_fleet.messages.messages import Message, in_words, post
from hive_fleet.messages.recipients import EVERYBODY, Recipient, require_allowed, require_inbox_room
from hive_fleet.messages.search import by_id, known_to, newest_messages, with_words

# Characters of messages that are sent in one transaction.
AT_ONCE = 128 * 1024

Body = Annotated[str, words(256 * 1024, "the message", "BODY")]
MessageId = Annotated[int, identity("messages")]
Words = Annotated[str, words(1024, "the search", "WORDS")]


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent: the ids of the messages, one for each recipient, as the sender knows them."""

    ids: list[int]

    def text(self) -> str:
        return f"sent as {', '.join(map(str, self.ids))}"


@operation(callers=EVERYONE, group="Messages")
def send(hive: Hive, to: Recipient, body: Body) -> Sent:
    """Send a message.

    to: an agent, `operator`, or `*` for every agent but yourself
    body: the text
    """
    me, most = hive.caller.name, max(1, AT_ONCE // len(body))
    with hive.store.write() as db:
        runners = table.runners(db)
        chosen = [name for name in runners if name != me] if to == EVERYBODY else [to]
        # This comes first: it is not told whether there is an agent that the caller may not write to.
        require_allowed(hive, db, to)
        for name in chosen:
            if name not in runners and name != THE_OPERATOR.name:
                raise _no_recipient(hive, db, name)
            require_inbox_room(hive, db, name)
        ids = [post(db, me, name, body) for name in chosen[:most]]
    ids += _sent_further(hive, chosen[most:], body, most)
    _say_who_reads(hive, chosen, runners)
    return Sent(ids)


def _sent_further(hive: Hive, names: Sequence[str], body: str, most: int) -> list[int]:
    """Send a long message to many more, so many in each transaction: each copy's words are indexed with it, which takes
    a good part of a second, and others write in between. Who has been destroyed since is left out."""
    ids: dict[int, int] = {}

    def post_some(db: sqlite3.Connection, numbers: list[int]) -> int:
        there = table.runners(db)
        # By its number: where the disk is full it is done again.
        ids.update({at: post(db, hive.caller.name, names[at], body) for at in numbers if names[at] in there})
        return len(numbers)

    if names:
        slicer = Slicer(hive.store)
        slicer.size = most
        slicer.each(range(len(names)), post_some)
    return list(ids.values())


def _no_recipient(hive: Hive, db: sqlite3.Connection, name: str) -> NotFound:
    """Only who looks after the agents is told which name was probably meant: to others they are unknown."""
    if hive.caller.role is Role.OPERATOR:
        return table.not_found(db, name)
    return NotFound(f"There is no agent {name!r} to send to.", "Recipients are the agents and `operator`.")


def _say_who_reads(hive: Hive, chosen: Sequence[str], runners: Mapping[str, str]) -> None:
    """Tell who may not read what was sent to them, or not yet."""
    if alone := [name for name in chosen if runners.get(name) == "command"]:
        run = "runs a command of its own" if len(alone) == 1 else "run commands of their own"
        hive.say(f"note: {', '.join(alone)} {run}: messages are read only if it asks for them at its socket")
    if chosen != [THE_OPERATOR.name] and hive.running("gate") is None:
        hive.say("note: nobody carries it there yet: `hive up` serves the agents' sockets")


@dataclass(frozen=True, slots=True)
class Recent:
    """Messages that were found; of the newest ones the oldest comes first."""

    messages: list[Message]

    def listing(self) -> list[Message]:
        """The rows alone, as the shell's JSON shows every listing."""
        return self.messages

    def text(self) -> str:
        return "\n\n".join(message.text() for message in self.messages)


@operation(callers=EVERYONE, group="Messages", reads=True, empty="No messages yet. `hive send TO BODY` sends one.")
def recent(hive: Hive, limit: Limit = 20, system: Annotated[bool, Only(OPERATOR)] = False) -> Recent:
    """Show the newest messages of your inbox, whether delivered or not; takes none. The operator sees everybody's.

    limit: how many
    system: also what the system tells agents, not only what they and people have said
    """
    me, of_all = hive.caller.name, hive.caller.role is Role.OPERATOR
    with hive.store.read() as db:
        rows = newest_messages(db, limit, inbox=None if of_all else me, system=system)
    return Recent([Message.from_row(row, me) for row in reversed(rows)])


@operation(
    callers=EVERYONE,
    group="Messages",
    reads=True,
    empty="No message has all of these words. WORD* finds what begins so; `hive recent` shows the newest messages.",
)
def search(hive: Hive, words: Words, limit: Limit = 20) -> Recent:
    """Search messages for words, best first: your own, sent or received; the operator searches everybody's.

    words: all of them must occur; one that ends in * stands for all that begin so
    limit: how many to show
    """
    me, of_all = hive.caller.name, hive.caller.role is Role.OPERATOR
    with hive.store.read() as db:
        rows = with_words(db, words, limit, reader=None if of_all else me)
    return Recent([Message.from_row(row, me) for row in rows])


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """A message's whole way. Times are unix seconds; deliveries: how often it was handed out."""

    id: int
    sender: str
    recipient: str
    body: str
    sent_at: float
    delivered_at: float | None
    acknowledged_at: float | None
    deliveries: int

    def wire(self) -> dict[str, Any]:
        """With the names that the message has everywhere else; a step that is yet to come is absent."""
        fields = {"id": self.id, "from": self.sender, "to": self.recipient, "body": self.body, "sent_at": self.sent_at}
        later = {"delivered_at": self.delivered_at, "acknowledged_at": self.acknowledged_at}
        return {
            **fields,
            **{step: at for step, at in later.items() if at is not None},
            "deliveries": self.deliveries,
        }

    def text(self) -> str:
        steps = [("sent", self.sent_at), ("delivered", self.delivered_at), ("acknowledged", self.acknowledged_at)]
        lines = [
            f"message {self.id} from {self.sender} to {self.recipient}, handed out {count(self.deliveries, 'time')}"
        ]
        lines += [f"  {step:<13} {_to_the_millisecond(at) if at else 'not yet'}" for step, at in steps]
        return "\n".join([*lines, "", indented(in_words(self.sender, self.body))])


@operation(callers=OPERATOR, group="Messages")
def why(hive: Hive, id: MessageId, of: AgentName | None = None) -> Whereabouts:
    """Tell a message's whole way: when it was sent, handed out, acknowledged.

    id: which message, as `hive recent` shows it
    of: an agent; the id is then what this agent knows the message by
    """
    with hive.store.read() as db:
        row = by_id(db, id) if of is None else known_to(db, of, id)
    if row is None:
        known = "" if of is None else f" that {of} knows by that id"
        raise NotFound(f"There is no message {id}{known}.", "`hive recent` shows the newest ones.")
    return Whereabouts(**{field.name: row[field.name] for field in fields(Whereabouts)})


def _to_the_millisecond(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)) + f".{int(at % 1 * 1000):03d}"
