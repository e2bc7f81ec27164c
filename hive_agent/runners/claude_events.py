"""Claude's stream of JSON lines, in our words: what an event means for the record, and how a turn ended.

What the fields say was tried, not read: `subtype` is "success" for errors too, so only `is_error` counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hive_agent.runners import account
from hive_agent.runners.base import End, Outcome, TurnEvent
from hive_agent.runners.json_lines import Json, items, number, table

_RESULT = ("is_error", "api_error_status", "terminal_reason", "num_turns", "duration_ms", "total_cost_usd", "result")


def events(line: Json) -> Iterator[TurnEvent]:
    """What a line of the stream tells, in events; many tell nothing worth keeping."""
    kind, subtype = line.get("type"), line.get("subtype")
    if kind == "assistant":
        yield from (event for block in _blocks(line) for event in _said(block))
    elif kind == "user" and not line.get("isReplay"):
        yield from (event for block in _blocks(line) for event in _returned(block))
    elif kind == "system" and subtype == "init":
        yield TurnEvent("model", {"model": line.get("model"), "mcp_servers": _servers(line)})
    elif kind == "system" and subtype == "status":
        if line.get("status") == "compacting":
            yield TurnEvent("compacting")
        elif line.get("compact_result"):
            yield TurnEvent("compacted", {"result": line["compact_result"], "error": line.get("compact_error")})
    elif kind == "system" and subtype == "api_retry":
        names = ("attempt", "max_retries", "retry_delay_ms", "error_status", "error")
        yield TurnEvent("retry", {name: line.get(name) for name in names})
    elif kind == "rate_limit_event":
        yield TurnEvent("rate_limit", table(line.get("rate_limit_info")))
    elif kind == "result":
        yield TurnEvent("result", {name: line.get(name) for name in _RESULT})


def _blocks(line: Json) -> list[Json]:
    return [block for block in items(table(line.get("message")).get("content")) if isinstance(block, dict)]


def _servers(line: Json) -> Json:
    """The MCP servers that it was to reach: how each is, by its name."""
    return {str(table(server).get("name")): table(server).get("status") for server in items(line.get("mcp_servers"))}


def _said(block: Json) -> Iterator[TurnEvent]:
    if block.get("type") == "text":
        yield TurnEvent("text", {"text": block.get("text", "")})
    elif block.get("type") == "thinking":
        yield TurnEvent("thinking", {"text": block.get("thinking", "")})
    elif block.get("type") == "tool_use":
        yield TurnEvent("tool_call", {"id": block.get("id"), "name": block.get("name"), "input": block.get("input")})


def _returned(block: Json) -> Iterator[TurnEvent]:
    if block.get("type") == "tool_result":
        content = block.get("content")
        parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
        text = "\n".join(str(part.get("text", f"({part.get('type')})")) for part in parts if isinstance(part, dict))
        yield TurnEvent(
            "tool_result", {"id": block.get("tool_use_id"), "text": text, "is_error": bool(block.get("is_error"))}
        )


@dataclass
class ClaudeTurn:
    """What the stream has said so far of one turn, that its end is judged by.

    spoke: whether it said anything. ours: whether our prompt was taken up. error: the last answer's kind of error,
    when it was one. resets: unix seconds a rejected limit named. compacted: what the last compaction said.
    unconnected: whether the gate's tools were missing. cancelling: whether the turn was asked to end.
    code: the exit code of a process that ended without a result, or minus the signal's number.
    """

    spoke: bool = False
    ours: bool = False
    error: str | None = None
    resets: float | None = None
    compacted: str | None = None
    unconnected: bool = False
    cancelling: bool = False
    code: int = 0

    def note(self, line: Json, mark: str) -> None:
        """Take in a line of the stream. mark: the uuid our prompt was given."""
        self.spoke = True
        kind = line.get("type")
        if kind == "assistant":
            self.error = line.get("error")
        elif kind == "user" and line.get("uuid") == mark:
            self.ours = True
        elif kind == "rate_limit_event":
            info = table(line.get("rate_limit_info"))
            resets = number(info.get("resetsAt"))
            if info.get("status") == "rejected" and resets is not None:
                self.resets = resets
        elif kind == "system" and line.get("subtype") == "init":
            self.unconnected = _servers(line).get("hive") == "failed"
        elif kind == "system" and line.get("compact_result"):
            self.compacted = line["compact_result"]

    def ends(self, line: Json) -> bool:
        """Whether this line is the result of our turn, and not of one that the process took by itself before."""
        return line.get("type") == "result" and (self.ours or "origin" not in line)

    def outcome(self, result: Json) -> Outcome:
        """How the turn ended, by its `result` line."""
        detail = str(result.get("result") or result.get("terminal_reason") or "it failed without a reason")
        end = self._end(result, detail)
        return Outcome(end, detail, self.resets if end is End.RATE_LIMITED else None)

    def _end(self, result: Json, said: str) -> End:
        status = result.get("api_error_status")
        status = status if isinstance(status, int) else 0
        failed = result.get("is_error") is not False and status < 500
        unpaid = self.error == "billing_error" or (failed and account.is_about_it(said))
        judged = (
            (result.get("is_error") is False, End.DONE),
            (self.cancelling, End.CANCELLED),
            (result.get("terminal_reason") == "prompt_too_long", End.PROMPT_TOO_LONG),
            (unpaid, End.ACCOUNT),
            (status == 401 or self.error == "authentication_failed", End.LOGGED_OUT),
            (status in (402, 403) or self.error == "oauth_org_not_allowed", End.ACCOUNT),
            (status == 429 or self.error == "rate_limit", End.RATE_LIMITED),
            (status >= 500 or self.error == "server_error", End.UNAVAILABLE),
        )
        return next((end for holds, end in judged if holds), End.FAILED)
