"""Messages found again: the newest ones, those with words in them, and the whole way of one."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from typing import Annotated, Any

from hive_cmds.inbox import Limit, fitting
from hive_cmds.messages import Message, from_row, readable
from hive_core.arguments import Id, words
from hive_core.context import Hive
from hive_core.errors import NotFound
from hive_core.human import count
from hive_core.operation import EVERYONE, OPERATOR, Caller, operation
from hive_core.text import indented

# How many hits of a search are ranked, the newest first: ranking all of a million takes most of a second.
RANKED = 2000

Words = Annotated[str, words(1024, "the search", "WORDS")]


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
        lines += [f"  {step:<13} {_clock(at) if at else 'not yet'}" for step, at in steps]
        return "\n".join([*lines, "", indented(readable(self.sender, self.body))])


@dataclass(frozen=True, slots=True)
class Recent:
    """The newest messages, oldest first."""

    messages: list[Message]

    def listing(self) -> list[Message]:
        """The rows alone, as the shell's JSON shows every listing."""
        return self.messages

    def text(self) -> str:
        return "\n\n".join(message.summary() for message in self.messages)


@operation(callers=EVERYONE, group="Messages", reads=True, empty="No messages yet. `hive send TO BODY` sends one.")
def recent(hive: Hive, limit: Limit = 20) -> Recent:
    """Show the newest messages of your inbox, whether delivered or not; takes none. The operator sees everybody's.

    limit: how many
    """
    where, values = ("", ()) if hive.caller.caller is Caller.OPERATOR else ("where recipient = ?", (hive.caller.name,))
    query = f"select id, length(body) as size from messages {where} order by id desc limit ?"  # noqa: S608
    with hive.store.read() as db:
        chosen = fitting(db.execute(query, (*values, limit)).fetchall())
        return Recent([from_row(_row(db, number)) for number in reversed(chosen)])


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
    from sqlite_fts4 import rank_bm25

    # Each word quoted: nothing of what is searched for is read as FTS4's query language.
    query = " ".join('"' + word.replace('"', "") + '"' for word in words.split() if word.strip('"'))
    db = hive.store.connection()
    db.create_function("rank_bm25", 1, rank_bm25, deterministic=True)
    mine = "" if hive.caller.caller is Caller.OPERATOR else "and (m.sender = :me or m.recipient = :me)"
    with hive.store.read() as db:
        values = {"query": query, "me": hive.caller.name, "limit": limit, "ranked": RANKED}
        chosen = fitting(db.execute(_SEARCH.format(mine=mine), values).fetchall())
        return Recent([from_row(_row(db, number)) for number in chosen])


def _row(db: sqlite3.Connection, number: int) -> sqlite3.Row:
    row: sqlite3.Row = db.execute("select * from messages where id = ?", (number,)).fetchone()
    return row


_SEARCH = """
    select m.id, length(m.body) as size from (
        select docid, matchinfo(messages_search, 'pcnalx') as found from messages_search
        where messages_search match :query order by docid desc limit :ranked
    ) hit join messages m on m.id = hit.docid {mine}
    order by rank_bm25(hit.found), m.id desc limit :limit
"""


@operation(callers=OPERATOR, group="Messages")
def why(hive: Hive, id: Id) -> Whereabouts:
    """Tell a message's whole way: when it was sent, handed out, acknowledged.

    id: the message's number
    """
    with hive.store.read() as db:
        row = db.execute("select * from messages where id = ?", (id,)).fetchone()
    if row is None:
        raise NotFound(f"There is no message {id}.", "`hive recent` shows the newest ones.")
    return Whereabouts(**dict(row))


def _clock(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)) + f".{int(at % 1 * 1000):03d}"
