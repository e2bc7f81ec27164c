"""agent.toml: what is taken, and that each refusal names file, line and key."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core.containers.config import AgentConfig, Limits, McpServer, parse
from hive_core.errors import BuildFailed
from hive_core.toml_text import dumps
from tests.properties import texts, thorough

WHOLE = """\
runner = "command"
command = ["sh", "-c", "exit 0"]
model = "some"
restart = "on-failure"
settle_seconds = 0.5
allowed_recipients = ["manager", "operator", "coder"]

[environment]
LD_PRELOAD = "/state/x.so"

[limits]
memory = "512M"
processes = 20
cpu = 1

[mcp_servers.files]
command = "serve"
args = ["--here", ""]
[mcp_servers.files.environment]
TOKEN = "x"
"""


def test_a_whole_configuration_is_read() -> None:
    assert parse(WHOLE) == AgentConfig(
        "command",
        ("sh", "-c", "exit 0"),
        "some",
        "on-failure",
        ("manager", "operator", "coder"),
        {"LD_PRELOAD": "/state/x.so"},
        Limits(512 * 1024**2, 20, 1.0),
        {"files": McpServer("serve", ("--here", ""), {"TOKEN": "x"})},
        0.5,
    )


def test_a_byte_order_mark_at_the_beginning_is_no_part_of_the_text() -> None:
    assert parse("\ufeff" + WHOLE.replace("\n", "\r\n")) == parse(WHOLE)
    with pytest.raises(BuildFailed, match="line 2: model is 7"):
        parse("\ufeffrunner = 'claude'\nmodel = 7")
    with pytest.raises(BuildFailed, match="not TOML"):
        parse("runner = 'claude'\n\ufeffmodel = 'x'")


def test_no_limit_can_be_asked_for() -> None:
    limits = parse("command = ['true']\nlimits = {memory = 'none', processes = 'none', cpu = 'none'}").limits
    assert limits == Limits(math.inf, math.inf, math.inf)


def test_what_is_left_out_has_its_default() -> None:
    assert parse("command = ['true']") == AgentConfig(command=("true",))
    assert parse("runner = 'claude'").command == ()
    assert parse("runner = 'codex'").command == ()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "agent.toml, line 1: command is missing"),
        ("comand = ['a']", "line 1: comand is not a key hive knows; perhaps it is command."),
        ("\n[limitz]\nx = 1", "line 2: limitz is not a key hive knows; perhaps it is limits."),
        ("command = 'a'", 'line 1: command is "a"; give the program'),
        ("command = []", "line 1: command is []"),
        ("command = ['a', '']", 'line 1: command is ""'),
        ('command = ["a\\u0000"]', "line 1: command is"),
        ("runner = 'codec'", 'line 1: runner is "codec"; give one of command, claude, codex, exec.'),
        ("settle_seconds = 61", "line 1: settle_seconds is 61; give a number of seconds from 0 to 60"),
        ("settle_seconds = true", "line 1: settle_seconds is true; give a number"),
        ("settle_seconds = nan", "line 1: settle_seconds is NaN; give a number"),
        ("restart = true", "line 1: restart is true; give one of"),
        ("allowed_recipients = '*'", 'allowed_recipients is "*"; give a list'),
        ("allowed_recipients = ['../x']", 'allowed_recipients is "../x"'),
        ("[environment]\nA-B = 'x'", "line 2: environment.A-B has a name that cannot be"),
        ("[environment]\nA = 1", "line 2: environment.A is 1; give a text"),
        ("[environment]\nHIVE_SOCKET = 'x'", "line 2: environment.HIVE_SOCKET is hive's own"),
        ("# a comment\n\n[limits]\nmemory = 'lots'", 'line 4: limits.memory is "lots"; give a size such as 512M.'),
        ("[limits]\nmemory = 1024", "line 2: limits.memory is 1024; give a size from 4M"),
        ("limits.memory = '1K'", "line 1: limits.memory is"),
        ("limits = {processes = 0}", "line 1: limits.processes is 0; give a whole number from 1 to 32768."),
        ("[limits]\nprocesses = true", "line 2: limits.processes is true"),
        ("[limits]\ncpu = nan", "line 2: limits.cpu is NaN"),
        ("[mcp_servers.x]\nargs = []", "line 1: mcp_servers.x.command is missing"),
        ("[mcp_servers.hive]\ncommand = 'x'", "line 1: mcp_servers.hive is hive's own; choose another name."),
        ("[mcp_servers.'a b']\ncommand = 'x'", "line 1: mcp_servers.a b has a name that cannot be"),
        (
            "[mcp_servers.x]\ncommand = 'y'\nenvironment = {HIVE_A = ''}",
            "line 3: mcp_servers.x.environment.HIVE_A is hive's",
        ),
        ("a = '''\n[limits]\n'''\n[limits]\nmemory = 1", "line 1: a is not a key"),
        ("command = ['a']\nx = [", "agent.toml, line 2: this is not TOML"),
        ("command = [\n", "agent.toml, line 2: this is not TOML"),
        ("a = 1\na = 2", "line 2: this is not TOML"),
    ],
)
def test_a_refusal_names_file_line_and_key(text: str, sentence: str) -> None:
    with pytest.raises(BuildFailed) as refused:
        parse(text)
    assert str(refused.value).startswith("agent.toml")
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "x" * 70_000,
        "a = " + "[" * 6000,
        "a = " + "9" * 6000,
        "a = {b = " * 3000,
        "limits.memory = 0x" + "f" * 6000,
        "limits = {processes = 0x" + "f" * 6000 + "}",
        '"""' + '"\\' * 20_000,
    ],
)
def test_a_text_made_to_exhaust_the_reader_is_refused(text: str) -> None:
    with pytest.raises(BuildFailed, match=r"agent\.toml"):
        parse(text)


