"""A notification in words: what leaves the machine, and that nobody's words pass for hive's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from hive_core.errors import Refused
from hive_core.need_kinds import GRAVE, NEED_KINDS, WAITING
from hive_core.settings import from_environment
from hive_fleet.needs.need import Need
from hive_fleet.notifications import rules, wording
from hive_fleet.notifications.rules import Service, from_table
from hive_fleet.notifications.wording import LATE, MOST_ROWS, message, row
from tests.properties import texts, thorough

CRASH = Need("crash", "coder", "coder", "crashed: SIGKILL", "hive journal coder", "its words", since=1)
ASKED = Need("question", "7", "coder", "coder asks you", "hive answer 7 TEXT", "which?", since=1)


def rows(*needs: Need, **more: bool) -> list[dict[str, Any]]:
    return [row(need, **{"again": False, "words": False, **more}) for need in needs]


def test_somebody_elses_words_leave_the_machine_only_where_they_may() -> None:
    assert "quote" not in rows(CRASH)[0]
    assert rows(CRASH, words=True)[0]["quote"] == "its words"
    assert message(rows(CRASH), 0, 0, None).body == "coder crashed: SIGKILL (hive journal coder)"
    assert message(rows(CRASH, words=True, again=True), 0, 0, None).body == (
        "still: coder crashed: SIGKILL: its words (hive journal coder)"
    )


def test_one_is_named_in_the_title_and_several_are_counted() -> None:
    one, several = message(rows(ASKED), 0, 0, None), message(rows(ASKED, CRASH), 0, 0, "https://hive.example/")
    assert one.title.endswith(": coder asks you")
    assert several.title.endswith(": 2 need you")
    assert several.body.splitlines() == [
        "coder asks you (hive answer 7 TEXT)",
        "coder crashed: SIGKILL (hive journal coder)",
        "https://hive.example/",
    ]
    assert (one.grave, several.grave) == (False, True)


def test_a_long_list_is_cut_and_says_where_the_rest_is() -> None:
    many = [Need("crash", f"w{number}", f"w{number}", "crashed", "hive journal", since=1) for number in range(13)]
    lines = message(rows(*many), 0, 0, None).body.splitlines()
    assert len(lines) == MOST_ROWS + 1
    assert lines[-1] == "and 3 more: hive needs-you"


def test_one_that_comes_late_says_of_when_it_is() -> None:
    assert "could not be sent before" not in message(rows(CRASH), 1000.0, 1000.0 + LATE, None).body
    assert (
        message(rows(CRASH), 1000.0, 1001.0 + LATE, None)
        .body.splitlines()[-1]
        .endswith(": it could not be sent before)")
    )


def test_a_command_is_given_the_same_as_json() -> None:
    found = message(rows(CRASH, ASKED), 5.5, 6.0, None)
    assert json.loads(json.dumps(found.data)) == found.data
    assert [each["id"] for each in found.data["needs"]] == ["crash/coder", "question/7"]
    assert (found.data["at"], found.data["title"]) == (5, found.title)
    tried = wording.test_message(5.5, "https://hive.example/")
    assert tried.body.splitlines()[-1] == "https://hive.example/"
    assert (tried.grave, tried.data["needs"]) == (False, [])


@thorough
@given(texts, texts)
def test_each_need_is_one_line_whatever_it_quotes(said: str, quote: str) -> None:
    need = Need("crash", "coder", "coder", f"crashed {said}", "hive journal coder", quote, since=1)
    found = message(rows(need, words=True), 0, 0, None)
    assert found.body.count("\n") == 0
    assert found.body.isprintable()
    assert found.title.isprintable()


def test_without_a_word_every_service_is_told_of_what_waits_at_any_hour() -> None:
    found = from_table({"services": {"phone": "ntfy://secret/x", "log": ["/bin/log", "secret"]}})
    for kind in NEED_KINDS:
        assert found.rules[kind].to == {"phone", "log"}
        assert (found.rules[kind].least, found.rules[kind].quiet) == (WAITING, None)
        assert (found.rules[kind].digest, found.rules[kind].repeat, found.rules[kind].words) == (0, 0, False)
    assert (found.most, found.link) == (20, None)


def test_what_is_said_of_a_kind_goes_before_what_is_said_of_all() -> None:
    table = {
        "services": {"phone": "ntfy://x"},
        "least": GRAVE,
        "digest": 5,
        "crash": {"digest": 1, "quiet": "22:00-07:00"},
    }
    found = from_table({**table, "most": 3, "words": "on", "stuck": {"to": []}})
    crash, stuck = found.rules["crash"], found.rules["stuck"]
    assert (crash.digest, crash.quiet, crash.least, crash.words) == (60.0, (1320, 420), GRAVE, True)
    assert (stuck.digest, stuck.quiet, stuck.to) == (300.0, None, frozenset())
    assert found.most == 3


def test_a_service_is_shown_without_its_secret() -> None:
    assert repr(Service("phone", "ntfys://tk_secret@host")) == "<service phone: ntfys://…>"
    assert repr(Service("log", ["/bin/log", "secret"])) == "<service log: /bin/log>"


def test_of_settings_that_cannot_be_used_it_is_said_that_nobody_is_notified(tmp_path: Any) -> None:
    settings = from_environment({"HIVE_HOME": str(tmp_path), "HIVE_RUN": str(tmp_path)})
    assert rules.wishes(settings).services == {}
    (tmp_path / "hive.toml").write_text('[notify]\nto = ["nobody"]\n')
    with pytest.raises(Refused, match="nobody"):
        rules.wishes(settings)
