"""Questions that were asked (asking.py), each answered exactly once: by an answer, a cancel or the deadline."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Annotated

from hive_cmds.messages import (
    SYSTEM,
    THE_OPERATOR,
    tell_one,
)
from hive_core.arguments import Id, words
from hive_core.context import Hive
from hive_core.errors import NotFound, Refused
from hive_core.events import emit
from hive_core.human import ago, span
from hive_core.operation import EVERYONE, Caller, operation
from hive_core.text import indented, one_line

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


def from_row(row: sqlite3.Row) -> Question:
    whole_numbers = {name: None if row[name] is None else int(row[name]) for name in ("deadline_at", "answered_at")}
    return Question(
        id=row["id"],
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
    wanted = [] if all else ["answered_at is null"]
    if hive.caller.caller is not Caller.OPERATOR:
        wanted.append("(asker = :me or target = :me)")
    where = f"where {' and '.join(wanted)}" if wanted else ""
    query = f"select * from questions {where} order by id desc limit {MOST_LISTED}"  # noqa: S608
    with hive.store.read() as db:
        rows = db.execute(query, {"me": hive.caller.name}).fetchall()
    return [from_row(row) for row in reversed(rows)]


@operation(callers=EVERYONE, group="Messages")
def answer(hive: Hive, id: Id, text: Answer) -> Question:
    """Answer a question that was asked of you; the operator may answer any.

    id: the question's number
    text: one of its options, several joined with ", ", or anything else
    """
    with hive.store.write() as db:
        asked = _visible(hive, db, id)
        if hive.caller.caller is not Caller.OPERATOR and asked.target != hive.caller.name:
            raise Refused(f"Question {id} was asked of {asked.target}, not of {hive.caller.name}.")
        expired = _past_deadline(hive, asked)
        if expired:
            _resolve(hive, db, asked, EXPIRED, SYSTEM)
        else:
            _resolve(hive, db, asked, text, hive.caller.name)
    if expired:
        raise Refused(f"Question {id} has expired: its deadline was passed before the answer came.")
    return _current(hive, id)


@operation(callers=EVERYONE, group="Messages")
def cancel_question(hive: Hive, id: Id) -> Question:
    """Close a question with the answer [cancelled]: by whoever asked it, or by the operator.

    id: the question's number
    """
    with hive.store.write() as db:
        asked = _visible(hive, db, id)
        if hive.caller.caller is not Caller.OPERATOR and asked.asker != hive.caller.name:
            raise Refused(f"Question {id} was not asked by {hive.caller.name}.")
        _resolve(hive, db, asked, CANCELLED, hive.caller.name)
    return _current(hive, id)


def expire(hive: Hive) -> int:
    """Answer every question whose deadline has passed with [expired]; returns how many that were."""
    query = "select * from questions where answered_at is null and deadline_at <= ?"
    with hive.store.read() as db:
        if not db.execute(query, (hive.clock(),)).fetchone():
            return 0
    with hive.store.write() as db:
        late = [from_row(row) for row in db.execute(query, (hive.clock(),)).fetchall()]
        for asked in late:
            _resolve(hive, db, asked, EXPIRED, SYSTEM)
    return len(late)


def next_deadline(hive: Hive) -> float | None:
    """The earliest deadline of an open question, in unix seconds."""
    with hive.store.read() as db:
        query = "select min(deadline_at) from questions where answered_at is null and deadline_at is not null"
        found: float | None = db.execute(query).fetchone()[0]
    return found


def _past_deadline(hive: Hive, asked: Question) -> bool:
    return asked.answer is None and asked.deadline_at is not None and hive.clock() >= asked.deadline_at


def _resolve(hive: Hive, db: sqlite3.Connection, asked: Question, text: str, answerer: str) -> None:
    """Answer a question in the caller's transaction; raises Refused when it is answered already."""
    now, cancelled = hive.clock(), text == CANCELLED
    changed = db.execute(
        "update questions set answer = ?, answerer = ?, answered_at = ?, cancelled = ? where id = ?"
        " and answered_at is null",
        (text, answerer, now, cancelled, asked.id),
    ).rowcount
    if not changed:
        raise Refused(f"Question {asked.id} is answered already: {asked.answer}", "`hive questions --all` shows it.")
    if asked.target == THE_OPERATOR:
        emit(
            db,
            "question_resolved",
            about=asked.asker,
            id=asked.id,
            answer=text,
            answerer=answerer,
            answered_at=int(now),
            cancelled=cancelled,
        )
    tell_one(db, asked.asker, "operator_answered", id=asked.id, question=asked.question, answer=text)


def _visible(hive: Hive, db: sqlite3.Connection, number: int) -> Question:
    """A question that the caller may know of. What was asked between others does not exist for it."""
    asked = require(db, number)
    if hive.caller.caller is not Caller.OPERATOR and hive.caller.name not in (asked.asker, asked.target):
        raise _no_question(number)
    return asked


def require(db: sqlite3.Connection, number: int) -> Question:
    """The question of this number. Raises NotFound."""
    row = db.execute("select * from questions where id = ?", (number,)).fetchone()
    if row is None:
        raise _no_question(number)
    return from_row(row)


def _no_question(number: int) -> NotFound:
    return NotFound(f"There is no question {number}.", "`hive questions` lists those that wait for an answer.")


def _current(hive: Hive, number: int) -> Question:
    with hive.store.read() as db:
        return require(db, number)
