"""Messages found again: the newest ones, those with words in them, and the whole way of one."""

from __future__ import annotations

import sqlite3
import struct
import time
from dataclasses import dataclass, fields
from typing import Annotated, Any

from hive_cmds.inbox import Limit, fitting
from hive_core.arguments import AgentName, Id, words
from hive_core.context import Hive
from hive_core.errors import NotFound
from hive_core.human import count
from hive_core.operation import EVERYONE, OPERATOR, Caller, Only, operation
from hive_core.text import indented
from hive_fleet.messages.messages import SYSTEM, Message, from_row, readable

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
def recent(hive: Hive, limit: Limit = 20, system: Annotated[bool, Only(OPERATOR)] = False) -> Recent:
    """Show the newest messages of your inbox, whether delivered or not; takes none. The operator sees everybody's.

    limit: how many
    system: also what the system tells agents, not only what they and people have said
    """
    of_all = hive.caller.caller is Caller.OPERATOR
    which, values = (_ALL if system else _SAID, ()) if of_all else (_GOT, (hive.caller.name,))
    query = f"select id, length(body) as size from messages {which} desc limit ?"  # noqa: S608
    with hive.store.read() as db:
        chosen = fitting(db.execute(query, (*values, limit)))
        return Recent([from_row(_row(db, number), hive.caller.name) for number in reversed(chosen)])


_ALL = "order by id"
_SAID = f"indexed by messages_said where sender != '{SYSTEM}' order by id"
_GOT = "where recipient_key = (select key from readers where name = ?) order by recipient_number"


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
    with hive.store.read() as db:
        column, key = ("body", "") if hive.caller.caller is Caller.OPERATOR else ("own", _key(db, hive.caller.name))
        phrases = [phrase for word in words.split() if (phrase := _phrase(db, key, word))]
        if key is None or not phrases:
            return Recent([])
        hits = db.execute(_HITS.format(column=column), (" ".join(phrases), RANKED)).fetchall()
        best = [(hit["docid"],) for hit in _ranked(hits)[:limit]]
        chosen = fitting(db.execute(_SIZE, number).fetchone() for number in best)
        return Recent([from_row(_row(db, number), hive.caller.name) for number in chosen])


def _key(db: sqlite3.Connection, name: str) -> str | None:
    """What an agent's words begin with in the index; None for one that has neither sent nor got anything."""
    row = db.execute("select key from readers where name = ?", (name,)).fetchone()
    return None if row is None else f"k{row['key']}z"


def _phrase(db: sqlite3.Connection, key: str | None, word: str) -> str:
    """A word as the index knows it, which may be several (`well-known`); '' for one that is none.

    It is taken apart as the messages are, so that nothing of it is read as a query's language.
    """
    tokens = [row["token"] for row in db.execute("select token from messages_words where input = ?", (word,))]
    more = "*" if word.endswith("*") else ""
    return f'"{" ".join(f"{key}{token}" for token in tokens)}{more}"' if tokens else ""


def _ranked(hits: list[sqlite3.Row]) -> list[sqlite3.Row]:
    """The hits, best first; of equal ones the newest.

    What is common and what is long is judged by these hits alone. Each of them has all the words, so that how rare
    one is decides nothing, and is the same for all: `total` is only to be more than twice their number.
    """
    from sqlite_fts4 import decode_matchinfo, rank_bm25

    found = {hit["docid"]: decode_matchinfo(hit["found"]) for hit in hits}
    average = sum(info[2] for info in found.values()) // max(1, len(found))

    def rank(hit: sqlite3.Row) -> float:
        count, _columns, length, _other, *times = found[hit["docid"]]
        # For each word: how often in this column and in the other one.
        each = [number for word in range(count) for number in (max(times[2 * word : 2 * word + 2]), 0, len(found))]
        total = 4 * len(found) + 4
        return float(rank_bm25(struct.pack(f"@{5 + len(each)}I", count, 1, total, average, length, *each)))

    return sorted(hits, key=lambda hit: (rank(hit), -hit["docid"]))


def _row(db: sqlite3.Connection, number: int) -> sqlite3.Row:
    row: sqlite3.Row = db.execute("select * from messages where id = ?", (number,)).fetchone()
    return row


_HITS = """
    select docid, matchinfo(messages_search, 'pcly') as found from messages_search
    where {column} match ? order by docid desc limit ?
"""
_SIZE = "select id, length(body) as size from messages where id = ?"


@operation(callers=OPERATOR, group="Messages")
def why(hive: Hive, id: Id, of: AgentName | None = None) -> Whereabouts:
    """Tell a message's whole way: when it was sent, handed out, acknowledged.

    id: the message's number
    of: the agent that knows the message by this number; without it, it is the one that `hive recent` shows
    """
    with hive.store.read() as db:
        row = db.execute("select * from messages where id = ?", (id,)).fetchone() if of is None else _of(db, of, id)
    if row is None:
        known = "" if of is None else f" that {of} knows by that number"
        raise NotFound(f"There is no message {id}{known}.", "`hive recent` shows the newest ones.")
    return Whereabouts(**{field.name: row[field.name] for field in fields(Whereabouts)})


def _of(db: sqlite3.Connection, name: str, number: int) -> sqlite3.Row | None:
    """The message that an agent knows by a number of its own."""
    for side in ("sender", "recipient"):
        query = f"select * from messages where {side}_key = (select key from readers where name = ?)"  # noqa: S608
        row: sqlite3.Row | None = db.execute(f"{query} and {side}_number = ?", (name, number)).fetchone()
        if row is not None:
            return row
    return None


def _clock(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)) + f".{int(at % 1 * 1000):03d}"
