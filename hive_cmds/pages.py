"""The agents' own pages: the link with its key for the operator, and the same stream in the terminal.

The page is served by the agent's harness, so everything that comes from it is the agent's word, and is treated so:
lines of at most a mebibyte, printed safely. That is also why `attach` reads the page's stream and not the file that
the turns are recorded in: no parser of ours ever opens a database that an agent wrote. Any process of the machine could
listen on the port, so before the key is given to anybody, who listens there has to prove that it has the key.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from hive_agent.page.shield import prove
from hive_core.arguments import AgentName, whole
from hive_core.context import Hive
from hive_core.errors import HiveError, Refused
from hive_core.operation import OPERATOR, operation
from hive_fleet.agents import table
from hive_fleet.home import ports
from hive_fleet.home.listening import listeners

if TYPE_CHECKING:
    from http.client import HTTPResponse

ADDRESS = "127.0.0.1"
LONGEST_LINE = 1024 * 1024
# The page gives a sign of life twice as often.
SILENCE_SECONDS = 30.0
# How long who serves a port may take to prove that it is the agent, and how long its answer may be, in bytes.
PROOF_SECONDS, LONGEST_PROOF = 10.0, 4096

Last = Annotated[int, whole(0, 500, "the number of events", "N")]


@dataclass(frozen=True, slots=True)
class Page:
    """An agent's page. url: the link, the key behind its '#', where no browser sends it to a server."""

    name: str
    url: str

    def text(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that an agent's page told. kind: now, turn or event. data: what it said, its own word."""

    kind: str
    data: dict[str, Any]

    def text(self) -> str:
        return _TEXTS[self.kind](self.data)


@operation(callers=OPERATOR, group="Agents")
def open_(hive: Hive, name: AgentName) -> Page:
    """Print the link to an agent's own page, with the key of its present start.

    name: whose page
    """
    port, key = _reach(hive, name)
    return Page(name, f"http://{ADDRESS}:{port}/#key={key}")


@operation(callers=OPERATOR, group="Seeing", shell_only=True)
def attach(hive: Hive, name: AgentName, last: Last = 20) -> Iterator[Told]:
    """Show an agent's turns live, until it ends or Ctrl-C.

    name: whose turns
    last: begin with so many of the newest events
    """
    port, key = _reach(hive, name)
    return _until_it_ends(hive, name, _stream(name, port, key, last))


def _until_it_ends(hive: Hive, name: str, stream: Iterator[Told]) -> Iterator[Told]:
    yield from stream
    hive.say(f"{name}'s turns have ended with it, or with its harness: `hive list` shows how it is")


def _reach(hive: Hive, name: str) -> tuple[int, str]:
    """The port of an agent's page and its key. Raises Refused unless the agent itself is who listens there."""
    with hive.store.read() as db:
        if table.one(db, name)["runner"] == "command":
            raise Refused(f"{name} runs a command of its own, and has no page.", f"`hive journal {name}` shows it.")
    key, port = hive.host.page_key(name), ports.of(hive, name)
    if key is None:
        raise Refused(f"{name} is not running, so it has no page.", f"`hive start {name}` starts it.")
    listening = listeners().get(port)
    if not listening:
        raise Refused(f"{name} serves no page on port {port} (yet).", f"`hive journal {name}` may say why.")
    if not _has(port, key):
        users = " and ".join(f"user {uid}" for uid in sorted(listening))
        raise Refused(
            f"{name} has no page: its port {port} is held by another process, of {users}.",
            f"End that one, or write another number to {hive.agent_path(name) / 'port'}; then `hive restart {name}`.",
        )
    return port, key


def _has(port: int, key: str) -> bool:
    """Whether who serves the port has the key, by a proof that gives it to nobody (shield.py)."""
    from http.client import HTTPConnection, HTTPException

    nonce = secrets.token_hex(32)
    connection = HTTPConnection(ADDRESS, port, timeout=PROOF_SECONDS)
    try:
        connection.request("GET", f"/proof?nonce={nonce}")
        answer = json.loads(connection.getresponse().read(LONGEST_PROOF))
    except (OSError, HTTPException, ValueError, RecursionError):
        return False
    finally:
        connection.close()
    proof = answer.get("proof") if isinstance(answer, dict) else None
    right = prove(key, nonce, port).encode()
    return isinstance(proof, str) and hmac.compare_digest(proof.encode("utf-8", "replace"), right)


def _stream(name: str, port: int, key: str, last: int) -> Iterator[Told]:
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection(ADDRESS, port, timeout=SILENCE_SECONDS)
    try:
        connection.request("GET", f"/events?last={last}", headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise HiveError(f"{name}'s page answered with {answer.status}: {answer.read(500).decode(errors='replace')}")
        yield from _told(answer)
    except (OSError, HTTPException, ValueError) as error:
        raise HiveError(f"The stream of {name} broke off: {error}.", f"`hive journal {name}` may say why.") from error
    finally:
        connection.close()


def _told(answer: HTTPResponse) -> Iterator[Told]:
    """Read the stream: blocks of `field: value` lines. Raises ValueError for what is none."""
    kind, begun = "", set()
    while line := answer.readline(LONGEST_LINE):
        if not line.endswith(b"\n"):
            raise ValueError("it sent a line that is too long, or half of one")
        field, _, value = line.decode(errors="replace").rstrip("\n").partition(": ")
        if field == "event":
            kind = value
        elif field == "data" and kind in _TEXTS:
            data = json.loads(value)
            if not isinstance(data, dict):
                raise ValueError("it sent something that is no JSON object")
            # The turns of before come first: of those that are over nobody asked.
            if kind == "turn" and data.get("ended") is None:
                begun.add(str(data.get("id")))
            elif kind == "turn" and str(data.get("id")) not in begun:
                continue
            told = Told(kind, data)
            if told.text():
                yield told


def _state(data: dict[str, Any]) -> str:
    about = data.get("text")
    return f"* {str(data.get('state')).replace('_', ' ')}" + (f": {about}" if about else "")


def _turn(data: dict[str, Any]) -> str:
    if data.get("ended") is None:
        return f"--- turn {data.get('id')}, a message from {data.get('sender')}\n{_indented(str(data.get('body')))}"
    return f"--- turn {data.get('id')} ended: {str(data.get('outcome')).replace('_', ' ')}"


def _event(data: dict[str, Any]) -> str:
    fields = data.get("data")
    if not isinstance(fields, dict):
        return ""
    match data.get("kind"):
        # All that the agent can write stands apart from the left edge, where hive's own lines begin.
        case "text" | "thinking" | "note":
            return _indented(str(fields.get("text", "")))
        case "tool_call":
            return f"  > {fields.get('name')} {json.dumps(fields.get('input'), ensure_ascii=False)}"
        case "tool_result":
            return _indented(str(fields.get("text", "")))
        case "compacting":
            return _indented("compacting the conversation")
    return ""


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


_TEXTS = {"now": _state, "turn": _turn, "event": _event}
