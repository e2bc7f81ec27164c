"""Messages: who may send what to whom, and what the system tells agents by the same way."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Annotated, Any

from hive_core import wire
from hive_core.arguments import Kind, agent_name, words
from hive_core.context import Hive
from hive_core.errors import NotFound, Refused
from hive_core.events import emit
from hive_core.human import ago
from hive_core.operation import EVERYONE, Caller, operation
from hive_core.settings import MANAGER
from hive_core.text import indented
from hive_fleet.messages import readers

SYSTEM, THE_OPERATOR, EVERYBODY = "system", "operator", "*"
MOST_BYTES = 256 * 1024
# Unread messages that one agent may have in an inbox. What others have in it is no matter: neither do they take its
# room away, nor is it told of them.
MOST_UNREAD_OF_ONE = 250
# Unread messages are counted up to here.
MOST_COUNTED = 1000


def recipient(value: object) -> str:
    """Check a recipient: an agent, the operator, or '*' for every agent."""
    if value in (THE_OPERATOR, EVERYBODY):
        return str(value)
    return agent_name(value)


Recipient = Annotated[str, Kind(recipient, {"type": "string"}, "TO")]
Body = Annotated[str, words(MOST_BYTES, "the message", "BODY")]


@dataclass(frozen=True, slots=True)
class Message:
    """One message. at: unix seconds when it was sent. redelivered: it was handed out before, to a turn that died."""

    id: int
    sender: str
    recipient: str
    body: str
    at: int
    redelivered: bool

    def wire(self) -> dict[str, Any]:
        """The message as sockets and tools show it."""
        return {
            "id": self.id,
            "from": self.sender,
            "to": self.recipient,
            "body": self.body,
            "at": self.at,
            "redelivered": self.redelivered,
        }

    @property
    def age(self) -> float:
        return float(self.at)

    def summary(self) -> str:
        mark = ", delivered before" if self.redelivered else ""
        body = indented(readable(self.sender, self.body))
        return f"{self.id}: {self.sender} to {self.recipient}, {ago(self.at)} ago{mark}\n{body}"


def readable(sender: str, body: str) -> str:
    """A body as a person reads it: what the system tells is JSON, and becomes a line for each field."""
    if sender != SYSTEM or not body.startswith("{"):
        return body
    return "\n".join(_field(name, value) for name, value in json.loads(body).items())


def _field(name: str, value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"{name}:\n{indented(text)}" if "\n" in text else f"{name}: {text}"


def from_row(row: sqlite3.Row, reader: str) -> Message:
    """The message of a row as this reader knows it."""
    number = readers.known_as(row, reader, "recipient", "sender")
    return Message(number, row["sender"], row["recipient"], row["body"], int(row["sent_at"]), row["deliveries"] > 1)


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent: the ids of the messages, one for each recipient, as the sender knows them."""

    ids: list[int]

    def summary(self) -> str:
        return f"sent as {', '.join(map(str, self.ids))}"


def forget_inbox(db: sqlite3.Connection, name: str) -> None:
    """Remove all that was ever sent to an agent, in the caller's transaction: another of its name must not read it."""
    db.execute("delete from messages where recipient_key = (select key from readers where name = ?)", (name,))
    readers.forget(db, name)


def post(db: sqlite3.Connection, sender: str, recipient: str, body: str) -> int:
    """Put a message into an inbox in the caller's transaction, with its event; returns what the sender knows it by."""
    now = time.time()
    cursor = db.execute(
        "insert into messages (sender, recipient, body, sent_at) values (?, ?, ?, ?)", (sender, recipient, body, now)
    )
    emit(db, "sent", about=recipient, **{"from": sender, "to": recipient, "body": body})
    numbered = "select coalesce(sender_number, id) from messages where id = ?"
    return int(db.execute(numbered, (cursor.lastrowid,)).fetchone()[0])


def kick(db: sqlite3.Connection, name: str, what: str) -> None:
    """Wake an agent after something was done to it. The same said twice before it has looked is a turn too many."""
    body = f"You were {what}. See your state folder for notes; your session continues."
    waiting = (
        "select 1 from messages indexed by messages_unread"
        " where recipient = ? and sender = ? and body = ? and delivered_at is null"
    )
    if db.execute(waiting, (name, SYSTEM, body)).fetchone() is None:
        post(db, SYSTEM, name, body)


