"""Questions that were asked (asking.py), each answered exactly once: by an answer, a cancel or the deadline."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Annotated

from hive_core.arguments import Id, words
from hive_core.context import Hive
from hive_core.errors import NotFound, Refused
from hive_core.events import emit
from hive_core.human import ago, span
from hive_core.operation import EVERYONE, Caller, operation
from hive_core.text import indented, one_line
from hive_fleet.messages.messages import SYSTEM, THE_OPERATOR, tell_one
from hive_fleet.messages.readers import known_as

CANCELLED, EXPIRED = "[cancelled]", "[expired]"
# Questions that are listed, the newest.
MOST_LISTED = 500

Answer = Annotated[str, words(64 * 1024, "the answer", "TEXT")]


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

    def in_full(self) -> str:
        """The question as a person reads it, in full, with its options and the command that answers it."""
        until = f", expires in {span(self.deadline_at - time.time())}" if self.deadline_at and not self.answer else ""
        head = f"{self.id}: {self.asker} asks {self.target}, {ago(self.asked_at)} ago{until}"
        options = [indented(f"- {one_line(option)}") for option in self.options]
        if self.answer is not None:
            end = f"  {self.answer} by {self.answerer}" if self.cancelled else f"  answered by {self.answerer}:"
            return "\n".join([head, indented(self.question), *options, end, indented(self.answer)])
        one = 'some of these, joined by ", "' if self.multi else "one of these or anything else"
        end = f"  `hive answer {self.id} TEXT`" + (f": {one}" if options else "")
        return "\n".join([head, indented(self.question), *options, end])

    def summary(self) -> str:
        how = f"answered by {self.answerer}: {self.answer}" if self.answer is not None else "open"
        return f"question {self.id} from {self.asker} to {self.target} ({how})"

    @property
    def age(self) -> float:
        return float(self.asked_at)


def from_row(row: sqlite3.Row, reader: str) -> Question:
    """The question of a row, with the number that this reader knows it by."""
    whole_numbers = {name: None if row[name] is None else int(row[name]) for name in ("deadline_at", "answered_at")}
    return Question(
        id=known_as(row, reader, "asker", "target"),
        asker=row["asker"],
        target=row["target"],
        question=row["question"],
        options=json.loads(row["options"]),
        multi=bool(row["multi"]),
        asked_at=int(row["asked_at"]),
        answer=row["answer"],
        answerer=row["answerer"],
        cancelled=bool(row["cancelled"]),
        **whole_numbers,
    )


@operation(
    callers=EVERYONE,
    group="Messages",
    reads=True,
    empty="No question waits for an answer. `hive questions --all` shows the answered ones, `hive ask` asks one.",
    empty_all="There has been no question yet. `hive ask QUESTION` asks one.",
)
def questions(hive: Hive, all: bool = False) -> list[Question]:
    """List the questions that wait for an answer: the operator sees all of them, an agent its own.

    all: also those that were answered, the newest 500
    """
    me = hive.caller.name
    with hive.store.read() as db:
        if hive.caller.caller is Caller.OPERATOR:
            rows = db.execute(_ALL if all else _OPEN, (MOST_LISTED,)).fetchall()
        else:
            query = _OWN.format(asked="questions_asked", put="questions_put", which="")
            if not all:
                query = _OWN.format(asked="questions_waiting", put="questions_due", which="and answered_at is null")
            rows = db.execute(query, (me, MOST_LISTED, me, MOST_LISTED, MOST_LISTED)).fetchall()
    return [from_row(row, me) for row in reversed(rows)]


_ALL = "select * from questions order by id desc limit ?"
_OPEN = """
    select * from questions indexed by questions_waiting where answered_at is null order by id desc limit ?
