"""A scripted Responses API on loopback, which `codex` talks to: https://platform.openai.com/docs/api-reference/responses."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import takewhile

from tests.stand_ins.scripted import Asked, Failure, Json, ScriptedApi, Text, ToolUse, main, wait_in

UNAUTHORIZED = Failure(401, "invalid_request_error", "Incorrect API key provided")
# What concerns the account and no message, as the service words it.
ACCOUNT = (
    Failure(403, "permission_error", "Your organization must be verified to use this model."),
    Failure(402, "payment_required", "Your organization has no credit."),
    Failure(400, "invalid_request_error", "Your organization has been disabled."),
    Failure(429, "insufficient_quota", "You exceeded your current quota, check your plan and billing details."),
)
OVERLOADED = Failure(503, "server_is_overloaded", "overloaded")
PROMPT_TOO_LONG = Failure(400, "context_length_exceeded", "Your input exceeds the context window of this model.")
# What the summary of a compacted conversation is: for the service alone to read.
SUMMARY = "a-summary-that-only-the-service-can-read"


def rate_limited(until: float) -> Failure:
    """HTTP 429 as a subscription's limit gives it; until: unix seconds at which it resets."""
    headers = {
        "x-codex-primary-used-percent": "100",
        "x-codex-primary-window-minutes": "300",
        "x-codex-primary-reset-at": str(int(until)),
    }
    return Failure(429, "usage_limit_reached", "The usage limit has been reached", headers)


class ResponsesApi(ScriptedApi):
    """The server, for a `with` block.

    What asks for a summary (the conversation and `compaction_trigger`) is given one, by no script; its text is that
    word, and an answer that is a failure fails it.
    """

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def serves(self, path: str) -> bool:
        return path == "/v1/responses"

    def error(self, failure: Failure) -> Json:
        return {"error": {"type": failure.kind, "code": failure.kind, "message": failure.message}}

    def read(self, body: Json, headers: dict[str, str]) -> Asked:
        items = body["input"]
        told = [item for item in items if item.get("role") == "developer"]
        results = [*takewhile(lambda item: item["type"] == "function_call_output", reversed(items))][::-1]
        return Asked(
            text="\n".join(_words(item) for item in results or items[-1:]),
            tool_results=tuple((item["call_id"], _words(item)) for item in results),
            model=str(body.get("model")),
            headers=headers,
            body=body,
            system="\n".join(_words(item) for item in told),
            tools=[name for tool in body.get("tools", []) for name in _names(tool)],
        )

    def stream(self, answer: Text | ToolUse, body: Json) -> Iterator[Json]:
        mark = time.monotonic_ns()
        yield {"type": "response.created", "response": {"id": f"resp_{mark}"}}
        wait_in(answer)
        if body["input"][-1]["type"] == "compaction_trigger":
            item: Json = {"type": "compaction", "id": f"cmp_{mark}", "encrypted_content": SUMMARY}
        elif isinstance(answer, Text):
            content = [{"type": "output_text", "text": answer.text}]
            item = {"type": "message", "id": f"msg_{mark}", "role": "assistant", "content": content}
        else:
            # A server's tools share a namespace.
            namespace, _, name = answer.name.rpartition("__")
            call = {"type": "function_call", "id": f"fc_{mark}", "call_id": f"call_{mark}", "name": name}
            item = {**call, "arguments": json.dumps(answer.input), **({"namespace": namespace} if namespace else {})}
        yield {"type": "response.output_item.done", "output_index": 0, "item": item}
        usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
        yield {"type": "response.completed", "response": {"id": f"resp_{mark}", "usage": usage}}


def _words(item: Json) -> str:
    content = item.get("content", item.get("output", item["type"]))
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


def _names(tool: Json) -> list[str]:
    if tool["type"] == "namespace":
        return [f"{tool['name']}__{inner['name']}" for inner in tool["tools"]]
    return [tool.get("name", tool["type"])]


if __name__ == "__main__":
    main(ResponsesApi)
