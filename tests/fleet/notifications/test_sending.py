"""Notifications as services get them: by ntfy, by mail, by a command; and what becomes of those that are not taken."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from email import message_from_bytes
from email.policy import default
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from hive_core.context import Hive
from hive_core.need_kinds import NEED_KINDS
from hive_fleet.needs import needs
from hive_fleet.needs.need import Need
from hive_fleet.notifications import outbox, sending
from hive_fleet.notifications.delivery import _as_text, deliver, redacted
from hive_fleet.notifications.rules import Service
from hive_fleet.notifications.wording import Wording
from hive_fleet.watching import attention
from tests.hives import TestHive, eventually
from tests.stand_ins.ntfy import Ntfy

# A plugin of apprise's imports what Python deprecates; where that is an error, the plugin would be gone.
pytestmark = [pytest.mark.remembered, pytest.mark.filterwarnings("ignore::DeprecationWarning:apprise")]
SECRET = "s3cret-topic"


@pytest.fixture
def inside(hive: TestHive) -> Iterator[Hive]:
    made = hive.inside()
    yield made
    made.store.close()


@pytest.fixture
def ntfy() -> Iterator[Ntfy]:
    with Ntfy() as made:
        yield made


def wish(hive: TestHive, text: str) -> None:
    hive.home.mkdir(mode=0o700, exist_ok=True)
    (hive.home / "hive.toml").write_text(f"[notify]\n{text}")


def by_ntfy(hive: TestHive, ntfy: Ntfy, more: str = "") -> None:
    wish(hive, f'{more}\n[notify.services]\nphone = "ntfy://127.0.0.1:{ntfy.port}/{SECRET}"\n')


def need(inside: Hive, *found: Need) -> None:
    with inside.store.write() as db:
        for each in found:
            needs.put(db, each)


def crash(name: str) -> Need:
    return Need("crash", name, name, "crashed: SIGKILL", f"hive journal {name}", "its own words", int(1e9))


def failing(inside: Hive) -> dict[str, outbox.Failing]:
    with inside.store.read() as db:
        return outbox.failing(db)


def later(inside: Hive, seconds: float) -> None:
    moment = inside.clock() + seconds
    inside.clock = lambda: moment


def test_one_is_taken_once_and_says_what_to_type(hive: TestHive, inside: Hive, ntfy: Ntfy) -> None:
    by_ntfy(hive, ntfy, 'link = "https://hive.example/"')
    need(inside, crash("coder"))
    (outcome,) = sending.send_due(inside)
    assert (outcome.name, outcome.ok) == ("phone", True), outcome.detail
    assert sending.send_due(inside) == []
    (taken,) = ntfy.taken
    assert taken["topic"] == SECRET
    assert taken["title"].startswith("hive on ")
    assert taken["title"].endswith(": coder crashed: SIGKILL")
    assert taken["message"] == "coder crashed: SIGKILL (hive journal coder)\nhttps://hive.example/"
    (event,) = hive.events("notified")
    assert (event["to"], event["needs"]) == ("phone", ["crash/coder"])


def test_every_kind_is_received_once(hive: TestHive, inside: Hive, ntfy: Ntfy) -> None:
    by_ntfy(hive, ntfy, "least = 1\nmost = 100")
    for kind in NEED_KINDS:
        of_agent = NEED_KINDS[kind].of_agent
        need(inside, Need(kind, "x", "x" if of_agent else None, f"is {kind}", f"hive {kind}", since=1))
        sending.send_due(inside)
    sending.send_due(inside)
    bodies = [taken["message"] for taken in ntfy.taken]
    assert bodies == [f"{'x ' if NEED_KINDS[kind].of_agent else ''}is {kind} (hive {kind})" for kind in NEED_KINDS]


def test_quiet_hours_a_repeat_and_the_limit_hold_with_a_real_server(hive: TestHive, inside: Hive, ntfy: Ntfy) -> None:
    by_ntfy(hive, ntfy, 'quiet = "22:00-07:00"\nrepeat = 60\nmost = 2')
    # 23:00 of some day, by the clock of this machine.
    moment = time.mktime((2026, 6, 1, 23, 0, 0, 0, 0, -1))
    inside.clock = lambda: moment
    need(inside, replace(crash("coder"), since=int(moment) - 60))
    assert sending.send_due(inside) == []
    assert sending.due_at(inside) == moment + 8 * 3600
    taken = []
    # In the morning, again an hour later, and another right after that: the next after so many has to wait.
    for seconds in (8 * 3600, 3600, 60, 60):
        later(inside, seconds)
        need(inside, replace(crash(f"w{len(taken)}"), since=int(inside.clock()) - 10))
        sending.send_due(inside)
        taken.append(len(ntfy.taken))
    assert taken == [1, 2, 3, 3]
    assert "still: coder crashed" in ntfy.taken[1]["message"]
    later(inside, 3600)
    sending.send_due(inside)
    assert "w3 crashed" in ntfy.taken[-1]["message"]


def test_words_of_others_leave_the_machine_only_where_the_operator_wants_it(
    hive: TestHive, inside: Hive, ntfy: Ntfy
) -> None:
    by_ntfy(hive, ntfy, '\n[notify.question]\nwords = "on"\n')
    hive.run("ask", "May I see the secret?")
    hive.run("request-spawn", "tester", "--description", "a description")
    need(inside, crash("coder"))
    later(inside, 60)
    sending.send_due(inside)
    text = json.dumps(ntfy.taken)
    assert "May I see the secret?" in text
    assert "a description" not in text
    assert "its own words" not in text
    with inside.store.read() as db:
        assert "a description" not in str([tuple(row) for row in db.execute("select * from notices")])


def test_a_long_list_is_cut_and_says_so(hive: TestHive, inside: Hive, ntfy: Ntfy) -> None:
    by_ntfy(hive, ntfy)
    need(inside, *(crash(f"w{number}") for number in range(13)))
    sending.send_due(inside)
    assert ntfy.taken[0]["title"].endswith("13 need you")
    assert ntfy.taken[0]["message"].endswith("\nand 3 more: hive needs-you")


def test_a_service_that_is_down_loses_nothing_and_costs_the_others_nothing(
    hive: TestHive, inside: Hive, ntfy: Ntfy, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    script = f'["/bin/sh", "-c", "cat >> {log}"]'
    wish(hive, f'[notify.services]\nphone = "ntfy://127.0.0.1:{ntfy.port}/{SECRET}"\nlog = {script}\n')
    ntfy.answers = [429, 500, 503]
    need(inside, crash("coder"))
    told = {outcome.name: outcome for outcome in sending.send_due(inside)}
    assert (told["phone"].ok, told["log"].ok) == (False, True)
    assert "429" in told["phone"].detail
    # It is left alone for a while, ever longer; what is due meanwhile, and over again, waits for it.
    assert sending.send_due(inside) == []
    assert sending.due_at(inside) == pytest.approx(failing(inside)["phone"].due_at)
    pauses = []
    for _ in range(2):
        need(inside, crash("tester"))
        with inside.store.write() as db:
            needs.resolve(db, "crash/coder")
        pauses.append(failing(inside)["phone"].due_at - inside.clock())
        later(inside, pauses[-1] + 1)
        sending.send_due(inside)
    assert pauses == [pytest.approx(30, abs=1), pytest.approx(60, abs=1)]
    with inside.store.read() as db:
        (known,) = [each for each in attention.computed(inside, db) if each.kind == "notification"]
    assert (known.id, known.command) == ("notification/phone", "hive notify --test")
    later(inside, failing(inside)["phone"].due_at - inside.clock() + 600)
    sending.send_due(inside)
    (taken,) = ntfy.taken
    assert "coder crashed" in taken["message"]
    assert "tester crashed" in taken["message"]
    assert "could not be sent before" in taken["message"]
    assert failing(inside) == {}


def test_a_test_that_is_taken_ends_the_wait_of_the_others(hive: TestHive, inside: Hive, ntfy: Ntfy) -> None:
    by_ntfy(hive, ntfy)
    ntfy.answers = [500, 500]
    need(inside, crash("coder"))
    sending.send_due(inside)
    assert [each.ok for each in sending.send_test(inside)] == [False]
    assert sending.send_due(inside) == []
    assert [each.ok for each in sending.send_test(inside)] == [True]
    assert [each.ok for each in sending.send_due(inside)] == [True]
    assert len(ntfy.taken) == 2


def test_nothing_secret_of_a_service_is_kept_or_said(
    hive: TestHive, inside: Hive, ntfy: Ntfy, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    urls = {
        "phone": f"ntfy://user:hunter2@127.0.0.1:{ntfy.port}/{SECRET}",
        "gone": f"ntfy://user:hunter2@127.0.0.1:1/{SECRET}",
        "none": f"nosuch://user:hunter2@127.0.0.1/{SECRET}",
        "mail": f"mailto://user:hunter2@127.0.0.1:1/?to={SECRET}@localhost",
    }
    wish(hive, "[notify.services]\n" + "".join(f'{name} = "{url}"\n' for name, url in urls.items()))
    ntfy.answers = [401]
    need(inside, crash("coder"))
    outcomes = sending.send_due(inside)
    assert [outcome.ok for outcome in outcomes] == [False] * 4
    # What apprise itself logs for who wants all of it is nobody's here: it has a logger of its own.
    said = [json.dumps([outcome.detail for outcome in outcomes]), capfd.readouterr().err, hive.run("config").stdout,
            hive.run("config", "--json").stdout, hive.run("state", "--json").stdout,
            hive.run("doctor").stdout, json.dumps(hive.events())]  # fmt: skip
    with inside.store.read() as db:
        said.append(str([tuple(row) for row in db.execute("select * from services")]))
    for text in said:
        assert "hunter2" not in text
        assert SECRET not in text
    assert "ntfy://…" in said[2]
    assert "nosuch://" in said[0]


def test_every_part_of_a_url_is_taken_out_of_a_text() -> None:
    url = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/%23general"
    text = "Failed to send to t1jj3t3l2: error=403 at /TIiajkdnlazkcOXrIdevi7FQ for #general"
    assert redacted(text, url) == "Failed to send to …: error=403 at /… for #…"


def free_port() -> int:
    """A port of loopback that nobody has."""
    with closing(socket.socket()) as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


class Mailbox:
    """What a mail server was given."""

    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.mails.append(envelope)
        return "250 OK"


def test_a_mail_server_gets_it_from_who_logs_in(hive: TestHive, inside: Hive) -> None:
    def authenticated(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"hive", b"fake")
        return AuthResult(success=right)

    box = Mailbox()
    server = Controller(box, "127.0.0.1", free_port(), authenticator=authenticated, auth_require_tls=False)
    server.start()
    try:
        address = f"127.0.0.1:{server.port}/?to=me@localhost&from=hive@localhost&mode=insecure"
        wish(hive, f'[notify.services]\nmail = "mailto://hive:fake@{address}"\n')
        need(inside, crash("coder"))
        (outcome,) = sending.send_due(inside)
        assert outcome.ok, outcome.detail
        deliver(Service("mail", f"mailto://hive:fake@{address}"), Wording("t", "<a href=x>Approve</a>", False, {}))
    finally:
        server.stop()
    mail, of_an_agent = box.mails
    assert mail.rcpt_tos == ["me@localhost"]
    assert b"coder crashed: SIGKILL (hive journal coder)" in mail.content
    # What an agent wrote is text, and nothing else, to whoever reads the mail.
    for part in message_from_bytes(of_an_agent.content, policy=default).walk():
        if part.get_content_type() == "text/plain":
            assert part.get_content().strip() == "<a href=x>Approve</a>"
        else:
            assert "<a" not in part.as_string()


def test_a_service_that_reads_html_alone_is_given_text_in_it() -> None:
    import apprise

    service = apprise.Apprise.instantiate("tgram://123456789:abcdefg_hijklmnopqrstuvwxyzabcdef/12315544/")
    kind, body = _as_text(service, "<a href=x>Approve</a>")
    assert (kind, unescape(body).replace("\xa0", " ")) == (apprise.NotifyFormat.HTML, "<a href=x>Approve</a>")
    assert "<" not in body


def test_a_command_gets_all_of_it_as_json(hive: TestHive, inside: Hive, tmp_path: Path) -> None:
    got = tmp_path / "got"
    wish(hive, f'[notify.services]\nlog = ["/bin/sh", "-c", "cat > {got}"]\nbad = ["/bin/sh", "-c", "exit 3", "word"]\n'
               'none = ["/no/such/program", "word"]\n')  # fmt: skip
    need(inside, crash("coder"))
    told = {outcome.name: outcome for outcome in sending.send_due(inside)}
    said = json.loads(got.read_text())
    assert said["needs"][0]["id"] == "crash/coder"
    assert "quote" not in said["needs"][0]
    assert said["title"].endswith("coder crashed: SIGKILL")
    assert told["bad"].detail == "/bin/sh ended with 3."
    assert not told["none"].ok
    assert "word" not in told["none"].detail


def test_who_is_killed_while_a_service_has_it_sends_it_again(hive: TestHive, ntfy: Ntfy, inside: Hive) -> None:
    by_ntfy(hive, ntfy)
    need(inside, crash("coder"))
    ntfy.hanging.clear()
    sender = hive.start("notify")

    def is_written_down() -> bool:
        with inside.store.read() as db:
            return bool(outbox.unsent(db, "phone"))

    # Before it is sent.
    eventually(is_written_down)
    sender.kill()
    sender.wait()
    ntfy.hanging.set()
    sending.send_due(inside)
    assert {taken["message"] for taken in ntfy.taken} == {"coder crashed: SIGKILL (hive journal coder)"}
    with inside.store.read() as db:
        assert outbox.unsent(db, "phone") == []


def test_what_is_over_is_forgotten_and_so_is_a_service_that_is_no_more(
    hive: TestHive, inside: Hive, ntfy: Ntfy
) -> None:
    by_ntfy(hive, ntfy)
    need(inside, crash("coder"))
    sending.send_due(inside)
    with inside.store.write() as db:
        needs.resolve(db, "crash/coder")
    later(inside, 2 * 3600)
    sending.send_due(inside)
    ntfy.answers = [500]
    need(inside, crash("tester"))
    sending.send_due(inside)
    assert list(failing(inside)) == ["phone"]
    wish(hive, '[notify.services]\nother = ["/bin/true"]\n')
    sending.send_due(inside)
    with inside.store.read() as db:
        services = {row["service"] for name in ("notices", "tellings", "services")
                    for row in db.execute(f"select service from {name}")}  # fmt: skip
    assert services == {"other"}


def test_it_is_remembered_of_which_agent_alone_a_service_was_told(hive: TestHive) -> None:
    with hive.inside().store.write() as db:
        for agents in (["coder"], ["coder", "other"], ["coder", "coder"], [None]):
            rows = [
                {"id": f"crash/{agent}", "kind": "crash", **({"agent": agent} if agent else {})} for agent in agents
            ]
            outbox.put(db, "phone", rows, {}, 1000.0)
        past = outbox.history(db, "phone", 1001.0)
    assert (past.alone, len(past.hour)) == ({"coder": [1000.0, 1000.0]}, 4)
