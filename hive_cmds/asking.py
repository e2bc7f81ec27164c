"""Asking: whom a question may go to, how many may be open, and where it is told."""

from __future__ import annotations

import json
import sqlite3
from typing import Annotated

from hive_cmds.questions import Question, from_row, require
from hive_core.arguments import Also, whole, words
from hive_core.context import Hive
from hive_core.errors import Invalid, NotFound, Refused
from hive_core.events import emit
from hive_core.operation import EVERYONE, Caller, operation
from hive_fleet.messages.messages import (
    MOST_UNREAD_OF_ONE,
    SYSTEM,
    THE_OPERATOR,
    Recipient,
    require_allowed,
    require_room,
    tell_one,
)
from hive_fleet.messages.readers import known_as

MOST_OPTIONS = 20
# Open questions that one asker may have: the operator reads every one of them.
MOST_OPEN = 100

QuestionText = Annotated[str, words(16 * 1024, "the question", "QUESTION")]
Option = Annotated[str, words(1024, "the option", "TEXT")]
Ttl = Annotated[int, whole(1, 30 * 86400, "the time to answer in seconds", "SECONDS"), Also("ttl_seconds")]


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
    target = to or THE_OPERATOR
    if len(options or []) > MOST_OPTIONS:
        raise Invalid(f"{len(options or [])} options are too many; at most {MOST_OPTIONS} are taken.")
    now = hive.clock()
    with hive.store.write() as db:
        _require_target(hive, db, target)
        _require_few(hive, db)
        cursor = db.execute(
            "insert into questions (asker, target, question, options, multi, asked_at, deadline_at)"
            " values (?, ?, ?, ?, ?, ?, ?)",
            (hive.caller.name, target, question, json.dumps(options or []), multi, now, now + ttl if ttl else None),
        )
        row = require(db, int(cursor.lastrowid or 0))
        if target == THE_OPERATOR:
            _announce(db, from_row(row, THE_OPERATOR))
        else:
            number = known_as(row, target, "target", "asker")
            tell_one(db, target, "question", id=number, asker=row["asker"], question=question, options=options)
        return from_row(row, hive.caller.name)


@operation(callers=frozenset({Caller.MANAGER}), group="Messages")
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
    if target == THE_OPERATOR:
        return
    require_allowed(hive, db, target)
    if target == hive.caller.name or not db.execute("select 1 from agents where name = ?", (target,)).fetchone():
        raise NotFound(f"There is no other agent {target!r} to ask.", "Leave --to away to ask the operator.")
    require_room(hive, db, target)
    _require_few_unread(hive, db, target)


def _require_few_unread(hive: Hive, db: sqlite3.Connection, target: str) -> None:
    """Raises Refused for an agent of whose questions the target has not read so many.

    The system tells of a question, so that they are not counted among the asker's messages; who asks and cancels
    would fill the inbox with them.
    """
    query = (
        "select count(*) from messages indexed by messages_unread"
        " where recipient = ? and sender = ? and delivered_at is null"
        " and case when json_valid(body) then json_extract(body, '$.asker') end = ?"
    )
    asked = db.execute(query, (target, SYSTEM, hive.caller.name)).fetchone()[0]
    if hive.caller.caller is not Caller.OPERATOR and asked >= MOST_UNREAD_OF_ONE:
        raise Refused(f"{target} has yet to read {asked} questions of {hive.caller.name}.", "Ask it when it has.")


def _require_few(hive: Hive, db: sqlite3.Connection) -> None:
    query = "select count(*) from questions where asker = ? and answered_at is null"
    if hive.caller.caller is not Caller.OPERATOR and db.execute(query, (hive.caller.name,)).fetchone()[0] >= MOST_OPEN:
        raise Refused(
            f"{hive.caller.name} has {MOST_OPEN} open questions, which is the most.",
            "Wait for an answer, or close one: cancel-question ID.",
        )


def _announce(db: sqlite3.Connection, asked: Question) -> None:
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
