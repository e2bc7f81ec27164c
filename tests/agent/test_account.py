"""Which of a service's sentences are about the account: these park the agent, and cost no message."""

from __future__ import annotations

import pytest

from hive_agent.runners.account import is_about_it


@pytest.mark.parametrize(
    "sentence",
    [
        "Your credit balance is too low to access the Anthropic API.",
        "This organization has been disabled.",
        "Your account belongs to a DISABLED ORGANIZATION.",
        "You have reached your specified API usage limits.",
        "You exceeded your current quota, please check your plan and billing details.",
        "OAuth authentication is currently not allowed for this organization.",
    ],
)
def test_what_services_say_of_an_account_is_about_it(sentence: str) -> None:
    assert is_about_it(sentence)


@pytest.mark.parametrize(
    "sentence", ["", "Overloaded", "prompt is too long", "Write about credit. And balance.", "429"]
)
def test_what_they_say_of_a_message_or_of_themselves_is_not(sentence: str) -> None:
    assert not is_about_it(sentence)
