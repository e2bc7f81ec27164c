"""MCP: the operations that a container's socket allows, as tools for its model (protocol 2025-11-25, by hand)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from hive_cmds.calls import Render, Slices, document, line
from hive_cmds.registry import everything
from hive_core import __version__, wire
from hive_core.arguments import AgentName
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_core.operation import OPERATOR, Caller, Operation, Parameter, operation

PROTOCOLS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
_METHOD_NOT_FOUND, _INVALID_PARAMS, _INVALID_REQUEST = -32601, -32602, -32600

Call = Callable[[Operation, Mapping[str, Any], Render], Awaitable[Slices]]


@operation(callers=OPERATOR, group="Running", shell_only=True)
def mcp(hive: Hive, name: AgentName) -> None:
    """Serve an agent's tools over standard input and output, for an MCP client to start.

    name: whose tools; what is called counts as that agent's
    """
    import os

    from hive_agent import mcp as bridge
    from hive_cmds import agents

    with hive.store.read() as db:
        agents.require(db, name)
    os.environ["HIVE_SOCKET"] = str(hive.settings.sockets / name / "agent.sock")
    if bridge.main() != 0:
        raise HiveError(f"The gate does not serve {name}.", "`hive up` or `hive gate` does.")


@dataclass(frozen=True)
class Offer:
    """The operations that are tools for a caller, any other does not exist for it; and their list, in JSON."""

    tools: Mapping[str, Operation]
    listing: str


@cache
def offer(caller: Caller) -> Offer:
    """What a caller is offered. The same for as long as the process runs, so that asking for it costs nothing."""
    tools = {
        name: operation
        for name, operation in sorted(everything().items())
        if operation.tool and not operation.shell_only and caller in operation.callers
    }
    return Offer(tools, wire.line({"tools": [describe(operation) for operation in tools.values()]}))


def describe(operation: Operation) -> dict[str, Any]:
    """A tool as `tools/list` shows it."""
    return {
        "name": operation.name,
        "description": operation.summary,
        "inputSchema": {
            "type": "object",
            "properties": {parameter.name: _schema(parameter) for parameter in operation.parameters},
            "required": [parameter.name for parameter in operation.parameters if parameter.required],
            "additionalProperties": False,
        },
    }


def _schema(parameter: Parameter) -> dict[str, Any]:
    schema = dict(parameter.kind.schema)
    if parameter.many:
        schema = {"type": "array", "items": schema}
    return {**schema, "description": parameter.help}


async def reply(message: Any, caller: Caller, call: Call) -> Slices | None:
    """Answer one JSON-RPC message; None for a notification, which has no answer."""
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        return _error(None, _INVALID_REQUEST, "That is no JSON-RPC request.")
    if "id" not in message:
        return None
    if isinstance(message["id"], bool) or not isinstance(message["id"], str | int | float | None):
        return _error(None, _INVALID_REQUEST, "The id of a request is a text or a number.")
    number, method, params = message["id"], message["method"], message.get("params") or {}
    if not isinstance(params, dict):
        return _error(number, _INVALID_PARAMS, "params is no object.")
    if method == "tools/call":
        operation = offer(caller).tools.get(str(params.get("name")))
        if operation is None:
            return _error(number, _INVALID_PARAMS, f"There is no tool {ascii(params.get('name'))[:80]}.")
        return await _call(number, operation, params.get("arguments") or {}, call)
    answers: Mapping[str, Callable[[], str]] = {
        "initialize": lambda: wire.line(_initialize(params)),
        "ping": lambda: "{}",
        "tools/list": lambda: offer(caller).listing,
    }
    if method not in answers:
        return _error(number, _METHOD_NOT_FOUND, f"There is no method {ascii(method)[:80]}.")
    return document(f'{{"jsonrpc":"2.0","id":{wire.line(number)},"result":{answers[method]()}}}')


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


def _error(number: Any, code: int, text: str) -> Slices:
    return line({"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": text}})
