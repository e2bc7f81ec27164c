"""`hive notify`, and that a watch sends by itself."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest

from hive_core import events
from hive_faces.verbs import find
from tests.hives import PLAIN, TestHive, eventually, interrupt
from tests.stand_ins.ntfy import Ntfy

pytestmark = pytest.mark.remembered


@pytest.fixture
def ntfy() -> Iterator[Ntfy]:
    with Ntfy(token="tk_fake") as made:
        yield made


def wish(hive: TestHive, text: str) -> None:
    hive.home.mkdir(mode=0o700, exist_ok=True)
    (hive.home / "hive.toml").write_text(text)


def url(ntfy: Ntfy, token: str = "tk_fake") -> str:
    return f"ntfy://{token}@127.0.0.1:{ntfy.port}/topic"


def test_a_test_says_of_every_service_whether_it_took_it(hive: TestHive, ntfy: Ntfy) -> None:
    wish(hive, f'[notify.services]\nright = "{url(ntfy)}"\nwrong = "{url(ntfy, "tk_no")}"\n')
    done = hive.run("notify", "--test", "--json", code=1)
    told = {row["name"]: row for row in json.loads(done.stdout)}
    assert told["right"] == {"name": "right", "ok": True, "detail": "took it"}
    assert not told["wrong"]["ok"]
    assert "403" in told["wrong"]["detail"]
    assert [taken["title"].partition(": ")[2] for taken in ntfy.taken] == ["a test"]
    assert hive.run("notify").stderr == "Nothing is to be sent now.\n"


def test_of_a_command_that_is_not_there_it_says_so(hive: TestHive) -> None:
    wish(hive, '[notify.services]\nlog = ["/bin/nowhere", "secret"]\n')
    (told,) = json.loads(hive.run("notify", "--test", "--json", code=1).stdout)
    assert told["detail"] == "/bin/nowhere is not there, or is not executable."


def test_without_a_service_it_says_where_to_name_one(hive: TestHive) -> None:
    assert "[notify.services]" in hive.run("notify", code=1).stderr


def test_what_a_timer_calls_sends_what_is_due_once(hive: TestHive, ntfy: Ntfy) -> None:
    wish(hive, f'[notify.services]\nphone = "{url(ntfy)}"\n')
    hive.run("ask", "Which?")
    assert hive.run("notify").stderr == "Nothing is to be sent now.\n"
    with hive.inside().store.write() as db:
        db.execute("update needs set since = since - 60")
    row, = json.loads(hive.run("notify", "--json").stdout)  # fmt: skip
    assert row["ok"]
    assert hive.run("notify").stdout == ""
    assert [taken["message"] for taken in ntfy.taken] == ["operator asks you (hive answer 1 TEXT)"]


def test_a_watch_sends_by_itself_whatever_a_service_does(hive: TestHive, ntfy: Ntfy) -> None:
    ntfy.hanging.clear()
    wish(hive, f'[notify.services]\nphone = "{url(ntfy)}"\nlost = "ntfy://127.0.0.1:1/topic"\n')
    watch = hive.start("watch", "--interval", "3600")
    assert watch.stderr is not None
    assert "watching 0 agents\n" in iter(watch.stderr.readline, "")
    hive.run("ask", "Which?")
    eventually(lambda: hive.inside().running("notify"))
    # The watch goes on while nobody answers, and the others are done with.
    hive.spawn("coder", PLAIN)
    eventually(lambda: hive.agent("coder")["running"])
    ntfy.hanging.set()
    eventually(lambda: hive.events("notified"))
    assert ntfy.taken[0]["message"] == "operator asks you (hive answer 1 TEXT)"
    assert interrupt(watch) == 130


def test_a_watch_says_so_when_nothing_can_be_sent_because_hive_was_updated(hive: TestHive) -> None:
    wish(hive, '[notify.services]\nlog = ["/bin/true"]\n')
    inside = hive.inside()
    inside.store.connection()
    watch = hive.start("watch", "--interval", "3600")
    assert watch.stderr is not None
    assert "watching 0 agents\n" in iter(watch.stderr.readline, "")
    ask = find("ask")
    assert ask is not None
    ask.call(inside, {"question": "Which?"})
    eventually(lambda: [event for event in events.since(inside.store.connection(), 0) if event.kind == "notified"])
    # What is started from now on is another hive than the one that the database is of.
    inside.store.connection().execute("insert into migrations values ('m999_future', 0)")
    ask.call(inside, {"question": "What?"})
    assert any("the notifications: `hive notify` ended with 1" in line for line in iter(watch.stderr.readline, ""))


def test_a_watch_that_ends_waits_for_no_service_and_loses_nothing(hive: TestHive, ntfy: Ntfy) -> None:
    ntfy.hanging.clear()
    wish(hive, f'[notify.services]\nphone = "{url(ntfy)}"\n')
    hive.run("ask", "Which?")
    watch = hive.start("watch", "--interval", "3600")
    eventually(lambda: hive.inside().running("notify"))
    assert interrupt(watch) == 130
    ntfy.hanging.set()
    eventually(lambda: hive.inside().running("notify") is None)
    hive.run("notify")
    assert "operator asks you (hive answer 1 TEXT)" in [taken["message"] for taken in ntfy.taken]


def test_settings_of_notifications_are_checked_and_no_url_is_repeated(hive: TestHive) -> None:
    wrong = {
        '[notify]\nquiet = "22-7"\n': "notify.quiet",
        "[notify]\nleast = 4\n": "notify.least",
        '[notify]\nto = ["nobody"]\n': "the services are none yet",
        '[notify.services]\nphone = ["ntfy://secret"]\n': "notify.services.phone is a command without a path",
        '[notify.services]\nphone = "secret"\n': "notify.services.phone is no service",
        '[notify.services]\nPhone = "ntfy://secret"\n': "has a name that cannot be",
        "[notify.crush]\nleast = 1\n": "perhaps it is crash",
    }
    for text, sentence in wrong.items():
        wish(hive, text)
        said = hive.run("config").stderr
        assert sentence in said
        assert f"line {1 if text.startswith('[notify.crush]') else 2}" in said
        assert "secret" not in said


def test_an_error_in_the_settings_of_notifications_costs_those_alone(hive: TestHive) -> None:
    wish(hive, "[notify]\nleast = 4\n")
    hive.run("spawn", "coder")
    assert "line 2: notify.least is 4" in hive.run("notify", code=1).stderr
    assert "line 2: notify.least is 4" in hive.run("doctor").stdout
    watch = hive.start("watch", "--interval", "3600")
    (need,) = eventually(lambda: [row for row in hive.asked("needs_you") if row["kind"] == "settings"])
    assert "line 2: notify.least is 4" in need["text"]
    watch.send_signal(signal.SIGINT)
    assert watch.communicate()[1].count("notify.least is 4") == 1
    wish(hive, "[notify]\nleast = 3\n")
    hive.run("watch", "--once")
    assert [row for row in hive.asked("needs_you") if row["kind"] == "settings"] == []


def test_settings_of_notifications_are_shown_without_what_is_secret(hive: TestHive) -> None:
    wish(hive, '[notify]\nquiet = "22:00-07:00"\nto = ["phone"]\n[notify.crash]\nquiet = "off"\nrepeat = 60\n'
               '[notify.services]\nphone = "ntfy://host/secret"\nlog = ["/bin/log", "secret"]\n')  # fmt: skip
    listed = [row for row in hive.json("config") if row["key"].startswith("notify")]
    assert [row["origin"] for row in listed[-2:]] == ["hive.toml, line 8", "hive.toml, line 9"]
    assert {row["key"]: row["value"] for row in listed} == {
        "notify.quiet": "22:00-07:00",
        "notify.to": "phone",
        "notify.crash": 'quiet = "off", repeat = 60',
        "notify.services.phone": "ntfy://…",
        "notify.services.log": "/bin/log",
    }
    assert "secret" not in json.dumps(hive.json("state"))
