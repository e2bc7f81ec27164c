"""What the operator wants to be notified of; and that nothing of a service's address is ever said."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core.errors import HiveError
from hive_core.need_kinds import NEED_KINDS, WAITING
from hive_fleet.notifications import delivery
from hive_fleet.notifications.delivery import deliver, redacted
from hive_fleet.notifications.rules import Service, from_table
from hive_fleet.notifications.wording import Wording
from tests.properties import texts, thorough

SERVICES = {"phone": "ntfy://host/topic", "mail": "mailto://user:secret@host", "program": ["/bin/tell", "--key=k"]}
_rules = st.fixed_dictionaries(
    {},
    optional={
        "to": st.lists(st.sampled_from(sorted(SERVICES)), unique=True),
        "least": st.integers(1, 3),
        "quiet": st.sampled_from(["off", "22:00-07:00", "00:00-00:01"]),
        "digest": st.integers(0, 1440),
        "repeat": st.integers(0, 10080),
        "most": st.integers(1, 1000),
        "words": st.sampled_from(["on", "off"]),
    },
)


@thorough
@given(_rules, st.dictionaries(st.sampled_from(sorted(NEED_KINDS)), _rules, max_size=3))
def test_what_a_kind_does_not_say_is_as_for_all_and_what_nobody_says_as_by_default(
    general: dict[str, Any], kinds: dict[str, dict[str, Any]]
) -> None:
    found = from_table({**general, **kinds, "services": SERVICES})
    assert set(found.rules) == set(NEED_KINDS)
    for kind, rule in found.rules.items():
        own = kinds.get(kind, {})
        said = {**general, **own}
        assert rule.to == frozenset(said.get("to", SERVICES))
        assert rule.least == said.get("least", WAITING)
        assert (rule.digest, rule.repeat) == (60 * said.get("digest", 0), 60 * said.get("repeat", 0))
        assert rule.words == (said.get("words") == "on")
        assert (rule.quiet is None) == (said.get("quiet", "off") == "off")
        assert rule.most == said.get("most", 20)
    # To one service together, whatever of one kind may be sent.
    assert found.most == general.get("most", 20)


def test_a_service_prints_as_its_name_and_kind_alone() -> None:
    shown = [repr(each) for each in from_table({"services": SERVICES}).services.values()]
    assert shown == ["<service phone: ntfy://…>", "<service mail: mailto://…>", "<service program: /bin/tell>"]


_part = st.text(st.sampled_from("aZ09%._-é"), min_size=3, max_size=8)


@thorough
@given(st.lists(_part, min_size=1, max_size=4), st.sampled_from("/:@?&=#"), texts)
def test_no_part_of_an_address_is_left_in_what_is_said_however_it_is_spelt(
    parts: list[str], between: str, around: str
) -> None:
    url = f"slack://{between.join(parts)}"
    for said in (url, url.upper(), f"{around}{parts[-1]}{around}", f"{parts[0]} and {between.join(parts)}"):
        found = redacted(said, url).lower()
        assert not [part for part in parts if part.lower() in found]


def message() -> Wording:
    return Wording("hive on host: a test", "body", False, {"title": "a test", "at": 1})


def test_a_program_is_given_all_of_it_as_one_line_of_json(tmp_path: Path) -> None:
    code = f"import pathlib, sys; pathlib.Path({str(tmp_path / 'got')!r}).write_text(sys.stdin.read())"
    deliver(Service("program", [sys.executable, "-S", "-c", code]), message())
    assert (tmp_path / "got").read_text() == '{"title":"a test","at":1,"body":"body"}'


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["/nonexistent/tell", "--key=secret"], "/nonexistent/tell is not there, or is not executable."),
        (["sh", "-c", "echo secret >&2; exit 7"], "sh ended with 7."),
        (["sh", "-c", "kill -9 $$ # secret"], "sh ended with -9."),
    ],
)
def test_a_program_that_does_not_take_it_is_told_by_its_name_and_how_it_ended(argv: list[str], said: str) -> None:
    with pytest.raises(HiveError) as refused:
        deliver(Service("program", argv), message())
    assert str(refused.value) == said


def test_one_that_takes_too_long_is_told_without_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "PATIENCE", 0.05)
    with pytest.raises(HiveError) as refused:
        deliver(Service("program", ["sleep", "1000"]), message())
    assert str(refused.value) == "sleep took longer than 0.05 seconds, or could not be run."
