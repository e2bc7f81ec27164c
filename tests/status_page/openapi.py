"""The page's API as an OpenAPI document, made from its routes: for programs that try what they like on it."""

from __future__ import annotations

import re
from typing import Any

from tests.status_page.routes import ENDLESS, GUARDED, looked_at

# The arguments that are no text.
_OTHERS: dict[str, Any] = {
    "seq": {"type": "integer"},
    "purge": {"type": "boolean"},
    "inputs": {"type": "array", "items": {"type": "string", "enum": ["hive", "agent-coder", "x"]}},
}
_TOLD = {
    "type": "object",
    "required": ["ok"],
    "properties": {"ok": {"type": "boolean"}, "error": {"type": "string", "minLength": 10}},
}


def document() -> dict[str, Any]:
    """Every guarded route whose answer is one JSON document."""
    paths: dict[str, Any] = {}
    for method, rule in GUARDED:
        if rule != "/metrics" and rule not in ENDLESS:
            path = re.sub(r"<(\w+)(?::\w+)?>", r"{\1}", rule)
            paths.setdefault(path, {})[method.lower()] = _operation(method, rule)
    return {"openapi": "3.0.3", "info": {"title": "hive", "version": "1"}, "paths": paths}


def _operation(method: str, rule: str) -> dict[str, Any]:
    types = {"id": {"type": "integer"}, "name": {"type": "string", "enum": ["coder", "worker", "nobody", "Bad!"]}}
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": types[name]} for name in re.findall(r"<(\w+)", rule)
    ]
    told = {"application/json": {"schema": _TOLD}}
    statuses = ("200", "400", "404", "405", "408", "409", "413")
    found: dict[str, Any] = {"responses": {status: {"description": "told", "content": told} for status in statuses}}
    # What a route does not look at says nothing about it, and there are a thousand ways to say that.
    taken = {name: {"type": "string"} for name in looked_at(rule)}
    if method == "POST":
        schema = {"type": "object", "properties": {name: _OTHERS.get(name, text) for name, text in taken.items()}}
        kinds = ("application/json", "application/x-www-form-urlencoded")
        found["requestBody"] = {"content": {kind: {"schema": schema} for kind in kinds}}
    else:
        parameters += [{"name": name, "in": "query", "schema": schema} for name, schema in taken.items()]
    return {**found, "parameters": parameters}
