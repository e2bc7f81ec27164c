"""The host socket's protocol, to the letter of what existing desktop clients speak."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.clients import Client
from tests.hives import PLAIN, TestHive, eventually

pytestmark = pytest.mark.remembered
STATUS_FIELDS = [
    "name", "running", "failed", "needs_update", "needs_login", "deployed_sha", "pending_reminders", "paused",
    "parent", "active_model", "status_text", "status_set_at", "url",
]  # fmt: skip
APPROVAL_FIELDS = [
    "id", "agent", "kind", "commit_ref", "fetched_sha", "requested_at", "status", "resolved_at", "note", "description",
]  # fmt: skip


@pytest.fixture
def host(hive: TestHive) -> Iterator[Client]:
    hive.spawn("coder")
    hive.start("gate")
    eventually((hive.root / "run" / "host.sock").exists)
    with Client(hive.root / "run" / "host.sock") as client:
        yield client


def in_order(fields: list[str], known: list[str]) -> bool:
    return fields == [field for field in known if field in fields]


def test_the_socket_is_for_the_operator_and_its_group(hive: TestHive, host: Client) -> None:
    assert (hive.root / "run" / "host.sock").stat().st_mode & 0o777 == 0o660


def test_list_names_the_agents(host: Client) -> None:
    assert host.ask("list") == {"version": 1, "ok": True, "agents": ["coder"]}


def test_a_status_row_has_its_fields_in_order_and_what_is_null_is_absent(host: Client) -> None:
    answer = host.ask("agent_status")
    assert list(answer) == ["version", "ok", "agent_statuses"]
    row = answer["agent_statuses"][0]
    assert in_order(list(row), STATUS_FIELDS)
    assert {"name", "running", "failed", "needs_update", "needs_login", "pending_reminders", "paused"} <= row.keys()
    assert (row["name"], row["running"], row["pending_reminders"]) == ("coder", True, 0)
    assert len(row["deployed_sha"]) == 12
    assert None not in row.values()


def test_urls(host: Client) -> None:
    assert set(host.ask("urls")["urls"]) <= {"domain", "home"}


def test_pending_and_deny(hive: TestHive, host: Client) -> None:
    assert host.ask("request_spawn", name="tester") == {"version": 1, "ok": True}
    row = host.ask("pending")["approvals"][0]
    assert in_order(list(row), APPROVAL_FIELDS)
    assert row["requested_at"].endswith("Z")
    assert host.ask("deny", id=row["id"], note="no") == {"version": 1, "ok": True}
    assert host.ask("pending") == {"version": 1, "ok": True, "approvals": []}
    again = host.ask("deny", id=row["id"])
    assert list(again) == ["version", "ok", "error"]
    assert "already denied" in again["error"]


def test_approve_carries_out(host: Client) -> None:
    host.ask("request_spawn", name="tester")
    assert host.ask("approve", id=host.ask("pending")["approvals"][0]["id"])["ok"] is True
    assert host.ask("list")["agents"] == ["coder", "tester"]


def test_an_empty_scope_is_refused(hive: TestHive, host: Client) -> None:
    empty: list[object] = [None, {}, {"agent_names": []}, {"agent_names": "coder"}, [], {"agent_names": [".."]}]
    for scope in empty:
        for verb in ("start", "stop"):
            assert host.ask(verb, scope=scope)["ok"] is False, (verb, scope)
    assert hive.agent("coder")["running"] is True


def test_stop_start_restart_kill_rebuild_pause_destroy(hive: TestHive, host: Client) -> None:
    scope = {"agent_names": ["coder"]}
    assert host.ask("stop", scope=scope, graceful=True)["ok"] is True
    assert hive.agent("coder")["running"] is False
    assert host.ask("start", scope=scope)["ok"] is True
    assert host.ask("restart", name="coder")["ok"] is True
    assert host.ask("rebuild", name="coder")["ok"] is True
    assert host.ask("set_paused", name="coder", paused=True)["ok"] is True
    assert hive.agent("coder")["paused"] is True
    assert host.ask("kill", name="coder")["ok"] is True
    assert hive.agent("coder")["running"] is False
    assert host.ask("destroy", name="coder", purge=False)["ok"] is True
    assert host.ask("list")["agents"] == []


def test_one_agent_of_a_scope_that_fails_keeps_none_of_the_others_from_it(hive: TestHive, host: Client) -> None:
    answer = host.ask("stop", scope={"agent_names": ["nobody", "coder"]}, graceful=False)
    assert answer["ok"] is False
    assert "nobody" in answer["error"]
    assert hive.agent("coder")["running"] is False


def test_a_subscriber_gets_a_bare_ok_then_a_line_with_one_row_for_each_change(hive: TestHive, host: Client) -> None:
    assert host.ask("subscribe_agent_status") == {"version": 1, "ok": True}
    hive.run("stop", "coder")
    line = host.read()
    assert list(line) == ["version", "ok", "agent_statuses"]
    assert len(line["agent_statuses"]) == 1
    assert in_order(list(line["agent_statuses"][0]), STATUS_FIELDS)
    assert line["agent_statuses"][0]["running"] is False


def test_answers_are_one_line_each(host: Client) -> None:
    host.send(b'{"cmd":"list"}\n{"cmd":"urls"}\n')
    assert [json.loads(host.reader.readline())["ok"] for _ in range(2)] == [True, True]


# --- As the clients there are decode: each field of its type, in this order, absent where it may be, and no other.

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def text(value: object) -> bool:
    return isinstance(value, str)


def flag(value: object) -> bool:
    return isinstance(value, bool)


def whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def moment(value: object) -> bool:
    return isinstance(value, str) and TIME.fullmatch(value) is not None


def sha(digits: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(f"[0-9a-f]{{{digits}}}", value) is not None


def word(*words: str) -> Callable[[object], bool]:
    return lambda value: value in words


# Field -> how its value is decoded; a '?' behind a name: it may be absent.
STATUS = {
    "name": text, "running": flag, "failed": flag, "needs_update": flag, "needs_login": flag, "deployed_sha?": sha(12),
    "pending_reminders": whole, "paused": flag, "parent?": text, "active_model?": text, "status_text?": text,
    "status_set_at?": moment, "url?": text,
}  # fmt: skip
APPROVAL = {
    "id": whole, "agent": text, "kind": word("apply_commit", "spawn"), "commit_ref": text, "fetched_sha?": sha(40),
    "requested_at": moment, "status": word("pending", "approved", "denied", "failed"), "resolved_at?": moment,
    "note?": text, "description?": text,
}  # fmt: skip
URLS = {"domain?": text, "home?": text}


def decode(row: object, known: Mapping[str, Callable[[object], bool]]) -> dict[str, Any]:
    """A row, when the real client could read it: its decoder fails on a wrong type and on a null that is none of its."""
    assert isinstance(row, dict)
    names = {name.removesuffix("?"): name for name in known}
    assert in_order(list(row), list(names)), row
    assert not [name for name in known if not name.endswith("?") and name not in row], row
    assert not [name for name, value in row.items() if not known[names[name]](value)], row
    return row


def decode_answer(answer: dict[str, Any]) -> dict[str, Any]:
    assert in_order(list(answer), ["version", "ok", "error", "agents", "agent_statuses", "approvals", "urls"])
    assert answer["version"] == 1
    assert isinstance(answer["ok"], bool)
    assert answer["ok"] is ("error" not in answer)
    for row in answer.get("agent_statuses", []):
        status = decode(row, STATUS)
        assert ("status_text" in status) is ("status_set_at" in status)
    for row in answer.get("approvals", []):
        decode(row, APPROVAL)
    decode(answer.get("urls", {}), URLS)
    assert all(isinstance(name, str) for name in answer.get("agents", []))
    return answer


def test_the_clients_decoder_reads_every_answer(hive: TestHive, host: Client) -> None:
    sent = hive.request("coder", PLAIN.replace("ready", "steady"), files={"more": "x"})
    host.ask("request_spawn", name="tester", description="tests")
    for verb in ("list", "agent_status", "urls", "pending"):
        assert decode_answer(host.ask(verb))["ok"] is True
    assert [row["kind"] for row in host.ask("pending")["approvals"]] == ["apply_commit", "spawn"]
    assert "fetched_sha" in host.ask("pending")["approvals"][0]
    assert decode_answer(host.ask("approve", id=sent))["ok"] is True
    assert decode_answer(host.ask("approve", id=sent))["ok"] is False
    for line in (b"nonsense", b"{}", b'{"cmd":"nope"}'):
        host.send(line + b"\n")
        assert decode_answer(host.read())["ok"] is False


@pytest.mark.parametrize(("said", "shown"), [({"text": "reading"}, "reading"), ({"text": ""}, None), ({}, None)])
def test_when_a_status_was_set_is_told_exactly_with_the_status(
    hive: TestHive, host: Client, said: dict[str, str], shown: str | None
) -> None:
    path = hive.root / "run" / "agents" / "coder.sock"
    eventually(path.exists)
    assert host.ask("subscribe_agent_status")["ok"] is True
    with Client(path) as agent:
        assert agent.ask("set_status", state="thinking", **said)["ok"] is True
    told = [decode_answer(host.ask("agent_status"))["agent_statuses"][0]] if shown is None else []
    while shown is not None and (not told or told[-1].get("status_text") != shown):
        told.append(decode_answer(host.read()).get("agent_statuses", [{}])[0])
    assert told[-1].get("status_text") == shown
    assert ("status_set_at" in told[-1]) is (shown is not None)


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [("approve", {"id": "1"}), ("approve", {"id": 1.0}), ("approve", {"id": True}), ("deny", {"id": "1", "note": "no"}),
     ("deny", {"id": 1, "note": 7}), ("stop", {"scope": {"agent_names": ["coder"]}, "graceful": "true"}),
     ("stop", {"scope": {"agent_names": ["coder"]}, "graceful": 0}), ("stop", {"scope": {"agent_names": ["coder"]}, "graceful": None}),
     ("start", {"scope": {"agent_names": "coder"}}), ("set_paused", {"name": "coder", "paused": "true"}),
     ("set_paused", {"name": "coder"}), ("destroy", {"name": "coder", "purge": "false"}),
     ("destroy", {"name": "coder", "purge": 0}), ("recent", {"limit": "3"}), ("kill", {"name": ["coder"]})],
)  # fmt: skip
def test_each_argument_is_of_its_json_type_to_the_letter(
    wire_only: Client, verb: str, arguments: dict[str, object]
) -> None:
    answer = decode_answer(wire_only.ask(verb, **arguments))
    assert answer["ok"] is False
    assert "There is no agent" not in answer["error"]
    assert "There is no request" not in answer["error"]


@pytest.fixture(scope="module")
def wire_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The operator's socket of a hive without agents: what is refused here is refused for what was sent."""
    hive = TestHive(tmp_path_factory.mktemp("wire") / "hive")
    hive.start("gate")
    path = hive.root / "run" / "host.sock"
    eventually(path.exists)
    try:
        with Client(path) as client:
            yield client
    finally:
        hive.close()
