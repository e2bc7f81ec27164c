"""The declarations: who may call what is stated once, and these are the statements that must not change by accident."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from hive_core.arguments import CHOICES, FREE
from hive_core.caller import Role
from hive_core.operation import Operation
from hive_faces.shell.completion import SOURCES
from hive_faces.verbs import DECLARED_IN, everything, find
from tests.hives import CHECKOUT

# Whoever widens one of these has to change it here too, with a reason.
MANAGERS = {
    "ack", "answer", "approvals", "ask", "ask_operator", "cancel", "cancel_question", "journal", "kill", "list", "nack", "nudge",
    "questions", "recent", "recv", "request_commit", "request_spawn", "restart", "revive", "search", "send",
    "set_model",
    "set_status", "show", "start", "status", "turn_settings", "update",
}  # fmt: skip
AGENTS = {
    "ack", "answer", "ask", "cancel_question", "nack", "questions", "recent", "recv", "search", "send", "set_model",
    "set_status",
    "turn_settings",
}  # fmt: skip


def verbs_of(caller: Role) -> set[str]:
    return {name for name, operation in everything().items() if caller in operation.callers}


def test_what_the_manager_may_call() -> None:
    assert verbs_of(Role.MANAGER) == MANAGERS


def test_what_an_agent_may_call() -> None:
    assert verbs_of(Role.AGENT) == AGENTS


def test_the_operator_may_call_everything_but_what_only_a_harness_says() -> None:
    assert set(everything()) - verbs_of(Role.OPERATOR) == {
        "ack",
        "nack",
        "set_model",
        "set_status",
        "turn_settings",
        "ask_operator",
    }


@pytest.mark.parametrize("operation", everything().values(), ids=lambda operation: operation.name)
def test_an_operation_is_found_by_its_verb_and_says_what_it_and_its_arguments_are(operation: Operation) -> None:
    assert find(operation.name) is operation
    assert operation.summary.endswith(".")
    for parameter in operation.parameters:
        assert parameter.help, parameter.name
    if operation.confirm:
        assert operation.confirm.format(**{parameter.name: "x" for parameter in operation.parameters})


@pytest.mark.parametrize("operation", everything().values(), ids=lambda operation: operation.name)
def test_the_kind_of_an_argument_says_what_a_shell_completes_it_with(operation: Operation) -> None:
    known = {FREE, CHOICES, *SOURCES}
    unsaid = [parameter.name for parameter in operation.parameters if parameter.kind.offers not in known]
    assert not unsaid, f"nothing completes {unsaid} of {operation.name}: its Kind says what `offers`, or FREE"


def test_every_operation_has_a_test_that_calls_it() -> None:
    called = {name for path in (CHECKOUT / "tests").rglob("test_*.py") for name in called_in(path)}
    untested = {name for name, each in everything().items() if not {name, each.verb, in_python(each)} & called}
    assert not untested, f"no test calls {sorted(untested)}"


def in_python(operation: Operation) -> str:
    return f"{operation.function.__module__.rpartition('.')[2]}.{operation.function.__name__}"


def called_in(path: Path) -> Iterator[str]:
    """What a test calls: as a command or by a socket the first word, in Python the file and the function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
                yield f"{node.func.value.id}.{node.func.attr}"
            words = [
                *node.args[:1],
                *(value for each in node.args if isinstance(each, ast.Dict) for value in each.values),
            ]
            yield from (word.value for word in words if isinstance(word, ast.Constant) and isinstance(word.value, str))


def test_what_destroys_asks_first() -> None:
    assert {name for name, operation in everything().items() if operation.confirm} == {"destroy", "purge", "restore"}


def test_an_unknown_verb_is_none() -> None:
    assert find("nonsense") is None


def test_what_an_agent_may_call_that_has_written_too_much_only_reads() -> None:
    # `recv` is not among them: what is handed out again and again is told of each time.
    assert {name for name, operation in everything().items() if operation.reads} == {
        "approvals",
        "attach",
        "configuration",
        "events",
        "history",
        "journal",
        "list",
        "needs_you",
        "questions",
        "recent",
        "search",
        "show",
        "state",
        "status",
        "timeline",
        "turn_settings",
    }


def test_the_table_of_verbs_names_every_declaration_and_its_module() -> None:
    everything()
    declared: dict[str, set[str]] = {}
    for room in ("hive_cmds", "hive_faces", "hive_fleet"):
        for path in (CHECKOUT / room).rglob("*.py"):
            module = ".".join(path.relative_to(CHECKOUT).with_suffix("").parts)
            importlib.import_module(module)
    for operation in everything().values():
        declared.setdefault(operation.function.__module__, set()).add(operation.name)
    assert {module: set(verbs.split()) for module, verbs in DECLARED_IN.items()} == declared
