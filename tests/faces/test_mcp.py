"""The tools, as MCP clients see them: the SDK's, the inspector's, and a bare socket's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hive_faces.verbs import everything
from hive_fleet.changes import spawns
from tests.clients import Client
from tests.hives import CHECKOUT, PATIENCE, PLAIN, TestHive, eventually

NEVER = {
    "approve", "deny", "destroy", "purge", "login", "spawn", "stop", "rebuild", "meta_update", "model", "pause",
    "resume", "migrate", "up", "watch", "gate", "events", "ack", "nack", "set_status", "turn_settings",
}  # fmt: skip
AGENTS = {"send", "recv", "recent", "search", "ask", "answer", "questions", "cancel_question"}
MANAGERS = {"request_spawn", "request_commit", "start", "restart", "kill", "update", "ask_operator", "journal"}
INSPECTOR = os.environ.get("HIVE_TEST_INSPECTOR") or shutil.which("mcp-inspector")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestHive]:
    """A hive with a manager and an agent, whose sockets are served: one for all tests, which say new things to it."""
    hive = TestHive(tmp_path_factory.mktemp("served") / "hive")
    hive.configure("manager", PLAIN)
    spawns.spawn_manager(hive.inside())
    hive.spawn("coder")
    hive.start("gate")
    for name in ("manager", "coder"):
        eventually(socket_of(hive, name).exists)
    yield hive
    hive.close()


def socket_of(hive: TestHive, name: str) -> Path:
    return hive.root / "run" / "agents" / f"{name}.sock"


def bridge(hive: TestHive, name: str) -> tuple[list[str], dict[str, str]]:
    """The stdio server that an agent's CLI is given, and its environment."""
    environment = {"HIVE_SOCKET": str(socket_of(hive, name)), "PATH": os.environ["PATH"]}
    return [sys.executable, "-I", str(CHECKOUT / "hive_agent" / "mcp.py")], environment


def by_sdk(hive: TestHive, name: str, calls: list[tuple[str, dict[str, object]]]) -> tuple[set[str], list[str]]:
    """List and call tools with the SDK's client; the tools' names and what the calls answered."""
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    argv, environment = bridge(hive, name)
    server = StdioServerParameters(command=argv[0], args=argv[1:], env=environment)

    async def talk() -> tuple[set[str], list[str]]:
        async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            listed = {tool.name for tool in (await session.list_tools()).tools}
            answers = [await session.call_tool(tool, arguments) for tool, arguments in calls]
            return listed, [answer.content[0].text for answer in answers]  # type: ignore[union-attr]

    return asyncio.run(asyncio.wait_for(talk(), PATIENCE))


def test_the_sdks_client_lists_and_calls_an_agents_tools_and_no_others(served: TestHive) -> None:
    tools, answers = by_sdk(served, "coder", [("send", {"to": "operator", "body": "hi"}), ("ask", {"question": "ok?"})])
    assert tools == AGENTS
    assert "ids" in json.loads(answers[0])
    assert json.loads(answers[1])["asker"] == "coder"
    received = served.json("recv", "--wait", "0")["messages"]
    assert [(message["from"], message["body"]) for message in received] == [("coder", "hi")]


def test_the_sdks_client_lists_and_calls_the_managers_tools(served: TestHive) -> None:
    calls: list[tuple[str, dict[str, object]]] = [
        ("request_spawn", {"name": "tester", "description": "tests"}),
        ("journal", {"name": "coder"}),
        ("kill", {"name": "manager"}),
        ("journal", {"name": "coder", "follow": True}),
    ]
    tools, answers = by_sdk(served, "manager", calls)
    assert tools >= AGENTS | MANAGERS
    assert not tools & NEVER
    assert json.loads(answers[0])["status"] == "pending"
    assert "ready" in answers[1]
    assert "cannot kill itself" in answers[2]
    assert "journal takes no 'follow'" in answers[3]


def test_a_tool_that_the_caller_may_not_use_does_not_exist(served: TestHive) -> None:
    for name in ("coder", "manager"):
        with Client(socket_of(served, name)) as client:
            for number, tool in enumerate(sorted(NEVER)):
                answer = client.rpc(number, "tools/call", name=tool, arguments={"id": 1, "name": "coder"})
                assert "no tool" in answer["error"]["message"]


def test_every_tool_takes_an_object_and_says_what_each_argument_is(served: TestHive) -> None:
    with Client(socket_of(served, "manager")) as client:
        for tool in client.rpc(1, "tools/list")["result"]["tools"]:
            schema = tool["inputSchema"]
            assert (schema["type"], schema["additionalProperties"]) == ("object", False)
            assert set(schema["required"]) <= schema["properties"].keys()
            assert tool["description"].endswith(".")
            for name, argument in schema["properties"].items():
                assert argument["description"], f"{tool['name']}: {name}"


