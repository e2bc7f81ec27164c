"""Questions: each is answered exactly once, by an answer, a cancel or its deadline, and its asker is told."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from hive_core.arguments import identity
from hive_core.caller import THE_OPERATOR, Role
from hive_core.context import Hive
from hive_core.errors import NotFound, Refused
from hive_core.events import emit
from hive_core.human import ago, shorter, span
from hive_core.text import indented, one_line
from hive_fleet.messages.messages import SYSTEM, tell_one
from hive_fleet.messages.readers import known_as
from hive_fleet.needs import needs
from hive_fleet.needs.need import Need

QuestionId = Annotated[int, identity("open questions")]
CANCELLED, EXPIRED = "[cancelled]", "[expired]"
# Characters of an answer that a refusal repeats.
LONGEST_QUOTE = 200
# Questions that are listed, the newest.
MOST_LISTED = 500

_ALL = "select * from questions order by id desc limit ?"
_OPEN = """
    select * from questions indexed by questions_waiting where answered_at is null order by id desc limit ?
"""
# What an agent has asked and was asked. The questions of an earlier agent of its name have lost their numbers.
_OWN = """
    select * from questions where id in (
        select * from (
            select id from questions indexed by {asked} where asker = ? and asker_number is not null {which}
            order by asker_number desc limit ?)
        union
        select * from (
            select id from questions indexed by {put} where target = ? and target_number is not null {which}
            order by target_number desc limit ?)
    ) order by id desc limit ?
"""


@dataclass(frozen=True, slots=True)
class Question:
    """One question and what became of it. Times are unix seconds; target is 'operator' or an agent."""

    id: int
    asker: str
    target: str
    question: str
    options: list[str]
    multi: bool
    asked_at: int
    deadline_at: int | None
    answer: str | None
    answerer: str | None
    answered_at: int | None
    cancelled: bool

    @classmethod
    def from_row(cls, row: sqlite3.Row, reader: str) -> Question:
        """The question of a row, with the id that this reader knows it by."""
        moments = {name: None if row[name] is None else int(row[name]) for name in ("deadline_at", "answered_at")}
        return cls(
            id=id_for(row, reader),
            asker=row["asker"],
            target=row["target"],
            question=row["question"],
            options=json.loads(row["options"]),
            multi=bool(row["multi"]),
            asked_at=int(row["asked_at"]),
            answer=row["answer"],
            answerer=row["answerer"],
            cancelled=bool(row["cancelled"]),
            **moments,
        )

    def in_full(self) -> str:
        """The question as a person reads it, in full, with its options and the command that answers it."""
        until = f", expires in {span(self.deadline_at - time.time())}" if self.deadline_at and not self.answer else ""
        head = f"{self.id}: {self.asker} asks {self.target}, {ago(self.asked_at)} ago{until}"
        options = [indented(f"- {one_line(option)}") for option in self.options]
        if self.answer is not None:
            answered = f"  answered by {self.answerer}:\n{indented(self.answer)}"
            told = f"  {self.answer} by {self.answerer}" if self.cancelled else answered
            return "\n".join([head, indented(self.question), *options, told])
        one = 'some of these, joined by ", "' if self.multi else "one of these or anything else"
        end = f"  `hive answer {self.id} TEXT`" + (f": {one}" if options else "")
        return "\n".join([head, indented(self.question), *options, end])

    def text(self) -> str:
        how = f"answered by {self.answerer}: {self.answer}" if self.answer is not None else "open"
        return f"question {self.id} from {self.asker} to {self.target} ({how})"


def id_for(row: sqlite3.Row, reader: str) -> int:
    """The id that this reader knows a question by."""
    return known_as(row, reader, "asker", "target")


def add(
    hive: Hive,
    db: sqlite3.Connection,
    *,
    target: str,
    question: str,
    options: Sequence[str],
    multi: bool,
    ttl: int | None,
) -> sqlite3.Row:
    """Add the caller's question in its transaction, and return its row."""
    now = hive.clock()
    cursor = db.execute(
        "insert into questions (asker, target, question, options, multi, asked_at, deadline_at)"
        " values (?, ?, ?, ?, ?, ?, ?)",
        (hive.caller.name, target, question, json.dumps(list(options)), multi, now, now + ttl if ttl else None),
    )
    return one(db, int(cursor.lastrowid or 0))


def tell_operator(db: sqlite3.Connection, row: sqlite3.Row) -> None:
    """Have a question shown to the operator, whom it was asked, in the caller's transaction."""
    asked = Question.from_row(row, THE_OPERATOR.name)
    emit(
        db,
        "question_added",
        about=asked.asker,
        id=asked.id,
        asker=asked.asker,
        target=asked.target,
        question=asked.question,
        options=asked.options,
        multi=asked.multi,
        asked_at=asked.asked_at,
        deadline_at=asked.deadline_at,
    )
    needs.put(db, need_of(row))


def need_of(row: sqlite3.Row) -> Need:
    """A question that waits for the operator's answer, as what needs them."""
    id, asker, quote = row["id"], row["asker"], one_line(row["question"])
    return Need("question", str(id), asker, f"{asker} asks you", f"hive answer {id} TEXT", quote, int(row["asked_at"]))


