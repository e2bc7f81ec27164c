"""Questions: asked of the operator or of an agent, listed, answered, cancelled."""

from __future__ import annotations

import sqlite3
from typing import Annotated

from hive_core.arguments import Also, whole, words
from hive_core.caller import THE_OPERATOR, Role
from hive_core.context import Hive
from hive_core.errors import Invalid, NotFound, Refused
from hive_core.operation import EVERYONE, operation
from hive_fleet.agents import table
from hive_fleet.messages.inbox import unread_questions_of
from hive_fleet.messages.messages import SYSTEM, tell_one
from hive_fleet.messages.questions import (
    CANCELLED,
    EXPIRED,
    Question,
    QuestionId,
    add,
    count_open,
    everybodys,
    has_expired,
    known_to_caller,
    of_agent,
    one,
    resolve,
    tell_operator,
)
from hive_fleet.messages.recipients import MOST_UNREAD_OF_ONE, Recipient, require_allowed, require_inbox_room

MOST_OPTIONS = 20
# Open questions that one asker may have: the operator reads every one of them.
MOST_OPEN = 100

QuestionText = Annotated[str, words(16 * 1024, "the question", "QUESTION")]
Option = Annotated[str, words(1024, "the option", "TEXT")]
Ttl = Annotated[int, whole(1, 30 * 86400, "the time to answer in seconds", "SECONDS"), Also("ttl_seconds")]
AnswerText = Annotated[str, words(64 * 1024, "the answer", "TEXT")]


@operation(callers=EVERYONE, group="Messages")
def ask(
    hive: Hive,
    question: QuestionText,
    options: list[Option] | None = None,
    multi: bool = False,
    ttl: Ttl | None = None,
    to: Recipient | None = None,
) -> Question:
    """Ask a question; its id comes back at once, the answer as a message when there is one.

    question: what you want to know
    options: answers to choose from; free text is always possible too
    multi: several options may be chosen
    ttl: seconds after which it counts as answered with [expired]
    to: an agent; without it the operator is asked
    """
    target = to or THE_OPERATOR.name
    if len(options or []) > MOST_OPTIONS:
        raise Invalid(f"{len(options or [])} options are too many; at most {MOST_OPTIONS} are taken.")
    with hive.store.write() as db:
        if target != THE_OPERATOR.name:
            _require_target(hive, db, target)
        _require_few_open(hive, db)
        row = add(hive, db, target=target, question=question, options=options or [], multi=multi, ttl=ttl)
        _tell_target(db, row, options)
        return Question.from_row(row, hive.caller.name)


@operation(callers=frozenset({Role.MANAGER}), group="Messages")
def ask_operator(
    hive: Hive,
    question: QuestionText,
    options: list[Option] | None = None,
    multi: bool = False,
    ttl: Ttl | None = None,
) -> Question:
    """Ask the operator a question; its id comes back at once, the answer as a message when there is one.

    question: what you want to know
    options: answers to choose from; free text is always possible too
    multi: several options may be chosen
    ttl: seconds after which it counts as answered with [expired]
    """
    return ask(hive, question, options, multi, ttl)


def _require_target(hive: Hive, db: sqlite3.Connection, target: str) -> None:
    """Raises unless the caller may ask this agent, and it has room for another question of the caller's."""
    # This comes first: it is not told whether there is an agent that the caller may not write to.
    require_allowed(hive, db, target)
    if target == hive.caller.name or not table.is_there(db, target):
        raise NotFound(f"There is no other agent {target!r} to ask.", "Leave --to away to ask the operator.")
    require_inbox_room(hive, db, target)
    if hive.caller.role is Role.OPERATOR:
        return
    # The message that tells of a question is the system's, so it is not among those that were counted. Whoever asks
    # and cancels again and again would fill the inbox.
    asked = unread_questions_of(db, target, hive.caller.name)
    if asked >= MOST_UNREAD_OF_ONE:
        raise Refused(f"{target} has yet to read {asked} questions of {hive.caller.name}.", "Ask it when it has.")


def _require_few_open(hive: Hive, db: sqlite3.Connection) -> None:
    me = hive.caller
    if me.role is not Role.OPERATOR and count_open(db, me.name) >= MOST_OPEN:
        raise Refused(
            f"{me.name} has {MOST_OPEN} open questions, which is the most.",
            "Wait for an answer, or close one: cancel-question ID.",
        )


def _tell_target(db: sqlite3.Connection, row: sqlite3.Row, options: list[str] | None) -> None:
    """Tell who is asked: the operator by an event, an agent by a message."""
    target = row["target"]
    if target == THE_OPERATOR.name:
        tell_operator(db, row)
    else:
        asked = Question.from_row(row, target)
        tell_one(db, target, "question", id=asked.id, asker=asked.asker, question=asked.question, options=options)


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
        of_all = hive.caller.role is Role.OPERATOR
        rows = everybodys(db, answered=all) if of_all else of_agent(db, me, answered=all)
    return [Question.from_row(row, me) for row in rows]


@operation(callers=EVERYONE, group="Messages")
def answer(hive: Hive, id: QuestionId, text: AnswerText) -> Question:
    """Answer a question that was asked of you; the operator may answer any.

    id: which question
    text: one of its options, several joined with ", ", or anything else
    """
    with hive.store.write() as db:
        row = known_to_caller(hive, db, id)
        if hive.caller.role is not Role.OPERATOR and row["target"] != hive.caller.name:
            raise Refused(f"Question {id} was asked of {row['target']}, not of {hive.caller.name}.")
        if has_expired(hive, row):
            resolve(hive, db, row, EXPIRED, SYSTEM)
        else:
            resolve(hive, db, row, text, hive.caller.name)
            return Question.from_row(one(db, row["id"]), hive.caller.name)
    # Raised inside the transaction it would take back that the question has expired.
    raise Refused(f"Question {id} has expired: its deadline was passed before the answer came.")


@operation(callers=EVERYONE, group="Messages")
def cancel_question(hive: Hive, id: QuestionId) -> Question:
    """Close a question with the answer [cancelled]: by whoever asked it, or by the operator.

    id: which question
    """
    with hive.store.write() as db:
        row = known_to_caller(hive, db, id)
        if hive.caller.role is not Role.OPERATOR and row["asker"] != hive.caller.name:
            raise Refused(f"Question {id} was not asked by {hive.caller.name}.")
        resolve(hive, db, row, CANCELLED, hive.caller.name)
        return Question.from_row(one(db, row["id"]), hive.caller.name)
