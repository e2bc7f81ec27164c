"""What an agent's page tells of its turns.

The page is served by the agent's harness, so everything that comes from it is the agent's word, and is treated so:
lines of at most a mebibyte, printed safely. That is also why the page's stream is read here, and not the file in which
the turns are recorded: no parser of ours ever opens a database that an agent wrote.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hive_core.errors import HiveError
from hive_core.signals import check_ended
from hive_core.text import one_line
from hive_fleet.agents.page import PageAddress

if TYPE_CHECKING:
    from http.client import HTTPResponse

LONGEST_STREAM_LINE = 1024 * 1024
# The page gives a sign of life twice as often.
SILENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Told:
    """One message of an agent's page. kind: now, turn or event. data: untrusted, as the agent sent it."""

    kind: str
    data: dict[str, Any]

    def text(self) -> str:
        return _TEXTS[self.kind](self.data)


def stream(name: str, page: PageAddress, last: int) -> Iterator[Told]:
    """What the page of an agent tells, from the newest `last` events on, until it ends. Raises HiveError."""
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection(page.host, page.port, timeout=SILENCE_SECONDS)
    try:
        connection.request("GET", f"/events?last={last}", headers={"Authorization": f"Bearer {page.key}"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise HiveError(f"{name}'s page answered with {answer.status}: {answer.read(500).decode(errors='replace')}")
        yield from _told(answer)
    except (OSError, HTTPException, ValueError, RecursionError) as error:
        raise HiveError(f"The stream of {name} broke off: {error}.", f"`hive journal {name}` may say why.") from error
    finally:
        connection.close()


def _told(answer: HTTPResponse) -> Iterator[Told]:
    """Read a stream of server-sent events. Raises ValueError for anything else."""
    kind, begun = "", set()
    while line := answer.readline(LONGEST_STREAM_LINE):
        if not line.endswith(b"\n"):
            raise ValueError("it sent a line that is too long, or half of one")
        # At the latest when the page gives a sign of life.
        check_ended()
        field, _, value = line.decode(errors="replace").rstrip("\n").partition(": ")
        if field == "event":
            kind = value
        elif field == "data" and kind in _TEXTS:
            data = json.loads(value)
            if not isinstance(data, dict):
                raise ValueError("it sent something that is no JSON object")
            # Earlier turns come first; of those that are over only the events were asked for.
            if kind == "turn" and data.get("ended") is None:
                begun.add(str(data.get("id")))
            elif kind == "turn" and str(data.get("id")) not in begun:
                continue
            told = Told(kind, data)
            if told.text():
                yield told


def _state(data: dict[str, Any]) -> str:
    about = data.get("text")
    return f"* {_word(data, 'state')}" + (f": {_word(data, 'text')}" if about else "")


def _turn(data: dict[str, Any]) -> str:
    turn = f"--- turn {_word(data, 'id')}"
    if data.get("ended") is None:
        return f"{turn}, a message from {_word(data, 'sender')}\n{_indented(str(data.get('body')))}"
    return f"{turn} ended: {_word(data, 'outcome')}"


def _word(data: dict[str, Any], field: str) -> str:
    """A field that stands in a line of hive's own: nothing in it begins another one."""
    return one_line(str(data.get(field)).replace("_", " "))


def _event(data: dict[str, Any]) -> str:
    fields = data.get("data")
    if not isinstance(fields, dict):
        return ""
    match data.get("kind"):
        # Whatever the agent can write is indented, so that it cannot pass for a line of hive's own.
        case "text" | "thinking" | "note":
            return _indented(str(fields.get("text", "")))
        case "tool_call":
            return f"  > {one_line(str(fields.get('name')))} {json.dumps(fields.get('input'), ensure_ascii=False)}"
        case "tool_result":
            return _indented(str(fields.get("text", "")))
        case "compacting":
            return _indented("compacting the conversation")
    return ""


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


_TEXTS = {"now": _state, "turn": _turn, "event": _event}