def test_a_parked_call_holds_up_no_other_on_the_same_connection(served: TestHive) -> None:
    with Client(socket_of(served, "coder")) as client:
        client.rpc(0, "tools/call", name="recv", arguments={"wait": 0, "limit": 1000})
        request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "recv", "arguments": {}}}
        client.send(json.dumps(request).encode() + b"\n")
        assert client.rpc(2, "ping") == {"jsonrpc": "2.0", "id": 2, "result": {}}
        served.run("send", "coder", "now")
        answer = client.read()
        assert answer["id"] == 1
        assert "now" in answer["result"]["content"][0]["text"]


@pytest.mark.parametrize(
    "arguments",
    [{"to": "operator"}, {"to": "operator", "body": "x" * 300_000}, {"to": "operator", "body": "a\0b"},
     {"to": "operator", "body": "\x1b[2J"}, {"to": "operator", "body": "\ud800"}, {"to": "..", "body": "x"},
     {"to": "nobody", "body": "x"}, {"to": "operator", "body": "x", "from": "operator"}, {"to": 7, "body": "x"}],
)  # fmt: skip
def test_what_a_tool_refuses_is_told_to_the_model_as_a_sentence(served: TestHive, arguments: dict[str, object]) -> None:
    with Client(socket_of(served, "coder")) as client:
        result = client.rpc(1, "tools/call", name="send", arguments=arguments)["result"]
    assert result["isError"] is True
    assert result["content"][0]["text"].strip()


@pytest.mark.skipif(INSPECTOR is None and "CI" not in os.environ, reason="needs @modelcontextprotocol/inspector")
def test_the_inspector_lists_and_calls_the_tools(served: TestHive, tmp_path: Path) -> None:
    argv, environment = bridge(served, "coder")
    settings = [item for name, value in environment.items() for item in ("-e", f"{name}={value}")]
    # It calls none before it has listed them all, and taken their schemas for right.
    words = ["--method", "tools/call", "--tool-name", "ask", "--tool-arg", "question=Inspected?", "ttl=3"]
    done = subprocess.run(
        [str(INSPECTOR), "--cli", *settings, *argv, *words],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    asked = json.loads(json.loads(done.stdout)["content"][0]["text"])
    assert (asked["question"], asked["deadline_at"] - asked["asked_at"]) == ("Inspected?", 3)


def test_login_is_no_verb_of_any_socket() -> None:
    assert all(operation.shell_only for name, operation in everything().items() if "login" in name)


def test_the_shell_serves_no_tools_of_an_agent_that_is_not_there(served: TestHive) -> None:
    assert "There is no agent 'nobody'." in served.run("mcp", "nobody", code=1).stderr


def test_the_shell_serves_the_same_tools_on_standard_input_and_output(served: TestHive) -> None:
    shell = subprocess.Popen(
        [sys.executable, str(CHECKOUT / "hive"), "mcp", "coder"],
        env=served.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    out, _ = shell.communicate('{"jsonrpc":"2.0","id":1,"method":"tools/list"}\n', timeout=PATIENCE)
    assert {tool["name"] for tool in json.loads(out)["result"]["tools"]} == AGENTS
    assert shell.returncode == 0


def call(number: int, tool: str, **arguments: object) -> bytes:
    params = {"name": tool, "arguments": arguments}
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}).encode() + b"\n"


def test_what_was_asked_before_the_end_of_the_input_is_answered(served: TestHive) -> None:
    with Client(socket_of(served, "coder")) as client:
        client.send(b"".join(call(number, "recent", limit=1) for number in range(100)))
        client.socket.shutdown(socket.SHUT_WR)
        answers = iter(client.read, None)
        assert {answer["id"] for answer in answers} == set(range(100))


def test_a_message_is_not_taken_for_a_model_that_has_hung_up(served: TestHive) -> None:
    path = socket_of(served, "coder")
    with Client(path) as client:
        client.ask("recv", wait=0, limit=1000)
        client.send(call(1, "recv", wait=60))
        client.socket.shutdown(socket.SHUT_WR)
        # Another of the same caller's is let in, so that the first is known to be parked by now.
        with Client(path) as other:
            assert other.ask("recent")["ok"] is True
        client.socket.shutdown(socket.SHUT_RDWR)
    served.run("send", "coder", "for the living")
    with Client(path) as client:
        assert client.ask("recv", wait=30)["messages"][0]["body"] == "for the living"


