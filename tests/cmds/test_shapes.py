"""What each operation gives a program, as `--json` prints it: an array for a listing, an object for one thing.

The names, their order and their JSON types are a contract: whoever changes one changes it here, too.
"""

from __future__ import annotations

from typing import Any

import pytest

from hive_cmds import messages
from hive_core import wire
from hive_core.results import Listed
from tests.hives import PLAIN, TestHive

pytestmark = pytest.mark.remembered

Shape = Any
# A name with a '?' at its end may be absent.
AGENT = {
    "name": str, "running": bool, "failed": bool, "needs_update": bool, "needs_login": bool, "deployed_sha?": str,
    "pending_reminders": int, "paused": bool, "parent?": str, "active_model?": str, "status_text?": str,
    "status_set_at?": str, "url?": str, "operation?": str, "operation_since?": int, "operation_step?": str,
    "operation_steps?": [{"step": str, "state": str, "at": float}], "cause?": str, "turn?": str, "turn_until?": int,
    "restart_at?": int, "crash_loop": bool, "repair?": str, "unknown?": bool, "port_taken?": int, "halted?": bool,
    "stuck_since?": int,
}  # fmt: skip
CRASH = {"at": int, "cause": str}
END = {"reason": str, "cause": str, "code": int, "at": int}
CONDITION = {**AGENT, "crashes": [CRASH], "journal": [str], "end?": END}
REQUEST = {
    "id": int, "agent": str, "kind": str, "commit_ref": str, "fetched_sha?": str, "requested_at": str, "status": str,
    "resolved_at?": str, "note?": str, "description?": str,
}  # fmt: skip
COMMIT = {"sha": str, "author": str, "email": str, "message": str}
CONSEQUENCE = {"topic": str, "weight": str, "text": str}
SHOWN = {
    "approval": REQUEST, "diff": str, "beyond_text": [str], "history": [str], "requested_by": str, "commits": [COMMIT],
    "consequences": [CONSEQUENCE],
}  # fmt: skip
QUESTION = {
    "id": int, "asker": str, "target": str, "question": str, "options": [str], "multi": bool, "asked_at": int,
    "deadline_at?": int, "answer?": str, "answerer?": str, "answered_at?": int, "cancelled": bool,
}  # fmt: skip
MESSAGE = {"id": int, "from": str, "to": str, "body": str, "at": int, "redelivered": bool}
WHEREABOUTS = {
    "id": int, "from": str, "to": str, "body": str, "sent_at": float, "delivered_at?": float,
    "acknowledged_at?": float, "deliveries": int,
}  # fmt: skip
NEED = {
    "id": str, "kind": str, "agent?": str, "since": int, "text": str, "quote?": str, "command": str, "weight": int,
    "acknowledged_at?": int,
}  # fmt: skip
INPUT = {"name": str, "rev": str, "last_modified": int, "url": str}
TOMBSTONE = {"name": str, "size": int, "last_modified": int, "has_login": bool}
FINDING = {"check": str, "ok?": bool, "detail": str, "todo?": str}
USAGE = {"of": str, "what": str, "size": int, "whole": bool, "detail": str}
SWEPT = {"what": str, "ok?": bool, "count?": int, "size": int, "detail": str}
HAPPENING = {"at": int, "kind": str, "said": str, "id?": int, "seq?": int}
MARK = {"at": int, "kind": str, "text": str, "id?": int}
TIMELINE = {"name": str, "since": int, "until": int, "phases": [{"at": int, "state": str}], "marks": [MARK]}
CONFIGURATION = {"name": str, "sha": str, "files": [{"path": str, "text": str}]}
OUTCOME = {"name": str, "ok": bool, "error?": str}

