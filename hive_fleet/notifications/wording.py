"""A notification in words: a title, a text, and the same for a program."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hive_core.need_kinds import GRAVE
from hive_core.text import one_line
from hive_fleet.needs.need import Need

# Rows that a notification names; the list has the rest.
MOST_ROWS = 10
# Seconds after which it is said when a notification was due.
LATE = 600.0


class Wording(NamedTuple):
    """What a service is given. data: the same for a command, as JSON."""

    title: str
    body: str
    grave: bool
    data: Mapping[str, Any]


def row(need: Need, *, again: bool, words: bool) -> dict[str, Any]:
    """What of a need leaves the machine; somebody else's words only where the operator wants it."""
    told = need.wire()
    if not words:
        told.pop("quote", None)
    return {**told, "sentence": need.sentence, "again": again}


def message(rows: Sequence[Mapping[str, Any]], due_at: float, now: float, link: str | None) -> Wording:
    """Word what has become due since a moment."""
    host = one_line(socket.gethostname())
    first = one_line(rows[0]["sentence"])
    title = f"hive on {host}: " + (first if len(rows) == 1 else f"{len(rows)} need you")
    lines = [_line(each) for each in rows[:MOST_ROWS]]
    if len(rows) > MOST_ROWS:
        lines.append(f"and {len(rows) - MOST_ROWS} more: hive needs-you")
    if now - due_at > LATE:
        lines.append(f"(of {time.strftime('%H:%M', time.localtime(due_at))}: it could not be sent before)")
    if link:
        lines.append(link)
    data = {"title": title, "host": host, "needs": [dict(each) for each in rows], "link": link, "at": int(due_at)}
    return Wording(title, "\n".join(lines), any(each["weight"] >= GRAVE for each in rows), data)


def test_message(now: float, link: str | None) -> Wording:
    """What `hive notify --test` sends."""
    host = one_line(socket.gethostname())
    title, body = f"hive on {host}: a test", "This is what a notification of hive's looks like."
    data: dict[str, Any] = {"title": title, "host": host, "needs": [], "link": link, "at": int(now)}
    return Wording(title, f"{body}\n{link}" if link else body, False, data)


def _line(told: Mapping[str, Any]) -> str:
    quote = f": {one_line(told['quote'])}" if told.get("quote") else ""
    again = "still: " if told["again"] else ""
    return f"{again}{one_line(told['sentence'])}{quote} ({one_line(told['command'])})"
