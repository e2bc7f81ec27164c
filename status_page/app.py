"""What the page answers: its own files, hive's state, and the operator's actions, each one operation of hive's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import bottle

from hive_agent.page.door import HEADERS, Denied, Door
from hive_agent.page.shield import NONCE
from hive_core.client import Client
from hive_core.errors import Refused
from hive_core.event_kinds import EVENT_KINDS
from status_page.following import Following
from status_page.metrics import KIND as MEASURES
from status_page.metrics import Metrics

LARGEST_BODY = 1 << 20
# Arguments of an address that are numbers.
NUMBERS = ("lines", "last", "hours")
# Verbs that take the name of an agent and nothing else.
OF_ONE_AGENT = ("start", "stop", "kill", "restart", "rebuild", "pause", "resume", "revive")
# Those that mean whatever there is: a kill waits for no look, and revive only asks.
WHATEVER = ("kill", "revive")
# What has happened lately, as a page begins with it; messages are in the state.
_UNTOLD = {
    *("sent", "delivered", "started", "operation_step", "transient_set", "transient_cleared", "inbox_forgotten"),
    *("container_state_changed", "container_removed", "tombstones_changed", "meta_inputs_changed", "fan_out_changed"),
    *("need_added", "need_changed", "need_resolved"),
}
TOLD = sorted(EVENT_KINDS.keys() - _UNTOLD)
_STATIC = Path(__file__).resolve().parent / "static"
# How a body that is no JSON comes, as the forms of older clients send it.
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

Serve = Callable[..., Any]


class Application:
    """The routes. now: what only the page knows of itself, shown with the state."""

    def __init__(self, client: Client, door: Door, metrics: Metrics, now: Callable[[], Mapping[str, Any]]) -> None:
        self._client, self._door, self._metrics, self._now = client, door, metrics, now
        self._following = Following()

    def wsgi(self) -> bottle.Bottle:
        """The application as a server calls it."""
        app = bottle.Bottle()
        for path, work in self._reads().items():
            app.route(path, method="GET", callback=self._served(work, writes=False))
        for path, work in self._acts().items():
            app.route(path, method="POST", callback=self._served(work, writes=True))
        for path, work in self._streams().items():
            app.route(path, method="GET", callback=self._served(work, writes=False, answer=_lines))
        app.route("/metrics", method="GET", callback=self._served(self._measured, writes=False, answer=_measures))
        app.route("/proof", method="GET", callback=self._prove)
        app.route("/", method="GET", callback=_static)
        app.route("/<name:re:[a-z]+[.](?:css|js|svg)>", method="GET", callback=_static)
        app.default_error_handler = _refused_by_bottle
        return app

    def _reads(self) -> dict[str, Serve]:
        call = self._client.call
        return {
            # The page's own word first: the history may become another one while hive is asked.
            "/api/state": lambda: {
                "page": dict(self._now()),
                **call("state"),
                "events": call("events", said=True, kind=TOLD),
            },
            "/api/request/<id:int>": lambda id: call("show", id=id),
            "/api/journal/<name>": lambda name: call("journal", name=name, **_asked("unit", "lines")),
            "/api/search": lambda: call("search", **_asked("words")),
            "/api/timeline/<name>": lambda name: call("timeline", name=name, **_asked("hours")),
            "/api/configuration/<name>": lambda name: call("configuration", name=name),
        }

    def _streams(self) -> dict[str, Serve]:
        def lines(op: str, **arguments: Any) -> Iterator[bytes]:
            return self._following.lines(lambda: self._client.stream(op, **arguments))

        return {
            "/api/turns/<name>": lambda name: lines("attach", name=name, **_asked("last")),
            "/api/log/<name>": lambda name: lines("journal", name=name, follow=True, **_asked("unit", "lines")),
        }

    def _acts(self) -> dict[str, Serve]:
        call = self._client.call
        acts: dict[str, Serve] = {
            "/approve/<id:int>": lambda id: call("approve", id=id, **_given("sha")),
            "/deny/<id:int>": lambda id: call("deny", id=id, **_given("note")),
            "/answer-question/<id:int>": lambda id: call("answer", id=id, text=_given("answer").get("answer", "")),
            "/cancel-question/<id:int>": lambda id: call("cancel_question", id=id),
            "/destroy/<name>": lambda name: self._as_shown(
                "destroy", name, purge=_is_true(_given("purge").get("purge"))
            ),
            "/purge-tombstone/<name>": lambda name: self._as_shown("purge", name),
            "/spawn": lambda: call("request_spawn", **_given("name", "description")),
            "/meta-update": lambda: call("meta_update", inputs=_inputs(_given("inputs").get("inputs", []))),
            "/send": lambda: call("send", **_given("to", "body")),
            "/acknowledge/<id:path>": lambda id: call("acknowledge", id=id),
        }
        for verb in OF_ONE_AGENT:
            acts[f"/{verb}/<name>"] = lambda name, verb=verb: self._as_shown(verb, name)
        return acts

    def _as_shown(self, verb: str, name: str, **more: Any) -> Any:
        """Do something to an agent that is as it was shown, as of the event `seq`, where the page says which."""
        seen = _given("seq") if verb not in WHATEVER else {}
        as_of = {"as_of": seen["seq"]} if seen else {}
        return self._client.call(verb, name=name, **more, **as_of)

    def _served(self, work: Serve, *, writes: bool, answer: Serve | None = None) -> Callable[..., Any]:
        """The route of a piece of work: for whoever has the key, and whatever comes of it told in JSON."""

        def told(**named: Any) -> Any:
            try:
                self._admit(writes)
                return (answer or _result)(work(**named))
            except Denied as error:
                return _refusal(error.status, error.message)
            except Refused as error:
                return _refusal(HTTPStatus.CONFLICT, str(error).replace("\n", " "))
            except OSError:
                return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, "Nobody answers for hive. Is `hive up` running?")

        return told

    def _measured(self) -> bytes:
        return self._metrics.text()

    def _admit(self, writes: bool) -> None:
        request = bottle.request
        opens = self._door.admit(request.get_header("Authorization", ""), str(request.remote_addr))
        if writes and opens != "all":
            raise Denied(HTTPStatus.FORBIDDEN, "This link only looks; `hive open` prints the one that acts, too.")

    def _prove(self) -> bytes:
        nonce = bottle.request.query.getunicode("nonce", "")
        if not NONCE.fullmatch(nonce):
            return _refusal(HTTPStatus.BAD_REQUEST, "A nonce is 32 to 128 hexadecimal digits.")
        return _json(HTTPStatus.OK, {"ok": True, "proof": self._door.prove(nonce, int(self._now()["port"]))})


def _result(value: Any) -> bytes:
    return _json(HTTPStatus.OK, {"ok": True, "result": value})


def _measures(text: bytes) -> bytes:
    _head(HTTPStatus.OK, MEASURES)
    return text


def _lines(lines: Iterator[bytes]) -> Iterator[bytes]:
    _head(HTTPStatus.OK, "application/x-ndjson")
    return lines


def _asked(*names: str) -> dict[str, Any]:
    """The arguments named, of the address; a number where it looks like one. What is absent or empty is left out."""
    query = bottle.request.query
    found = {name: query.getunicode(name, "") for name in names}
    return {
        name: int(text) if name in NUMBERS and text.isascii() and text.isdigit() and len(text) < 10 else text
        for name, text in found.items()
        if text
    }


def _given(*names: str) -> dict[str, Any]:
    """The arguments named, of a body that is a JSON object or a form; what is absent or null is left out."""
    request = bottle.request
    try:
        if request.content_length > LARGEST_BODY:
            raise Denied(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "That is too large.")
        if (request.content_type or "").startswith(_FORMS):
            body = {name: request.forms.getunicode(name) for name in names}
        else:
            body = _json_body(request.body.read(LARGEST_BODY))
    except (OSError, ValueError):
        # It was cut off, or its length is none.
        raise Denied(HTTPStatus.BAD_REQUEST, "The request has not arrived whole.") from None
    return {name: body[name] for name in names if body.get(name) is not None}


def _json_body(data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(data) if data else {}
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Denied(HTTPStatus.BAD_REQUEST, "The request is no JSON object.")
    return body


def _is_true(value: object) -> bool:
    return value in (True, "true", "on", "1")


def _inputs(value: object) -> list[Any]:
    """The inputs that were chosen: a list, or as a form has them, joined with commas."""
    chosen = value.split(",") if isinstance(value, str) else value
    if not isinstance(chosen, list):
        raise Denied(HTTPStatus.BAD_REQUEST, "The inputs are a list.")
    chosen = [name for name in chosen if name]
    if not chosen:
        # To the operation that is no input, and so nothing to do.
        raise Denied(HTTPStatus.BAD_REQUEST, "Choose an input to update.")
    return chosen


def _static(name: str = "index.html") -> bytes:
    path = _STATIC / name
    if not path.is_file():
        return _nothing()
    _head(HTTPStatus.OK, _KINDS[path.suffix])
    return path.read_bytes()


def _nothing() -> bytes:
    return _refusal(HTTPStatus.NOT_FOUND, "There is nothing here.")


def _refused_by_bottle(error: bottle.HTTPError) -> bytes:
    """What Bottle itself refuses, or fails with, told as everything else is."""
    status = HTTPStatus(error.status_code)
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        return _nothing()
    if status is not HTTPStatus.INTERNAL_SERVER_ERROR:
        return _refusal(status, f"That is no request that the page understands: {status.phrase}.")
    # Bottle has written the trace to where hive runs.
    return _refusal(status, "The page failed at this; the terminal of hive shows more.")


def _refusal(status: HTTPStatus, sentence: str) -> bytes:
    return _json(status, {"ok": False, "error": sentence})


def _json(status: HTTPStatus, value: Mapping[str, Any]) -> bytes:
    _head(status, "application/json")
    return json.dumps(value).encode()


def _head(status: HTTPStatus, kind: str) -> None:
    bottle.response.status = int(status)
    for name, text in {**HEADERS, "Content-Type": f"{kind}; charset=utf-8"}.items():
        bottle.response.set_header(name, text)
