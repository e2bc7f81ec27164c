"""What a CLI's own settings set in place of a login, whatever the agent has made of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_agent.own_settings import Own, of_claude, of_codex, of_none
from tests.properties import documents, texts, thorough


def test_claudes_settings_give_variables_and_a_program_that_prints_a_key() -> None:
    settings = {"env": {"ANTHROPIC_API_KEY": "fake", "N": 7}, "apiKeyHelper": " /bin/key ", "model": "x"}
    assert of_claude(settings) == Own((("ANTHROPIC_API_KEY", "fake"),), helper="apiKeyHelper")
    assert of_claude({"env": {}, "apiKeyHelper": "  "}) == Own()


@pytest.mark.parametrize(
    ("settings", "own"),
    [
        ({}, Own()),
        ({"model_provider": "openai"}, Own()),
        # One of the CLI's own, which is declared nowhere.
        ({"model_provider": "ollama"}, Own(provider="ollama")),
        ({"model_provider": "x", "model_providers": {"x": {"env_key": "X_KEY"}}}, Own(provider="x", key="X_KEY")),
        ({"model_provider": "x", "model_providers": {"x": {"requires_openai_auth": True}}}, Own()),
        ({"model_provider": "x", "model_providers": {"x": {"requires_openai_auth": "yes"}}}, Own(provider="x")),
        # The profile goes before what is said for all.
        ({"profile": "p", "profiles": {"p": {"model_provider": "y"}}, "model_provider": "x"}, Own(provider="y")),
        ({"profile": "p", "profiles": {"p": {}}, "model_provider": "x"}, Own(provider="x")),
        ({"profile": "q", "profiles": {"p": {"model_provider": "y"}}}, Own()),
    ],
)
def test_codexs_settings_give_a_provider_and_the_key_that_it_needs(settings: dict[str, Any], own: Own) -> None:
    assert of_codex(settings) == own


_ANY = texts | documents()
_codex = st.fixed_dictionaries(
    {"model_provider": _ANY},
    optional={
        "profile": st.just("p") | _ANY,
        "profiles": st.fixed_dictionaries({"p": st.fixed_dictionaries({"model_provider": _ANY}) | _ANY}) | _ANY,
        "model_providers": st.dictionaries(texts, st.fixed_dictionaries({"env_key": _ANY}) | _ANY, max_size=2) | _ANY,
    },
)


@thorough
@given(_codex)
def test_a_name_that_an_agent_has_chosen_is_shown_only_if_it_is_a_plain_one(settings: dict[str, Any]) -> None:
    own = of_codex(settings)
    for name in (own.provider, own.key):
        assert name == "of an odd name" or (name.isascii() and len(name) <= 64 and not set(name) & set(" \n\x1b<>&\"'"))


@thorough
@given(st.dictionaries(st.sampled_from(["env", "apiKeyHelper", "x"]), documents() | st.dictionaries(texts, texts)))
def test_claudes_settings_may_be_anything(settings: dict[str, Any]) -> None:
    own = of_claude(settings)
    assert own.helper in ("", "apiKeyHelper")
    assert all(isinstance(value, str) for _, value in own.environment)
    assert of_none(settings) == Own()
