"""A scripted Messages API on loopback, which `claude` talks to: https://docs.claude.com/en/api/messages."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from tests.stand_ins.scripted import Asked, Failure, Json, ScriptedApi, Text, ToolUse, main, wait_in

UNAUTHORIZED = Failure(401, "authentication_error", "invalid x-api-key")
# What concerns the account and no message, as the service words it.
ACCOUNT = (
    Failure(400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
    Failure(403, "permission_error", "This organization has been disabled."),
    Failure(400, "invalid_request_error", "This organization has been disabled."),
    Failure(400, "invalid_request_error", "You have reached your specified API usage limits."),
    Failure(403, "permission_error", "OAuth authentication is currently not allowed for this organization."),
)
OVERLOADED = Failure(529, "overloaded_error", "Overloaded")
PROMPT_TOO_LONG = Failure(400, "invalid_request_error", "prompt is too long: 215000 tokens > 200000 maximum")


def rate_limited(until: float) -> Failure:
    """HTTP 429 as a subscription's limit gives it; until: unix seconds at which it resets."""
    headers = {
        "retry-after": str(max(1, int(until - time.time()))),
        "anthropic-ratelimit-unified-status": "rejected",
        "anthropic-ratelimit-unified-reset": str(int(until)),
        "anthropic-ratelimit-unified-representative-claim": "five_hour",
    }
    return Failure(429, "rate_limit_error", "This request would exceed your account's rate limit.", headers)


class MessagesApi(ScriptedApi):
    """The server, for a `with` block."""

    def serves(self, path: str) -> bool:
        return path.startswith("/v1/messages") and "count_tokens" not in path

    def error(self, failure: Failure) -> Json:
        return {"type": "error", "error": {"type": failure.kind, "message": failure.message}}

    def read(self, body: Json, headers: dict[str, str]) -> Asked:
        messages = [message for message in body.get("messages", []) if message["role"] == "user"]
        content = messages[-1]["content"] if messages else ""
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        results = tuple((block["tool_use_id"], _words(block)) for block in blocks if block["type"] == "tool_result")
        system = body.get("system") or ""
        return Asked(
            text="\n".join(_words(block) for block in blocks),
            tool_results=results,
            model=str(body.get("model")),
            headers=headers,
            body=body,
            system=system if isinstance(system, str) else "\n".join(block.get("text", "") for block in system),
            tools=[tool["name"] for tool in body.get("tools", [])],
        )

    def stream(self, answer: Text | ToolUse, body: Json) -> Iterator[Json]:
        usage = {"input_tokens": 10, "output_tokens": 1}
        about = {"id": f"msg_{time.monotonic_ns()}", "type": "message", "role": "assistant", "model": body.get("model")}
        yield {"type": "message_start", "message": {**about, "content": [], "stop_reason": None, "usage": usage}}
        if isinstance(answer, Text):
            block: Json = {"type": "text", "text": ""}
            delta: Json = {"type": "text_delta", "text": answer.text}
        else:
            block = {"type": "tool_use", "id": f"toolu_{time.monotonic_ns()}", "name": answer.name, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(answer.input)}
        yield {"type": "content_block_start", "index": 0, "content_block": block}
        wait_in(answer)
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
        yield {"type": "content_block_stop", "index": 0}
        reason = "end_turn" if isinstance(answer, Text) else "tool_use"
        yield {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 5}}
        yield {"type": "message_stop"}


def _words(block: Json) -> str:
    content = block.get("text", block.get("content", ""))
    return content if isinstance(content, str) else "\n".join(_words(part) for part in content or [])


if __name__ == "__main__":
    main(MessagesApi)
