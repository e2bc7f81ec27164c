"""The table of notifications: what it takes, what it refuses, and that a service's URL is never repeated."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core.checked_toml import load
from hive_core.errors import Refused
from hive_core.notify_toml import check, quiet_hours, scheme
from hive_core.toml_text import dumps
from tests.properties import texts, thorough

SECRET = "tk_SECRET"
WHOLE = """\
[notify]
to = ["phone", "log"]
least = 2
quiet = "22:00-07:30"
digest = 60
repeat = 0
most = 5
words = "off"
link = "https://hive.example.org"
[notify.services]
phone = "ntfys://tk_SECRET@ntfy.sh/topic"
log = ["/bin/log", "tk_SECRET"]
[notify.crash]
to = ["log"]
quiet = "off"
"""


def checked(text: str) -> dict[str, Any]:
    checker, table = load(text, "hive.toml", Refused)
    return check(checker, table["notify"], ("notify",))


def refused(text: str) -> str:
    with pytest.raises(Refused) as error:
        checked(text)
    return error.value.message


def test_a_whole_table_is_taken_as_it_is_written() -> None:
    assert checked(WHOLE) == load(WHOLE, "hive.toml", Refused)[1]["notify"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[notify]\ndigest = 1441", "line 2: notify.digest is 1441; give a whole number from 0 to 1440."),
        ("[notify]\nmost = 0", "line 2: notify.most is 0; give a whole number from 1 to 1000."),
        ('[notify]\nquiet = "24:00-07:00"', "line 2: notify.quiet is"),
        ("[notify]\nquiet = 22", "line 2: notify.quiet is 22; give hours of the day"),
        ("[notify]\nto = 'phone'", "line 2: notify.to is no list of names"),
        ("[notify]\nto = ['Phone']", "line 2: notify.to is no list of names"),
        ("[notify]\nlink = ''", "line 2: notify.link is"),
        ("[notify.crash]\nservices = {}", "line 2: notify.crash.services is not a key hive knows"),
        ("[notify.crash]\nto = ['phone']", "line 2: notify.crash.to names phone; the services are none yet."),
        (
            "[notify]\nto = ['phon']\n[notify.services]\nphone = 'ntfy://x'\nmail = ['/bin/mail']",
            "line 2: notify.to names phon; the services are phone, mail.",
        ),
        ("[notify.services]\nphone = []", "line 2: notify.services.phone is no service"),
        ("[notify.services]\nphone = ['bin/x']", "line 2: notify.services.phone is a command without a path"),
        ("notify = 1", "line 1: notify is 1; give a table"),
    ],
)
def test_what_is_wrong_is_refused_by_its_line_and_key(text: str, sentence: str) -> None:
    assert f"hive.toml, {sentence}" in refused(text)


@thorough
@given(
    st.sampled_from([f"{SECRET}", f"{SECRET}://", f"ntfy:{SECRET}", [SECRET], [f"x{SECRET}", "y"], {"a": SECRET}]),
    texts,
)
def test_a_service_that_is_refused_is_refused_without_a_word_of_it(service: Any, other: str) -> None:
    said = refused(dumps({"notify": {"to": [], "services": {"phone": service, "log": ["/bin/x", other]}}}))
    assert "notify.services" in said
    assert SECRET not in said


def test_of_a_service_only_its_kind_or_its_program_is_shown() -> None:
    assert scheme(f"ntfys://{SECRET}@host/x") == "ntfys://…"
    assert scheme(["/bin/log", SECRET]) == "/bin/log"


@thorough
@given(st.integers(0, 1439), st.integers(0, 1439))
def test_quiet_hours_are_minutes_of_a_day_and_never_all_of_it(begin: int, end: int) -> None:
    text = f"{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"
    assert quiet_hours(text) == (None if begin == end else (begin, end))
    assert checked(f'[notify]\nquiet = "{text}"') == {"quiet": text}


@thorough
@given(texts)
def test_what_are_no_quiet_hours_silences_nothing(text: str) -> None:
    assert quiet_hours(text) is None
    if text != "off":
        assert "notify.quiet" in refused(dumps({"notify": {"quiet": text}}))
