"""What the host socket is asked: whatever stands in a request, it is answered or refused in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hive_core import wire
from hive_core.context import Hive
from hive_core.errors import HiveError, Invalid, NotFound
from hive_faces.gate.hostwire import COMMANDS, FIELDS, Answer, status_row
from hive_faces.verbs import everything
from hive_fleet.agents import table
from tests.properties import documents, thorough

pytestmark = pytest.mark.remembered
everything()
# Those that make nothing out of a name that nobody has yet.
ASKED = sorted(set(COMMANDS) - {"spawn", "request_spawn"})
FIELD = st.sampled_from(["name", "id", "scope", "graceful", "paused", "purge", "note", "sha", "agent_names", "cmd"])
scopes = st.fixed_dictionaries({"agent_names": st.lists(st.sampled_from(["gone", "Coder", "-"]) | documents())})


@settings(thorough, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(ASKED), st.dictionaries(FIELD, documents() | scopes, max_size=4))
def test_whatever_is_asked_is_answered_or_refused_and_no_agent_is_another(
    enlist: Callable[..., Hive], verb: str, request: dict[str, Any]
) -> None:
    hive = enlist()
    try:
        said = wire.line(COMMANDS[verb](hive, request))
    except HiveError as refused:
        said = wire.line(Answer(ok=False, error=str(refused)))
    assert said.startswith('{"version":1,"ok":')
    with hive.store.read() as db:
        assert table.names(db) == []


@pytest.mark.parametrize("scope", [None, {}, [], "coder", {"agent_names": []}, {"agent_names": {}}, {"agents": ["a"]}])
def test_a_scope_that_names_nobody_is_not_everybody(enlist: Callable[..., Hive], scope: Any) -> None:
    hive = enlist("coder")
    for verb in ("start", "stop"):
        with pytest.raises(Invalid, match="The scope names no agent"):
            COMMANDS[verb](hive, {"scope": scope})


def test_one_name_that_is_none_refuses_the_whole_before_anything_is_done(enlist: Callable[..., Hive]) -> None:
    hive = enlist("coder")
    with pytest.raises(Invalid, match="is not a name of an agent"):
        COMMANDS["stop"](hive, {"scope": {"agent_names": ["coder", "NO"]}})
    with hive.store.read() as db:
        assert table.one(db, "coder")["desired"] == "running"


def test_what_one_of_several_fails_with_is_told_by_its_name_and_the_others_go_on(enlist: Callable[..., Hive]) -> None:
    hive = enlist("coder")
    answer = COMMANDS["stop"](hive, {"scope": {"agent_names": ["gone", "coder", "away"]}})
    assert not answer.ok
    assert answer.error is not None
    assert answer.error.startswith("gone: There is no agent 'gone'.")
    assert "away: There is no agent 'away'." in answer.error
    with hive.store.read() as db:
        assert table.one(db, "coder")["desired"] == "stopped"


def test_a_flag_of_another_type_is_not_guessed_at(enlist: Callable[..., Hive]) -> None:
    hive = enlist("coder")
    for value in ("true", 1, None, [], {}):
        with pytest.raises(Invalid, match="graceful is of the JSON type boolean"):
            COMMANDS["stop"](hive, {"scope": {"agent_names": ["coder"]}, "graceful": value})
        with pytest.raises(Invalid, match="paused is of the JSON type boolean"):
            COMMANDS["set_paused"](hive, {"name": "coder", "paused": value})
    # Left away, one has a meaning, and the other none.
    with pytest.raises(Invalid, match="paused is of the JSON type boolean"):
        COMMANDS["set_paused"](hive, {"name": "coder"})
    with pytest.raises(NotFound):
        COMMANDS["set_paused"](hive, {"name": "gone", "paused": True})


def test_a_row_has_its_fields_whatever_more_or_less_is_known() -> None:
    known = {"name": "coder", "running": True, "more": 1}
    row = status_row(known)
    assert [getattr(row, name) for name in FIELDS[:2]] == ["coder", True]
    assert not hasattr(row, "more")
    # What is not known is absent, not null.
    assert wire.plain(row) == {"name": "coder", "running": True}
    assert wire.line(Answer(ok=False, error="no")) == '{"version":1,"ok":false,"error":"no"}'
