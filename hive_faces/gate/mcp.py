"""MCP: the operations that a container's socket allows, as tools for its model (protocol 2025-11-25, by hand)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from hive_core import __version__, wire
from hive_core.arguments import AgentName
from hive_core.caller import Role
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_core.operation import OPERATOR, Operation, Parameter, operation
from hive_faces.gate.calls import Render, Slices, document, line
from hive_faces.verbs import everything

PROTOCOLS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
PARSE_ERROR, INVALID_REQUEST, INTERNAL_ERROR = -32700, -32600, -32603
_METHOD_NOT_FOUND, _INVALID_PARAMS = -32601, -32602
# Messages that may be sent as one.
MOST_CALLS = 64

Call = Callable[[Operation, Mapping[str, Any], Render], Awaitable[Slices]]


@operation(callers=OPERATOR, group="Running", shell_only=True)
def mcp(hive: Hive, name: AgentName) -> None:
    """Serve an agent's tools over standard input and output, for an MCP client to start.

    name: whose tools; what is called counts as that agent's
    """
    import os

    from hive_agent import mcp as bridge
    from hive_fleet.agents import table

    with hive.store.read() as db:
        table.one(db, name)
    os.environ["HIVE_SOCKET"] = str(hive.settings.sockets / name / "agent.sock")
    if bridge.main() != 0:
        raise HiveError(f"The gate does not serve {name}.", "`hive up` or `hive gate` does.")


@dataclass(frozen=True)
class Offer:
    """The operations that are tools for a caller, any other does not exist for it; and their list, in JSON."""

    tools: Mapping[str, Operation]
    listing: str


@cache
def offer(caller: Role) -> Offer:
    """What a caller is offered. The same for as long as the process runs, so that asking for it costs nothing."""
    tools = {
        name: operation
        for name, operation in sorted(everything().items())
        if operation.tool and not operation.shell_only and caller in operation.callers
    }
    return Offer(tools, wire.line({"tools": [describe(operation, caller) for operation in tools.values()]}))


def describe(operation: Operation, caller: Role) -> dict[str, Any]:
    """A tool as `tools/list` shows it to a caller."""
    offered = operation.offered(caller)
    return {
        "name": operation.name,
        "description": operation.summary,
        "inputSchema": {
            "type": "object",
            "properties": {parameter.name: _schema(parameter) for parameter in offered},
            "required": [parameter.name for parameter in offered if parameter.needed(caller)],
            "additionalProperties": False,
        },
    }


def _schema(parameter: Parameter) -> dict[str, Any]:
    schema = dict(parameter.kind.schema)
    if parameter.many:
        schema = {"type": "array", "items": schema}
    return {**schema, "description": parameter.help}


async def reply(message: Any, caller: Role, call: Call) -> Slices | None:
    """Answer one JSON-RPC message, or a list of them; None for a notification, which has no answer."""
    if isinstance(message, list):
        return await _replies(message, caller, call)
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        return error(None, INVALID_REQUEST, "That is no JSON-RPC request.")
    if "id" not in message:
        return None
    if isinstance(message["id"], bool) or not isinstance(message["id"], str | int | float | None):
        return error(None, INVALID_REQUEST, "The id of a request is a text or a number.")
    number, method, params = message["id"], message["method"], message.get("params") or {}
    if not isinstance(params, dict):
        return error(number, _INVALID_PARAMS, "params is no object.")
    if method == "tools/call":
        operation = offer(caller).tools.get(str(params.get("name")))
        if operation is None:
            return error(number, _INVALID_PARAMS, f"There is no tool {ascii(params.get('name'))[:80]}.")
        return await _call(number, operation, params.get("arguments") or {}, call)
    answers: Mapping[str, Callable[[], str]] = {
        "initialize": lambda: wire.line(_initialize(params)),
        "ping": lambda: "{}",
        "tools/list": lambda: offer(caller).listing,
    }
    if method not in answers:
        return error(number, _METHOD_NOT_FOUND, f"There is no method {ascii(method)[:80]}.")
    return document(f'{{"jsonrpc":"2.0","id":{wire.line(number)},"result":{answers[method]()}}}')


async def _replies(messages: list[Any], caller: Role, call: Call) -> Slices | None:
    """Answer several messages that came as one line, as clients of the protocol 2025-03-26 may send them."""
    if not 0 < len(messages) <= MOST_CALLS:
        return error(None, INVALID_REQUEST, f"A list holds from 1 to {MOST_CALLS} messages.")
    if any(isinstance(message, list) for message in messages):
        return error(None, INVALID_REQUEST, "A list in a list is no JSON-RPC.")
    answers = await asyncio.gather(*(reply(message, caller, call) for message in messages))
    parts: Slices = []
    for answer in filter(None, answers):
        parts += [b"," if parts else b"[", *answer[:-1], answer[-1].removesuffix(b"\n")]
    return [*parts, b"]\n"] if parts else None


async def _call(number: Any, operation: Operation, arguments: Any, call: Call) -> Slices:
    """Run a tool. What it refuses is told as its result, so that the model reads the sentence and can act on it."""
    try:
        if not isinstance(arguments, dict):
            return _refusal(number, f"{operation.name} takes an object of arguments.")
        return await call(operation, arguments, lambda result: _told(number, result))
    except HiveError as error:
        return _refusal(number, str(error))


def _told(number: Any, result: Any) -> Iterator[str]:
    """The answer to a call: the result's JSON, as a text."""
    yield f'{{"jsonrpc":"2.0","id":{wire.line(number)},"result":{{"content":[{{"type":"text","text":"'
    for piece in ["done"] if result is None else wire.pieces(result):
        yield wire.line(piece)[1:-1]
    yield '"}],"isError":false}}'


def _refusal(number: Any, text: str) -> Slices:
    result = {"content": [{"type": "text", "text": text}], "isError": True}
    return line({"jsonrpc": "2.0", "id": number, "result": result})


def _initialize(params: Mapping[str, Any]) -> dict[str, Any]:
    asked = params.get("protocolVersion")
    return {
        "protocolVersion": asked if asked in PROTOCOLS else PROTOCOLS[0],
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "hive", "version": __version__},
    }


def error(number: Any, code: int, text: str) -> Slices:
    """What is wrong with a message. number: its id, None where it has none that can be read."""
    return line({"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": text}})