"""
# What was asked by somebody or of it; without what an earlier agent of that name had to do with.
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


@operation(callers=EVERYONE, group="Messages")
def answer(hive: Hive, id: Id, text: Answer) -> Question:
    """Answer a question that was asked of you; the operator may answer any.

    id: the question's number
    text: one of its options, several joined with ", ", or anything else
    """
    with hive.store.write() as db:
        row = _visible(hive, db, id)
        if hive.caller.caller is not Caller.OPERATOR and row["target"] != hive.caller.name:
            raise Refused(f"Question {id} was asked of {row['target']}, not of {hive.caller.name}.")
        expired = _past_deadline(hive, row)
        if expired:
            _resolve(hive, db, row, EXPIRED, SYSTEM)
        else:
            _resolve(hive, db, row, text, hive.caller.name)
        if not expired:
            return from_row(require(db, row["id"]), hive.caller.name)
    raise Refused(f"Question {id} has expired: its deadline was passed before the answer came.")


@operation(callers=EVERYONE, group="Messages")
def cancel_question(hive: Hive, id: Id) -> Question:
    """Close a question with the answer [cancelled]: by whoever asked it, or by the operator.

    id: the question's number
    """
    with hive.store.write() as db:
        row = _visible(hive, db, id)
        if hive.caller.caller is not Caller.OPERATOR and row["asker"] != hive.caller.name:
            raise Refused(f"Question {id} was not asked by {hive.caller.name}.")
        _resolve(hive, db, row, CANCELLED, hive.caller.name)
        return from_row(require(db, row["id"]), hive.caller.name)


def expire(hive: Hive) -> int:
    """Answer every question whose deadline has passed with [expired]; returns how many that were."""
    query = "select * from questions where answered_at is null and deadline_at <= ?"
    with hive.store.read() as db:
        if not db.execute(query, (hive.clock(),)).fetchone():
            return 0
    with hive.store.write() as db:
        late = db.execute(query, (hive.clock(),)).fetchall()
        for row in late:
            _resolve(hive, db, row, EXPIRED, SYSTEM)
    return len(late)


def next_deadline(hive: Hive) -> float | None:
    """The earliest deadline of an open question, in unix seconds."""
    with hive.store.read() as db:
        query = "select min(deadline_at) from questions where answered_at is null and deadline_at is not null"
        found: float | None = db.execute(query).fetchone()[0]
    return found


def _past_deadline(hive: Hive, row: sqlite3.Row) -> bool:
    return row["answer"] is None and row["deadline_at"] is not None and hive.clock() >= int(row["deadline_at"])


def _resolve(hive: Hive, db: sqlite3.Connection, row: sqlite3.Row, text: str, answerer: str) -> None:
    """Answer a question in the caller's transaction; raises Refused when it is answered already."""
    now, cancelled = hive.clock(), text == CANCELLED
    changed = db.execute(
        "update questions set answer = ?, answerer = ?, answered_at = ?, cancelled = ? where id = ?"
        " and answered_at is null",
        (text, answerer, now, cancelled, row["id"]),
    ).rowcount
    if not changed:
        number = known_as(row, hive.caller.name, "asker", "target")
        raise Refused(f"Question {number} is answered already: {row['answer']}", "`hive questions --all` shows it.")
    if row["target"] == THE_OPERATOR:
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
    _tell_asker(db, row, text, answerer)


def _tell_asker(db: sqlite3.Connection, row: sqlite3.Row, text: str, answerer: str) -> None:
    """Tell who asked. One that was purged is told nothing: another of its name would read it."""
    asker = row["asker"]
    if row["asker_number"] is None and asker != THE_OPERATOR:
        return
    # A peer's word must not pass for the operator's, so it has a name of its own.
    event = "operator_answered" if row["target"] == THE_OPERATOR else "question_answered"
    number = known_as(row, asker, "asker", "target")
    tell_one(db, asker, event, id=number, question=row["question"], answer=text, answerer=answerer)


def _visible(hive: Hive, db: sqlite3.Connection, number: int) -> sqlite3.Row:
    """A question that the caller may know of. What was asked between others does not exist for it."""
    if hive.caller.caller is Caller.OPERATOR:
        return require(db, number)
    for side in ("asker", "target"):
        query = f"select * from questions where {side} = ? and {side}_number = ?"  # noqa: S608
        row: sqlite3.Row | None = db.execute(query, (hive.caller.name, number)).fetchone()
        if row is not None:
            return row
    raise _no_question(number)


def require(db: sqlite3.Connection, number: int) -> sqlite3.Row:
    """The row of the question with this id. Raises NotFound."""
    row: sqlite3.Row | None = db.execute("select * from questions where id = ?", (number,)).fetchone()
    if row is None:
        raise _no_question(number)
    return row


def _no_question(number: int) -> NotFound:
    return NotFound(f"There is no question {number}.", "`hive questions` lists those that wait for an answer.")
