"""Who may call what, and with which arguments: the sockets do as docs/permissions.md says, for each caller."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from hive_core.caller import Role
from hive_faces.verbs import everything
from tests.clients import Client
from tests.hives import CHECKOUT, TestHive, eventually

# No argument may be this: whoever may give one is told what it has to be, and nothing is done.
WRONG = {"neither": ["a", "text", "nor", "a", "number"]}
# The operator's clients speak a protocol of their own for these.
HOSTWIRE = {"list", "start", "stop"}


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Role, Client]]:
    """A connection to the socket of each kind of caller."""
    hive = TestHive(tmp_path_factory.mktemp("permissions") / "hive")
    with hive.inside().store.write() as db:
        for name in ("manager", "coder"):
            db.execute("insert into agents (name, desired, created_at) values (?, 'stopped', 0)", (name,))
    hive.start("gate")
    run = hive.root / "run"
    paths = {
        Role.OPERATOR: run / "host.sock",
        Role.MANAGER: run / "agents" / "manager.sock",
        Role.AGENT: run / "agents" / "coder.sock",
    }
    eventually(lambda: all(path.exists() for path in paths.values()))
    clients = {caller: Client(path) for caller, path in paths.items()}
    try:
        yield clients
    finally:
        for client in clients.values():
            client.close()
        hive.close()


def documented() -> dict[tuple[str, str], dict[Role, str]]:
    """Verb and argument, under each of its names -> caller -> what the page says."""
    found = {}
    for line in (CHECKOUT / "docs" / "permissions.md").read_text().splitlines():
        if match := re.fullmatch(r"\| `(\w+)` \| `(\w+)`(?: \(`(\w+)`\))?: [^|]+ \|(.*)\|(.*)\|(.*)\|", line):
            verb, *names = match.group(1, 2, 3)
            says = dict(zip(Role, (part.strip() for part in match.group(4, 5, 6)), strict=True))
            found.update({(verb, name): says for name in names if name})
    return found


DOCUMENTED = documented()


def test_the_page_has_every_argument_that_a_socket_takes() -> None:
    there = {
        (operation.name, name)
        for operation in everything().values()
        for parameter in operation.parameters
        for name in (parameter.name, parameter.also)
        if not operation.shell_only and parameter.callers and name
    }
    assert DOCUMENTED.keys() == there


@pytest.mark.parametrize("caller", Role)
def test_each_argument_is_taken_from_whom_the_page_says_and_from_nobody_else(
    callers: dict[Role, Client], caller: Role
) -> None:
    for (verb, argument), says in DOCUMENTED.items():
        if caller is Role.OPERATOR and verb in HOSTWIRE:
            continue
        answer = callers[caller].ask(verb, **{argument: WRONG})
        assert answer["ok"] is False, (verb, argument)
        if not says[caller]:
            assert re.search(rf"There is no command '{verb}'|takes no '{argument}'", answer["error"]), (verb, argument)
        else:
            # Either what it has to be, or that another one is missing, which is asked for in their order.
            assert re.search(r"is not|is none|neither|needs|JSON type", answer["error"]), (verb, answer["error"])
            assert "takes no" not in answer["error"]


@pytest.mark.parametrize("caller", Role)
def test_an_argument_that_is_needed_cannot_be_left_away(callers: dict[Role, Client], caller: Role) -> None:
    for verb in {verb for (verb, _), says in DOCUMENTED.items() if says[caller] == "needed"} - HOSTWIRE:
        assert f"{verb} needs" in callers[caller].ask(verb)["error"]


def test_the_manager_updates_one_agent_that_it_names_and_neither_all_nor_itself(callers: dict[Role, Client]) -> None:
    manager = callers[Role.MANAGER]
    assert "takes no 'stale'" in manager.ask("update", stale=True)["error"]
    assert "takes no 'stale'" in manager.ask("update", name="coder", stale=False)["error"]
    assert "needs name" in manager.ask("update")["error"]
    assert "needs name" in manager.ask("update", name=None)["error"]
    assert "itself" in manager.ask("update", name="manager")["error"]
    tools = {tool["name"]: tool["inputSchema"] for tool in manager.rpc(1, "tools/list")["result"]["tools"]}
    assert (list(tools["update"]["properties"]), tools["update"]["required"]) == (["name"], ["name"])
    assert "follow" not in tools["journal"]["properties"]


def test_the_modelled_systems_names_of_arguments_are_taken(callers: dict[Role, Client]) -> None:
    agent, manager = callers[Role.AGENT], callers[Role.MANAGER]
    assert agent.ask("recv", wait_seconds=0, limit=1)["ok"] is True
    assert "deadline_at" in agent.ask("ask", question="ok?", ttl_seconds=60)
    assert "deadline_at" in manager.ask("ask_operator", question="ok?", ttl_seconds=60)
    assert "not the sha of a commit" in manager.ask("request_commit", agent="coder", commit_ref="main")["error"]
    assert "once" in agent.ask("recv", wait=0, wait_seconds=0)["error"]
