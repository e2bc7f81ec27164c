"""Messages and questions as the state of everything shows them: the newest ones, and all that wait for the operator."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from hive_core.caller import THE_OPERATOR
from hive_fleet.messages import questions
from hive_fleet.messages.messages import SYSTEM

# Characters of a message that are shown; `hive why ID` tells all of it.
SHOWN = 4000

_SAID = f"indexed by messages_said where sender != '{SYSTEM}'"
_TOLD = f"indexed by messages_told where sender = '{SYSTEM}'"
_ANSWERED = (
    f"indexed by questions_answered where target = '{THE_OPERATOR.name}' and answered_at is not null"
    " order by cast(answered_at as integer) desc, id desc limit ?"
)


def newest(db: sqlite3.Connection, most: int, *, of_the_system: bool) -> list[dict[str, Any]]:
    """The newest messages, oldest first: what the system has told, or what people and agents have said."""
    fields = "id, sender, recipient, substr(body, 1, ?) as body, length(body) as length, sent_at, deliveries"
    which = _TOLD if of_the_system else _SAID
    query = f"select {fields} from messages {which} order by id desc limit ?"  # noqa: S608
    return [
        {
            "id": row["id"],
            "from": row["sender"],
            "to": row["recipient"],
            "body": row["body"],
            "length": row["length"],
            "at": int(row["sent_at"]),
            "deliveries": row["deliveries"],
        }
        for row in db.execute(query, (SHOWN, most)).fetchall()[::-1]
    ]


def waiting_questions(db: sqlite3.Connection) -> list[dict[str, Any]]:
    """Every question that waits for the operator's answer, oldest first, as the event that told of it."""
    return [_asked(row) for row in questions.for_operator(db)]


def newest_answered(db: sqlite3.Connection, most: int) -> list[dict[str, Any]]:
    """The operator's questions that were answered last, the last at the end, as both their events told of them."""
    rows = db.execute(f"select * from questions {_ANSWERED}", (most,)).fetchall()  # noqa: S608
    return [{**_asked(row), **_answer(row)} for row in rows[::-1]]


def _asked(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "asker": row["asker"],
        "target": row["target"],
        "question": row["question"],
        "options": json.loads(row["options"]),
        "multi": bool(row["multi"]),
        "asked_at": int(row["asked_at"]),
        "deadline_at": None if row["deadline_at"] is None else int(row["deadline_at"]),
    }


def _answer(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "answer": row["answer"],
        "answerer": row["answerer"],
        "answered_at": int(row["answered_at"]),
        "cancelled": bool(row["cancelled"]),
    }
