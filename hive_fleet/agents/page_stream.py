"""What an agent's page tells of its turns.

The page is served by the agent's harness, so everything that comes from it is the agent's word, and is treated so:
lines of at most a mebibyte, printed safely. That is also why the page's stream is read here, and not the file in which
the turns are recorded: no parser of ours ever opens a database that an agent wrote.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from socket import create_connection, socket
from typing import Any

from hive_agent.lines import LineBuffer
from hive_core import wire
from hive_core.errors import HiveError
from hive_core.signals import readable
from hive_core.text import one_line
from hive_fleet.agents.page import PageAddress, authorization, request

LONGEST_STREAM_LINE, MOST_IN_HEAD = 1024 * 1024, 100
# The page gives a sign of life twice as often.
SILENCE_SECONDS = 30.0
# Who shows a stream may be the hive that is up, which has others to serve. A message that took longer than a moment to
# read and to write is followed by so many times as long in which nothing more is read. In seconds of a processor.
MOMENT, REST = 0.005, 5
# Of so many turns it is known that they were told to begin; an id has so many characters at the most.
MOST_BEGUN, LONGEST_ID = 500, 40
# How deep the data of a message may be nested: more is neither shown nor passed on.
MOST_LEVELS = 100


@dataclass(frozen=True, slots=True)
class Told:
    """One message of an agent's page. kind: now, turn or event. data: untrusted, as the agent sent it."""

    kind: str
    data: dict[str, Any]

    def text(self) -> str:
        return _TEXTS[self.kind](self.data)


def stream(name: str, page: PageAddress, last: int) -> Iterator[Told]:
    """What the page of an agent tells, from the newest `last` events on, until it ends. Raises HiveError."""
    try:
        with create_connection((page.host, page.port), SILENCE_SECONDS) as connection:
            request(connection, page, "GET", f"/events?last={last}", authorization(page))
            lines = _lines(connection)
            status = _head(lines)
            if status != "200":
                raise HiveError(f"{name}'s page answered with {status}.", f"`hive journal {name}` may say why.")
            yield from _told(lines)
    except (OSError, ValueError, RecursionError) as error:
        raise HiveError(f"The stream of {name} broke off: {error}.", f"`hive journal {name}` may say why.") from error


def _lines(connection: socket) -> Iterator[str]:
    """Each line as it comes. Who is told to end, or presses Ctrl-C, is not kept by a line that never ends.

    Raises ValueError for a line that is too long or is broken off, and TimeoutError for a long silence.
    """
    buffer = LineBuffer(LONGEST_STREAM_LINE)
    while True:
        if not readable([connection.fileno()], SILENCE_SECONDS):
            raise TimeoutError("it has been silent for too long")
        more = connection.recv(64 * 1024)
        if not more:
            break
        for line in buffer.feed(more):
            yield line.decode(errors="replace").removesuffix("\r")
    if buffer.take_rest():
        raise ValueError("it sent half of a line")


def _head(lines: Iterator[str]) -> str:
    """Read the head of an answer: the code of its status (RFC 9112)."""
    status = next(lines, "").partition(" ")[2][:3]
    for line in islice(lines, MOST_IN_HEAD):
        if not line:
            return one_line(status)
    raise ValueError("it sent no head of an answer")


def _told(lines: Iterator[str]) -> Iterator[Told]:
    """Read a stream of server-sent events. Raises ValueError for anything else."""
    kind, begun = "", dict[str, None]()
    for line in lines:
        field, _, value = line.partition(": ")
        if field == "event":
            kind = value
        elif field == "data" and kind in _TEXTS:
            before = time.thread_time()
            data = _read(value, kind)
            # Earlier turns come first; of those that are over only the events were asked for.
            if kind == "turn" and not _is_told(data, begun):
                continue
            told = Told(kind, data)
            if told.text():
                yield told
            if (spent := time.thread_time() - before) > MOMENT:
                readable([], REST * spent)


def _read(document: str, kind: str) -> dict[str, Any]:
    """A message's data, as deep as it can be shown. An event that is deeper is told of: what comes after it is read."""
    try:
        data = wire.read(document)
        deep = not _is_shallow(data)
    except RecursionError:
        data, deep = {}, True
    if not isinstance(data, dict):
        raise ValueError("it sent something that is no JSON object")
    if not deep:
        return _plain(data, kind)
    if kind != "event":
        raise ValueError("it sent something that is nested too deeply")
    return {"kind": "note", "data": {"text": "(something nested too deeply to be shown)"}}


def _plain(data: dict[str, Any], kind: str) -> dict[str, Any]:
    """A turn or an event with texts and numbers alone, but for what a tool was given: who shows one counts on that."""
    if kind == "now":
        return data
    fields = data.get("data")
    inner = {"data": _without_parts(fields, but="input")} if isinstance(fields, dict) else {}
    return _without_parts(data) | inner


def _without_parts(fields: dict[str, Any], but: str = "") -> dict[str, Any]:
    """Lists and objects as their JSON."""
    return {
        name: wire.line(value) if isinstance(value, (dict, list)) and name != but else value
        for name, value in fields.items()
    }


def _is_shallow(value: Any) -> bool:
    """Whether a value has at most so many levels. One after the other: a function that calls itself could not tell."""
    level = [value]
    for _ in range(MOST_LEVELS):
        level = [item for each in level if isinstance(each, (dict, list))
                 for item in (each.values() if isinstance(each, dict) else each)]  # fmt: skip
        if not level:
            return True
    return False


def _is_told(turn: dict[str, Any], begun: dict[str, None]) -> bool:
    """Whether a turn begins, or is one of those that have."""
    key = str(turn.get("id"))[:LONGEST_ID]
    if turn.get("ended") is not None:
        return key in begun
    begun[key] = None
    if len(begun) > MOST_BEGUN:
        del begun[next(iter(begun))]
    return True


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
