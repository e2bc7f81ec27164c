"""A search: words and no query language, the better hit first, and what is said by an index."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hive_cmds import messages
from hive_core.context import Hive
from hive_core.store import Store
from hive_fleet.messages.messages import post
from hive_fleet.messages.search import _SAID, known_to, newest_messages, with_words
from tests.mail import inside
from tests.properties import AWKWARD, thorough

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


BODIES = {"coder": ["an apple pie", "well-known pears"], "tester": ["apple and pear", "quince"]}


@pytest.fixture(scope="module")
def db() -> Iterator[sqlite3.Connection]:
    """Two agents who have written to the manager; nothing of it is kept."""
    with Store(Path("/nonexistent/hive.db")).read() as db:
        db.execute("savepoint test")
        for name, bodies in BODIES.items():
            for body in bodies:
                post(db, name, "manager", body)
        yield db


tried = settings(thorough, suppress_health_check=[HealthCheck.function_scoped_fixture])
queries = st.text(alphabet=AWKWARD + "*()^~ORNEAR", max_size=12)


@tried
@given(queries, st.sampled_from([None, "coder", "nobody"]))
def test_whatever_is_searched_for_is_words_and_no_query_language(
    db: sqlite3.Connection, query: str, reader: str | None
) -> None:
    for row in with_words(db, query, 10, reader=reader):
        assert reader is None or reader in (row["sender"], row["recipient"])


@tried
@given(st.sampled_from([(name, body) for name, bodies in BODIES.items() for body in bodies]), st.data())
def test_a_message_is_found_by_any_of_its_words_in_any_case_and_by_how_one_begins(
    db: sqlite3.Connection, message: tuple[str, str], data: st.DataObject
) -> None:
    name, body = message
    words = data.draw(st.lists(st.sampled_from(body.split()), min_size=1, unique=True))
    query = " ".join(data.draw(st.sampled_from([word, word.upper(), f"{word[:3]}*"])) for word in words)
    for reader in (None, name, "manager"):
        assert body in [row["body"] for row in with_words(db, query, 10, reader=reader)]
    # Nobody else finds it.
    other = next(each for each in BODIES if each != name)
    assert body not in [row["body"] for row in with_words(db, query, 10, reader=other)]


def test_a_message_is_known_to_its_two_ends_by_numbers_of_their_own(db: sqlite3.Connection) -> None:
    assert [known_to(db, "tester", number)["body"] for number in (1, 2)] == BODIES["tester"]  # type: ignore[index]
    assert known_to(db, "manager", 3)["body"] == BODIES["tester"][0]  # type: ignore[index]
    assert known_to(db, "tester", 3) is None
    assert known_to(db, "nobody", 1) is None
    bodies = [row["body"] for row in newest_messages(db, 3, inbox="manager")]
    assert bodies == [*reversed(BODIES["tester"]), BODIES["coder"][1]]
    assert newest_messages(db, 3, inbox="coder") == []