# In this order each finds what it needs: an agent with a request, a question, a message, a tombstone, a stopped one.
CALLS: list[tuple[str, dict[str, Any], Shape]] = [
    ("list", {}, [AGENT]),
    ("status", {"name": "coder"}, CONDITION),
    ("approvals", {}, [REQUEST]),
    ("show", {"id": 3}, SHOWN),
    ("questions", {}, [QUESTION]),
    ("recent", {}, [MESSAGE]),
    ("search", {"words": "hello"}, [MESSAGE]),
    ("why", {"id": 1}, WHEREABOUTS),
    ("needs_you", {}, [NEED]),
    ("inputs", {}, [INPUT]),
    ("tombstones", {}, [TOMBSTONE]),
    ("config", {}, [{"key": str, "value?": object, "origin": str}]),
    ("doctor", {}, [FINDING]),
    ("disk", {}, [USAGE]),
    ("vacuum", {"dry_run": True}, [SWEPT]),
    ("history", {"name": "coder"}, [HAPPENING]),
    ("timeline", {"name": "coder"}, TIMELINE),
    ("configuration", {"name": "coder"}, CONFIGURATION),
    ("adopt", {}, [OUTCOME]),
    ("migrate", {}, [OUTCOME]),
    ("approve", {"id": 3}, REQUEST),
    ("approvals", {"all": True}, [REQUEST]),
    ("rollback", {"name": "coder"}, REQUEST),
    ("deny", {"id": 4, "note": "no"}, REQUEST),
    ("answer", {"id": 1, "text": "a"}, QUESTION),
    ("questions", {"all": True}, [QUESTION]),
    ("send", {"to": "coder", "body": "x"}, {"ids": [int]}),
    ("recv", {"wait": 0}, {"messages": [MESSAGE], "unread": int}),
    ("ask", {"question": "when?", "ttl": 60}, QUESTION),
    ("cancel_question", {"id": 2}, QUESTION),
    ("request_spawn", {"name": "later"}, REQUEST),
    ("pause", {"name": "coder"}, AGENT),
    ("resume", {"name": "coder"}, AGENT),
    ("restart", {"name": "coder"}, AGENT),
    ("rebuild", {"name": "coder"}, AGENT),
    ("update", {"name": "coder"}, [OUTCOME]),
    ("meta_update", {"inputs": ["agent-coder"]}, [OUTCOME]),
    ("kill", {"name": "coder"}, AGENT),
    ("status", {"name": "coder"}, CONDITION),
    ("start", {"name": "coder"}, AGENT),
    ("stop", {"name": "coder"}, AGENT),
    ("estop", {}, [AGENT]),
    ("list", {}, [AGENT]),
]  # fmt: skip


def unfit(value: Any, shape: Shape, place: str = "it") -> list[str]:
    """What of a value is of another shape."""
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{place} is no array"]
        return [wrong for item in value for wrong in unfit(item, shape[0], f"{place}[]")]
    if not isinstance(shape, dict):
        fits = isinstance(value, shape) and (shape is not int or not isinstance(value, bool))
        return [] if fits else [f"{place} is {value!r}, and no {shape.__name__}"]
    if not isinstance(value, dict):
        return [f"{place} is no object"]
    known = [name.removesuffix("?") for name in shape]
    wrong = [f"{place}.{name} is not there" for name in shape if name[-1] != "?" and name not in value]
    wrong += [f"{place}.{name} is new" for name in value if name not in known]
    if sorted(value, key=lambda name: known.index(name) if name in known else -1) != list(value):
        wrong.append(f"{place} has its names in another order: {list(value)}")
    for name, inner in shape.items():
        if (plain := name.removesuffix("?")) in value:
            wrong += unfit(value[plain], inner, f"{place}.{plain}")
    return wrong


@pytest.fixture
def lived(hive: TestHive) -> TestHive:
    """A hive with an agent, a destroyed one, and something of everything that waits for somebody."""
    for name in ("coder", "old"):
        hive.configure(name, PLAIN)
        hive.asked("spawn", name=name)
    hive.asked("destroy", name="old")
    sha = hive.propose("coder", PLAIN.replace("ready", "again"))
    assert hive.asked("request_commit", agent="coder", sha=sha, description="why")["id"] == 3
    assert hive.asked("request_spawn", name="new")["id"] == 4
    hive.asked("send", to="coder", body="hello")
    hive.asked("ask", question="which?", options=["a", "b"])
    return hive


def test_what_each_operation_gives_has_the_names_and_types_that_programs_know(lived: TestHive) -> None:
    wrong, seen = [], {}
    for verb, arguments, shape in CALLS:
        value = listing(lived, verb, **arguments)
        wrong += [f"{verb}: {each}" for each in unfit(value, shape)]
        seen[verb] = seen.get(verb, False) or bool(value)
    assert wrong == []
    # All but these had something to show.
    assert {verb for verb, any_ in seen.items() if not any_} <= {"vacuum", "adopt", "migrate"}


def listing(hive: TestHive, verb: str, **arguments: Any) -> Any:
    """What an operation gives; of what is a listing in the shell its rows alone, as `--json` prints it."""
    value = hive.asked(verb, **arguments)
    return value["messages"] if verb in ("recent", "search") else value


def test_what_is_a_listing_in_the_shell_says_so_itself(lived: TestHive) -> None:
    found = messages.recent(lived.inside())
    assert isinstance(found, Listed)
    assert unfit(wire.plain(found.listing()), [MESSAGE]) == []


def test_a_shape_notices_what_has_changed() -> None:
    shape = {"a": int, "b?": [str]}
    assert unfit({"a": 1}, shape) == unfit({"a": 1, "b": ["x"]}, shape) == []
    for value in ({}, {"a": True}, {"a": 1, "c": 1}, {"b": ["x"], "a": 1}, {"a": 1, "b": [1]}, [], {"a": None}):
        assert unfit(value, shape), value
