"""A search: words and no query language, the better hit first, and what is said by an index."""

from __future__ import annotations

import pytest

from hive_cmds import messages
from hive_core.context import Hive
from hive_fleet.messages.search import _SAID
from tests.mail import inside

__all__ = ["inside"]


@pytest.mark.parametrize(
    "query", ["apple", "APPLE", "apple pie", '"apple', "pie OR", "appl*", "NEAR/2 apple", "-apple", "*"]
)
def test_a_search_takes_words_and_no_query_language(inside: Hive, query: str) -> None:
    messages.send(inside, "coder", "an apple pie")
    found = [message.body for message in messages.search(inside, query).messages]
    hits = ("apple", "APPLE", "apple pie", '"apple', "-apple", "appl*")
    assert found == (["an apple pie"] if query in hits else [])


def test_a_search_ranks_the_better_hit_first(inside: Hive) -> None:
    messages.send(inside, "coder", "apple " + "filler " * 200)
    messages.send(inside, "coder", "apple apple apple")
    messages.send(inside, "coder", "pear")
    found = [message.body.split()[:2] for message in messages.search(inside, "apple").messages]
    assert found == [["apple", "apple"], ["apple", "filler"]]


def test_what_was_said_is_found_by_an_index_however_much_the_system_has_told(inside: Hive) -> None:
    with inside.store.read() as db:
        plan = db.execute(f"explain query plan select id from messages {_SAID} desc limit 20").fetchall()
    assert [row["detail"] for row in plan] == ["SCAN messages USING INDEX messages_said"]