DOTS = ".".join("a" * 17)


@pytest.mark.parametrize(
    "text",
    [
        f"{DOTS} = 1",
        f"\n[{DOTS}]",
        f"x = {{ {DOTS} = 1}}",
        f"{DOTS.replace('.', ' . ')} = 1",
        DOTS.replace("a", '"a b"') + " = 1",
        DOTS.replace("a", "'a'") + " = 1",
        f'# """\n{DOTS} = 1\n# """',
    ],
)
def test_a_key_of_too_many_parts_is_refused_before_anything_reads_it(text: str) -> None:
    with pytest.raises(BuildFailed, match=r"agent\.toml, line [12]: this key has more than 16 parts"):
        parse(text)


@pytest.mark.parametrize("quote", ['"', "'", '"""', "'''"])
def test_many_dots_in_a_text_are_no_key(quote: str) -> None:
    text = f"command = ['x']\nmodel = {quote}{DOTS}{quote} # {DOTS}"
    assert parse(text).model == DOTS


def test_the_file_is_named_as_the_caller_calls_it() -> None:
    with pytest.raises(BuildFailed, match=r"^other\.toml, line 1"):
        parse("x = 1", "other.toml")


def test_keys_within_a_text_over_several_lines_are_not_taken_for_keys() -> None:
    with pytest.raises(BuildFailed, match=r"line 5: limits\.memory"):
        parse("model = '''\n[limits]\nmemory = 1\n'''\nlimits.memory = 1")


_values = (
    st.booleans() | st.integers(-1, 70000) | st.floats() | texts | st.lists(texts, max_size=2)
    | st.sampled_from(["none", "512M", "always", "claude", "exec", ["sh"], ["*"], ["coder", "operator"]])
)  # fmt: skip
_named = st.dictionaries(st.sampled_from(["A", "b_1", "HIVE_X", "1A", "A-B", "hive", "x"]), texts | _values, max_size=2)
_server = st.fixed_dictionaries(
    {}, optional={"command": texts, "args": _values, "environment": _named, "comand": texts}
)
_tables = st.fixed_dictionaries(
    {"command": st.just(["sh"]) | _values},
    optional={
        "runner": _values, "model": _values, "restart": _values, "allowed_recipients": _values,
        "settle_seconds": _values, "stuck_minutes": _values, "environment": _named | _values,
        "limits": st.dictionaries(st.sampled_from(["memory", "processes", "cpu", "disk"]), _values, max_size=2) | _values,
        "mcp_servers": st.dictionaries(st.sampled_from(["files", "a b", "hive"]), _server, max_size=2) | _values,
    },
)  # fmt: skip


@thorough
@given(_tables)
def test_whatever_an_agent_asks_for_is_taken_within_bounds_or_refused_by_line_and_key(table: dict[str, Any]) -> None:
    text = dumps(table)
    try:
        found = parse(text)
    except BuildFailed as error:
        said = re.match(r"agent\.toml, line (\d+): (\w+)", error.message)
        refused = said is not None and 1 <= int(said[1]) <= text.count("\n") + 1
    else:
        bounded = (found.limits.memory, found.limits.processes, found.limits.cpu)
        assert all(amount is None or amount > 0 for amount in bounded)
        assert 0 <= found.settle_seconds <= 60
        for environment in (found.environment, *(server.environment for server in found.mcp_servers.values())):
            assert not [name for name in environment if name.startswith("HIVE_")]
        assert "hive" not in found.mcp_servers
        assert found.runner != "command" or found.command
        return
    assert refused