def for_operator(db: sqlite3.Connection) -> list[sqlite3.Row]:
    """Every question that waits for the operator's answer, oldest first."""
    query = "select * from questions indexed by questions_due where target = ? and answered_at is null order by id"
    return db.execute(query, (THE_OPERATOR.name,)).fetchall()


def one(db: sqlite3.Connection, id: int) -> sqlite3.Row:
    """The row of the question with this id. Raises NotFound."""
    row: sqlite3.Row | None = db.execute("select * from questions where id = ?", (id,)).fetchone()
    if row is None:
        raise _not_found(id)
    return row


def known_to_caller(hive: Hive, db: sqlite3.Connection, id: int) -> sqlite3.Row:
    """A question by the id that the caller knows it by. What was asked between others does not exist for it."""
    if hive.caller.role is Role.OPERATOR:
        return one(db, id)
    for side in ("asker", "target"):
        query = f"select * from questions where {side} = ? and {side}_number = ?"  # noqa: S608
        row: sqlite3.Row | None = db.execute(query, (hive.caller.name, id)).fetchone()
        if row is not None:
            return row
    raise _not_found(id)


def _not_found(id: int) -> NotFound:
    return NotFound(f"There is no question {id}.", "`hive questions` lists those that wait for an answer.")


def everybodys(db: sqlite3.Connection, *, answered: bool) -> list[sqlite3.Row]:
    """The newest questions, oldest first: those that wait, or with `answered` all of them."""
    return db.execute(_ALL if answered else _OPEN, (MOST_LISTED,)).fetchall()[::-1]


def of_agent(db: sqlite3.Connection, name: str, *, answered: bool) -> list[sqlite3.Row]:
    """The newest questions that an agent has asked or was asked, oldest first; as `everybodys`."""
    query = _OWN.format(asked="questions_waiting", put="questions_due", which="and answered_at is null")
    if answered:
        query = _OWN.format(asked="questions_asked", put="questions_put", which="")
    return db.execute(query, (name, MOST_LISTED, name, MOST_LISTED, MOST_LISTED)).fetchall()[::-1]


def count_open(db: sqlite3.Connection, asker: str) -> int:
    """How many questions of an asker wait for an answer."""
    query = "select count(*) from questions where asker = ? and answered_at is null"
    return int(db.execute(query, (asker,)).fetchone()[0])


def open_ids(db: sqlite3.Connection) -> list[int]:
    """The ids of all questions that wait for an answer."""
    return [row["id"] for row in db.execute("select id from questions where answered_at is null order by id")]


def has_expired(hive: Hive, row: sqlite3.Row) -> bool:
    """Whether a question waits although its deadline has passed: whoever looks after deadlines has not come by yet."""
    return row["answer"] is None and row["deadline_at"] is not None and hive.clock() >= int(row["deadline_at"])


def resolve(hive: Hive, db: sqlite3.Connection, row: sqlite3.Row, text: str, answerer: str) -> None:
    """Answer a question in the caller's transaction, and tell its asker; raises Refused when it is answered already."""
    now, cancelled = hive.clock(), text == CANCELLED
    changed = db.execute(
        "update questions set answer = ?, answerer = ?, answered_at = ?, cancelled = ? where id = ?"
        " and answered_at is null",
        (text, answerer, now, cancelled, row["id"]),
    ).rowcount
    if not changed:
        known = id_for(row, hive.caller.name)
        # In hive's own line: what an agent has answered may have many, which would pass for what hive says.
        said = shorter(one_line(row["answer"] or ""), LONGEST_QUOTE)
        raise Refused(f"Question {known} is answered already: {said}", "`hive questions --all` shows it.")
    if row["target"] == THE_OPERATOR.name:
        emit(
            db,
            "question_resolved",
            about=row["asker"],
            id=row["id"],
            answer=text,
            answerer=answerer,
            answered_at=int(now),
            cancelled=cancelled,
        )
        needs.resolve(db, f"question/{row['id']}")
    _tell_asker(db, row, text, answerer)


def _tell_asker(db: sqlite3.Connection, row: sqlite3.Row, text: str, answerer: str) -> None:
    """Tell who asked. One that was purged is told nothing: another of its name would read it."""
    asker = row["asker"]
    if row["asker_number"] is None and asker != THE_OPERATOR.name:
        return
    # A peer's word must not pass for the operator's, so it has an event of its own.
    event = "operator_answered" if row["target"] == THE_OPERATOR.name else "question_answered"
    tell_one(db, asker, event, id=id_for(row, asker), question=row["question"], answer=text, answerer=answerer)


def expire(hive: Hive) -> int:
    """Answer every question whose deadline has passed with [expired]; returns how many that were."""
    query = "select * from questions where answered_at is null and deadline_at <= ?"
    with hive.store.read() as db:
        if not db.execute(query, (hive.clock(),)).fetchone():
            return 0
    with hive.store.write() as db:
        late = db.execute(query, (hive.clock(),)).fetchall()
        for row in late:
            resolve(hive, db, row, EXPIRED, SYSTEM)
    return len(late)


def next_deadline(hive: Hive) -> float | None:
    """The earliest deadline of an open question, in unix seconds."""
    with hive.store.read() as db:
        query = "select min(deadline_at) from questions where answered_at is null and deadline_at is not null"
        found: float | None = db.execute(query).fetchone()[0]
    return found