def tell(hive: Hive, db: sqlite3.Connection, event: str, agent: str, **fields: Any) -> None:
    """Tell the manager that something happened to an agent, and put the same on the event stream.

    fields: sha, tag, note and the like; those that are None are left out.
    """
    tell_manager(hive, db, event, agent=agent, **fields)
    emit(db, event, agent=agent, **fields)


def tell_manager(hive: Hive, db: sqlite3.Connection, event: str, **fields: Any) -> None:
    """Put a system message, JSON with the field `event`, into the manager's inbox.

    What the manager itself has called it has the answer to: being woken by it would cost it another turn.
    """
    if hive.caller.caller is not Caller.MANAGER:
        tell_one(db, MANAGER, event, **fields)


def tell_one(db: sqlite3.Connection, name: str, event: str, **fields: Any) -> None:
    """Put a system message into somebody's inbox."""
    known = {field: value for field, value in fields.items() if value is not None}
    post(db, SYSTEM, name, wire.line({"event": event, **known}))


@operation(callers=EVERYONE, group="Messages")
def send(hive: Hive, to: Recipient, body: Body) -> Sent:
    """Send a message.

    to: an agent, `operator`, or `*` for every agent but yourself
    body: the text
    """
    with hive.store.write() as db:
        runners = {row["name"]: row["runner"] for row in db.execute("select name, runner from agents order by name")}
        names = list(runners)
        chosen = [name for name in names if name != hive.caller.name] if to == EVERYBODY else [to]
        # Before anything is said of who is there: whom it may not write to, the caller need not know of.
        require_allowed(hive, db, to)
        for name in chosen:
            if name not in names and name != THE_OPERATOR:
                raise _no_recipient(hive, db, name)
            require_room(hive, db, name)
        sent = Sent([post(db, hive.caller.name, name, body) for name in chosen])
    if alone := [name for name in chosen if runners.get(name) == "command"]:
        run = "runs a command of its own" if len(alone) == 1 else "run commands of their own"
        hive.say(f"note: {', '.join(alone)} {run}: messages are read only if it asks for them at its socket")
    if chosen != [THE_OPERATOR] and hive.running("gate") is None:
        hive.say("note: nobody carries it there yet: `hive up` serves the agents' sockets")
    return sent


def _no_recipient(hive: Hive, db: sqlite3.Connection, name: str) -> NotFound:
    """Only who looks after the agents is told which name was probably meant: to others they are unknown."""
    if hive.caller.caller is Caller.OPERATOR:
        from hive_fleet.agents import table

        return table.not_found(db, name)
    return NotFound(f"There is no agent {name!r} to send to.", "Recipients are the agents and `operator`.")


def require_allowed(hive: Hive, db: sqlite3.Connection, name: str) -> None:
    """Raises Refused unless the caller's configuration lets it write to `name`, or to `*`. To itself everyone may."""
    if hive.caller.caller is Caller.OPERATOR or name == hive.caller.name:
        return
    row = db.execute("select allowed_recipients from agents where name = ?", (hive.caller.name,)).fetchone()
    allowed = json.loads(row["allowed_recipients"]) if row else []
    if EVERYBODY not in allowed and name not in allowed:
        raise Refused(
            f"{hive.caller.name} may not write to {'everybody' if name == EVERYBODY else name}.",
            f"Its configuration allows: {', '.join(allowed) or 'nobody'} (allowed_recipients in agent.toml).",
        )


def require_room(hive: Hive, db: sqlite3.Connection, name: str) -> None:
    """Raises Refused when the caller is an agent, and the inbox of `name` holds too much unread of the caller's."""
    me = hive.caller.name
    if hive.caller.caller is Caller.OPERATOR:
        return
    query = (
        "select count(*) from messages indexed by messages_unread"
        " where recipient = ? and sender = ? and delivered_at is null"
    )
    if db.execute(query, (name, me)).fetchone()[0] >= MOST_UNREAD_OF_ONE:
        raise Refused(
            f"{name} has {MOST_UNREAD_OF_ONE} unread messages of {me}, which is the most.",
            "Send it when some are read.",
        )


def unread(db: sqlite3.Connection, name: str) -> int:
    """How many messages wait in an inbox, counted up to MOST_COUNTED."""
    query = (
        "select count(*) from (select 1 from messages indexed by messages_waiting"
        " where recipient = ? and delivered_at is null limit ?)"
    )
    return int(db.execute(query, (name, MOST_COUNTED)).fetchone()[0])
