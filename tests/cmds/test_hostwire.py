"""The host socket's protocol, to the letter of what existing desktop clients speak."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.clients import Client
from tests.hives import TestHive, eventually

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


@pytest.mark.parametrize(
    "scope", [None, {}, {"agent_names": []}, {"agent_names": "coder"}, [], {"agent_names": [".."]}]
)
def test_an_empty_scope_is_refused(hive: TestHive, host: Client, scope: object) -> None:
    for verb in ("start", "stop"):
        assert host.ask(verb, scope=scope)["ok"] is False
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