ODD_LINES = [b"nonsense", b"[]", b"7", b"null", b'"ping"', b"{}", b"[[]]", b"\xff\xfe", b'{"id":1,"params":{}}', b"[1,2]",
             b'{"jsonrpc":"2.0","id":{},"method":"ping"}', b'{"x":"' + b"y" * 1_100_000 + b'"}']  # fmt: skip


@pytest.mark.parametrize("opening", [b'{"cmd":"mcp"}', b'{"jsonrpc":"2.0","method":"notifications/initialized"}'])
def test_every_line_is_answered_in_json_rpc_once_it_is_spoken(served: TestHive, opening: bytes) -> None:
    with Client(socket_of(served, "coder")) as client:
        client.send(opening + b"\n")
        for odd in ODD_LINES:
            client.send(odd + b"\n")
            answers = client.read()
            for answer in answers if isinstance(answers, list) else [answers]:
                assert answer.keys() == {"jsonrpc", "id", "error"}, odd[:80]
                assert answer["error"]["message"].endswith(".")
        assert client.rpc(2, "ping") == {"jsonrpc": "2.0", "id": 2, "result": {}}


def test_a_command_of_hives_own_is_none_of_a_bridge(served: TestHive) -> None:
    with Client(socket_of(served, "coder")) as client:
        client.send(b'{"cmd":"mcp"}\n{"cmd":"recent"}\n')
        assert client.read()["error"]["code"] == -32600


def test_several_messages_in_one_line_are_answered_in_one(served: TestHive) -> None:
    with Client(socket_of(served, "coder")) as client:
        ping, told = {"jsonrpc": "2.0", "method": "ping"}, {"jsonrpc": "2.0", "method": "notifications/cancelled"}
        client.send(
            json.dumps([{**ping, "id": 1}, told, json.loads(call(2, "recent")), {**ping, "id": 3}]).encode() + b"\n"
        )
        first, second, third = client.read()
        assert (first["id"], third["id"]) == (1, 3)
        assert second["id"] == 2
        assert "messages" in second["result"]["content"][0]["text"]
        client.send(json.dumps([told, told]).encode() + b"\n")
        assert client.rpc(4, "ping")["id"] == 4


SPELT: list[tuple[dict[str, object], list[str], bool]] = [
    ({"options": '["yes", "no"]', "multi": "True", "ttl": "3"}, ["yes", "no"], True),
    ({"options": ["yes"], "multi": "true", "ttl": 3.0}, ["yes"], True),
    ({"options": ' ["a, b"]', "multi": "false", "ttl_seconds": "3.0"}, ["a, b"], False),
    ({"options": [], "multi": False, "ttl_seconds": 3, "to": None}, [], False),
]


def test_lists_numbers_and_flags_are_taken_as_models_spell_them(served: TestHive) -> None:
    with Client(socket_of(served, "coder")) as client:
        for arguments, options, multi in SPELT:
            client.send(call(1, "ask", question="Which?", **arguments))
            asked = json.loads(client.read()["result"]["content"][0]["text"])
            assert (asked["options"], asked["multi"]) == (options, multi)
            assert asked["deadline_at"] - asked["asked_at"] == 3
        assert len(client.ask("ask", question="Which?", options='["by a socket"]', ttl="3")["options"]) == 1


MISSPELT: list[dict[str, object]] = [
    {"options": "yes, no"}, {"options": '["yes"'}, {"options": "[" * 5000}, {"options": {"a": 1}}, {"options": '{"a": 1}'},
    {"ttl": 3.5}, {"ttl": "three"}, {"ttl": "3.5"}, {"ttl": True}, {"ttl": 1e300}, {"ttl": 10**4000}, {"ttl": [3]},
    {"multi": 2}, {"multi": "maybe"}, {"multi": 1.0}, {"ttl": 3, "ttl_seconds": 3},
]  # fmt: skip


def test_what_is_no_list_number_or_flag_in_any_spelling_is_refused(served: TestHive) -> None:
    with Client(socket_of(served, "coder")) as client:
        for arguments in MISSPELT:
            client.send(call(1, "ask", question="Which of these?", **arguments))
            assert client.read()["result"]["isError"] is True, str(arguments)[:80]
        assert "Which of these?" not in {asked["question"] for asked in client.ask("questions")["result"]}


def test_a_model_that_the_gate_does_not_let_in_is_told_so_where_it_looks(served: TestHive) -> None:
    argv, environment = bridge(served, "coder")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(socket_of(served, "coder"))) for _ in range(64)]
        assert clients[-1].ask("recent")["ok"] is True
        done = subprocess.run(
            argv, env=environment, input="", capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert "Too many connections" in done.stderr
