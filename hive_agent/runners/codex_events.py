"""What codex's app server tells, in our words: what a message means for the record, and how a turn ended.

The messages are JSON-RPC notifications: https://developers.openai.com/codex/app-server. What kind an error is of was
tried, not read: `codexErrorInfo` is a word, or an object of a word and the HTTP status, null where none came.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hive_agent.runners import account
from hive_agent.runners.base import End, Outcome, TurnEvent
from hive_agent.runners.json_lines import Json, items, number, table

_ENDS = {
    "contextWindowExceeded": End.PROMPT_TOO_LONG,
    "unauthorized": End.LOGGED_OUT,
    "usageLimitExceeded": End.RATE_LIMITED,
    "rateLimitExceeded": End.RATE_LIMITED,
    "serverOverloaded": End.UNAVAILABLE,
    "internalServerError": End.UNAVAILABLE,
    "flexUnavailable": End.UNAVAILABLE,
    "policyCapacityUnavailable": End.UNAVAILABLE,
}
_STATUSES: Mapping[float, End] = {401: End.LOGGED_OUT, 402: End.ACCOUNT, 403: End.ACCOUNT, 429: End.RATE_LIMITED}


def events(message: Json) -> Iterator[TurnEvent]:
    """What a notification tells, in events; many tell nothing worth keeping."""
    method, params = message.get("method"), table(message.get("params"))
    if method == "item/started":
        yield from _begun(table(params.get("item")))
    elif method == "item/completed":
        yield from _done(table(params.get("item")))
    elif method == "error" and params.get("willRetry"):
        error = table(params.get("error"))
        yield TurnEvent("retry", {"text": error.get("message"), "error": error.get("additionalDetails")})
    elif method in ("warning", "configWarning"):
        yield TurnEvent("note", {"text": str(params.get("message") or params.get("summary"))})
    elif method == "account/rateLimits/updated" and _reset(params) is not None:
        yield TurnEvent("rate_limit", table(params.get("rateLimits")))
    elif method == "turn/completed":
        turn = table(params.get("turn"))
        yield TurnEvent("result", {name: turn.get(name) for name in ("status", "error", "durationMs")})


def _begun(item: Json) -> Iterator[TurnEvent]:
    kind = item.get("type")
    if kind == "contextCompaction":
        yield TurnEvent("compacting")
    elif kind == "mcpToolCall":
        yield _call(item, f"mcp__{item.get('server')}__{item.get('tool')}", item.get("arguments"))
    elif kind == "commandExecution":
        yield _call(item, "shell", {"command": item.get("command")})
    elif kind == "fileChange":
        paths = [table(change).get("path") for change in items(item.get("changes"))]
        yield _call(item, "apply_patch", {"paths": paths})
    elif kind == "webSearch":
        yield _call(item, "web_search", {"query": item.get("query")})


def _call(item: Json, name: str, given: object) -> TurnEvent:
    return TurnEvent("tool_call", {"id": item.get("id"), "name": name, "input": given})


def _done(item: Json) -> Iterator[TurnEvent]:
    kind = item.get("type")
    if kind == "agentMessage":
        yield TurnEvent("text", {"text": item.get("text", "")})
    elif kind == "reasoning":
        if text := "\n".join(map(str, items(item.get("summary")) or items(item.get("content")))):
            yield TurnEvent("thinking", {"text": text})
    elif kind == "contextCompaction":
        yield TurnEvent("compacted", {"result": "success"})
    elif kind in ("mcpToolCall", "commandExecution", "fileChange", "webSearch"):
        failed = item.get("status") not in (None, "completed")
        yield TurnEvent("tool_result", {"id": item.get("id"), "text": _returned(item), "is_error": failed})


def _returned(item: Json) -> str:
    """What a tool gave back, as text."""
    if error := table(item.get("error")):
        return str(error.get("message"))
    if result := table(item.get("result")):
        parts = (table(part) for part in items(result.get("content")))
        return "\n".join(str(part.get("text", f"({part.get('type')})")) for part in parts)
    return str(item.get("aggregatedOutput") or item.get("status") or "")


@dataclass
class CodexTurn:
    """What the server has said so far of one turn, that its end is judged by.

    turn: its id, once it began. said: the last thing the model said. resets: unix seconds when a limit that is
    used up ends. compacted: whether the conversation was made shorter. cancelling: whether the turn was asked to end.
    """

    turn: str | None = None
    said: str = ""
    resets: float | None = None
    compacted: bool = False
    cancelling: bool = False

    def note(self, message: Json) -> None:
        """Take in a notification about our conversation."""
        method, params = message.get("method"), table(message.get("params"))
        if method == "turn/started":
            self.turn = table(params.get("turn")).get("id")
        elif method == "account/rateLimits/updated":
            self.resets = _reset(params)
        elif method == "item/completed":
            item = table(params.get("item"))
            if item.get("type") == "agentMessage":
                self.said = str(item.get("text") or "")
            self.compacted = self.compacted or item.get("type") == "contextCompaction"

    def outcome(self, message: Json) -> Outcome:
        """How the turn ended, by its `turn/completed`."""
        turn = table(table(message.get("params")).get("turn"))
        if turn.get("status") == "completed":
            return Outcome(End.DONE, self.said)
        if self.cancelling:
            return Outcome(End.CANCELLED, "cancelled")
        error = table(turn.get("error"))
        detail = str(error.get("message") or f"the turn was {turn.get('status')}")
        end = _end(error.get("codexErrorInfo"))
        if end in (End.FAILED, End.RATE_LIMITED) and account.is_about_it(detail):
            end = End.ACCOUNT
        return Outcome(end, detail, self.resets if end is End.RATE_LIMITED else None)


def _end(info: object) -> End:
    """What an error's kind means for the message in hand."""
    if isinstance(info, str):
        return _ENDS.get(info, End.FAILED)
    statuses = [table(about).get("httpStatusCode", 0) for about in table(info).values()]
    if not statuses:
        return End.FAILED
    # No status at all: the service was not reached, or hung up.
    down = statuses[0] is None or (number(statuses[0]) or 0) >= 500
    return End.UNAVAILABLE if down else _STATUSES.get(number(statuses[0]) or 0, End.FAILED)


def _reset(params: Json) -> float | None:
    """When the last of the limits that are used up ends, in unix seconds; None where none is, or none says when."""
    limits = table(params.get("rateLimits"))
    windows = [table(limits.get(name)) for name in ("primary", "secondary")]
    full = [number(window.get("resetsAt")) for window in windows if (number(window.get("usedPercent")) or 0) >= 100]
    return max((moment for moment in full if moment is not None), default=None)
