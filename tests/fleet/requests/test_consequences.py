"""What a configuration changes for its agent, in sentences with a weight; never the values of its environment."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core.containers.config import RESTARTS, AgentConfig, Limits, McpServer, parse
from hive_fleet.requests.consequences import Consequence, Weight, consequences
from tests.properties import thorough, words

CLAUDE = 'runner = "claude"\n'
WIDENS, NARROWS, NEUTRAL = Weight.WIDENS, Weight.NARROWS, Weight.NEUTRAL


def told(before: str, after: str) -> list[tuple[Weight, str]]:
    return [(found.weight, found.text) for found in consequences(parse(before), parse(after))]


def test_the_same_configuration_changes_nothing() -> None:
    text = CLAUDE + '[limits]\nmemory = "1G"\n[environment]\nA = "1"\n[mcp_servers.x]\ncommand = "x"\n'
    assert consequences(parse(text), parse(text + "# said again\n")) == []


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            CLAUDE,
            'runner = "codex"\n',
            [(NEUTRAL, "thinks with codex, which runs what it decides, no longer claude")],
        ),
        (
            'runner = "command"\ncommand = ["sleep", "60"]\n',
            CLAUDE,
            [(WIDENS, "thinks with claude, which runs what it decides, no longer `sleep 60`")],
        ),
        (
            CLAUDE,
            'runner = "exec"\ncommand = ["sh", "-c", "a b"]\n',
            [(NEUTRAL, "runs `sh -c 'a b'` for each message, no longer claude")],
        ),
        (CLAUDE, CLAUDE + 'model = "opus"\n', [(NEUTRAL, "uses the model opus")]),
        (CLAUDE + 'model = "opus"\n', CLAUDE, [(NEUTRAL, "uses the default model of claude")]),
        (CLAUDE, CLAUDE + 'restart = "always"\n', [(WIDENS, "is restarted whenever it ends")]),
        (CLAUDE + 'restart = "on-failure"\n', CLAUDE, [(NARROWS, "is not restarted when it ends")]),
    ],
)
def test_what_it_runs(before: str, after: str, expected: list[tuple[Weight, str]]) -> None:
    assert told(before, after) == expected


def test_names_of_its_environment_are_told_and_no_value() -> None:
    before = CLAUDE + '[environment]\nOLD = "secret-1"\nSAME = "secret-2"\nOTHER = "secret-3"\n'
    after = CLAUDE + '[environment]\nSAME = "secret-2"\nOTHER = "secret-4"\nANTHROPIC_API_KEY = "secret-5"\nNEW = "6"\n'
    found = told(before, after)
    assert found == [
        (WIDENS, "is given ANTHROPIC_API_KEY, a key to log in by"),
        (WIDENS, "is given NEW, an environment variable"),
        (NARROWS, "is given OLD no longer"),
        (NEUTRAL, "is given another value of OTHER"),
    ]
    assert "secret" not in str(found)


def test_what_it_starts_beside_itself() -> None:
    one = CLAUDE + '[mcp_servers.files]\ncommand = "files"\nargs = ["/state"]\n'
    other = (
        CLAUDE + '[mcp_servers.files]\ncommand = "files"\nargs = ["/"]\n[mcp_servers.files.environment]\nKEY = "x"\n'
    )
    assert told(CLAUDE, one) == [(WIDENS, "starts the MCP server files: `files /state`")]
    assert told(one, CLAUDE) == [(NARROWS, "no longer starts the MCP server files")]
    assert told(one, other) == [
        (WIDENS, "starts the MCP server files as `files /`, no longer as `files /state`"),
        (WIDENS, "gives the MCP server files KEY, an environment variable"),
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (["*"], ["operator"], [(NARROWS, "may write to nobody but operator")]),
        (["*"], [], [(NARROWS, "may write to nobody but nobody")]),
        (["operator"], ["*"], [(WIDENS, "may write to everybody")]),
        (["a", "b"], ["b", "c", "d"], [(WIDENS, "may write to c and d"), (NARROWS, "may no longer write to a")]),
        (["*"], ["*", "a"], []),
    ],
)
def test_whom_it_may_write_to(before: list[str], after: list[str], expected: list[tuple[Weight, str]]) -> None:
    old, new = (f"{CLAUDE}allowed_recipients = {names}\n".replace("'", '"') for names in (before, after))
    assert told(old, new) == expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ('memory = "1G"', 'memory = "1536M"', (WIDENS, "may use 1536M of memory, not 1G of memory")),
        ('memory = "1G"', 'memory = "4M"', (NARROWS, "may use 4M of memory, not 1G of memory")),
        ('memory = "1G"', 'memory = "none"', (WIDENS, "may use any amount of memory, not 1G of memory")),
        ("processes = 10", "", (NEUTRAL, "may use the default of processes, not 10 processes")),
        ("", 'cpu = "none"', (WIDENS, "may use any amount of cpu, not the default of cpu")),
        ("cpu = 0.5", "cpu = 2", (WIDENS, "may use 2 cores, not 0.5 cores")),
    ],
)
def test_what_it_may_use_up(before: str, after: str, expected: tuple[Weight, str]) -> None:
    assert told(f"{CLAUDE}[limits]\n{before}\n", f"{CLAUDE}[limits]\n{after}\n") == [expected]


def test_a_new_agent_shows_all_that_it_is_given() -> None:
    after = parse(CLAUDE + 'restart = "always"\n[environment]\nA = "1"\n')
    assert consequences(None, after) == [
        Consequence("environment", WIDENS, "is given A, an environment variable"),
        Consequence("allowed_recipients", WIDENS, "may write to everybody"),
        Consequence("restart", WIDENS, "is restarted whenever it ends"),
        Consequence("runner", NEUTRAL, "thinks with claude, which runs what it decides"),
    ]


def test_a_command_of_any_length_is_told_in_a_line() -> None:
    found = told(CLAUDE, f'runner = "command"\ncommand = ["echo", "{"x" * 5000}"]\n')
    assert len(found[0][1]) < 250


@pytest.mark.parametrize(
    ("seconds", "text"),
    [("0", "counts as deployed at once"), ("30", "has to live for 30 seconds to count as deployed")],
)
def test_how_long_it_has_to_live_is_told(seconds: str, text: str) -> None:
    assert told(CLAUDE, f"{CLAUDE}settle_seconds = {seconds}\n") == [(NEUTRAL, text)]


SECRET = "sk-SECRET"
_environment = st.dictionaries(words, st.sampled_from([SECRET, f"{SECRET}2", ""]), max_size=2)
_amount = st.none() | st.sampled_from([1.0, 1024.0**3, math.inf])
_configs = st.builds(
    AgentConfig,
    runner=st.sampled_from(["claude", "codex", "exec", "command"]),
    command=st.sampled_from([("sh", "-c", "x" * 500), ("true",)]),
    model=st.none() | words,
    restart=st.sampled_from(RESTARTS),
    allowed_recipients=st.lists(st.sampled_from(["*", "operator", "coder", "tester"]), max_size=3).map(tuple),
    environment=_environment,
    limits=st.builds(Limits, _amount, _amount, _amount),
    mcp_servers=st.dictionaries(words, st.builds(McpServer, words, st.just(("a",)), _environment), max_size=2),
    settle_seconds=st.sampled_from([0.0, 2.0]),
    stuck_minutes=st.none() | st.sampled_from([0, 5]),
)


@thorough
@given(_configs, _configs)
def test_whatever_changes_is_told_the_gravest_first_and_no_value_of_an_environment(
    before: AgentConfig, after: AgentConfig
) -> None:
    found = consequences(before, after)
    assert (found == []) == (_told_of(before) == _told_of(after))
    assert consequences(after, after) == []
    order = list(Weight)
    assert [order.index(each.weight) for each in found] == sorted(order.index(each.weight) for each in found)
    assert all(each.text and SECRET not in each.text for each in found)
    # What is new widens, as far as it says anything at all.
    assert {each.topic for each in consequences(None, after)} >= {"runner"}


def _told_of(config: AgentConfig) -> AgentConfig:
    """The same, with what makes no difference left away: the order of recipients, and who is named beside everybody."""
    import dataclasses

    recipients = ("*",) if "*" in config.allowed_recipients else tuple(sorted(set(config.allowed_recipients)))
    return dataclasses.replace(config, allowed_recipients=recipients)


@thorough
@given(
    st.sets(st.sampled_from(["operator", "coder", "tester", "*"])), st.sets(st.sampled_from(["operator", "coder", "*"]))
)
def test_who_may_be_written_to_widens_and_narrows_by_who_comes_and_goes(before: set[str], after: set[str]) -> None:
    found = consequences(*(AgentConfig(runner="claude", allowed_recipients=tuple(each)) for each in (before, after)))
    everybody = {"operator", "coder", "tester", "another"}
    reach = [everybody if "*" in each else each for each in (before, after)]
    weights = {each.weight for each in found}
    assert (WIDENS in weights) == bool(reach[1] - reach[0])
    assert (NARROWS in weights) == (bool(reach[0] - reach[1]))
