"""The page's API as an OpenAPI document, made from its routes: for programs that try what they like on it."""

from __future__ import annotations

import re
from typing import Any

from tests.status_page.routes import ENDLESS, GUARDED

# What any of the POSTs takes.
_TAKEN = ("sha", "note", "answer", "name", "description", "to", "body")
_ASKED = ("unit", "lines", "words", "hours")
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
    if method == "POST":
        properties: dict[str, Any] = {name: {"type": "string"} for name in _TAKEN}
        properties["purge"] = {"type": "boolean"}
        properties["inputs"] = {"type": "array", "items": {"type": "string", "enum": ["hive", "agent-coder", "x"]}}
        schema = {"type": "object", "properties": properties}
        kinds = ("application/json", "application/x-www-form-urlencoded")
        found["requestBody"] = {"content": {kind: {"schema": schema} for kind in kinds}}
    else:
        parameters += [{"name": name, "in": "query", "schema": {"type": "string"}} for name in _ASKED]
    return {**found, "parameters": parameters}
