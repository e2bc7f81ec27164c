"""The status page in a real browser: what happens anywhere shows by itself, with one cold load; hostile text is text."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hive_core.caller import Identity, Role
from hive_faces.verbs import everything
from hive_fleet.flake import staleness
from hive_fleet.watching.rounds import tick
from tests.agent.browser import free_port
from tests.hives import CHECKOUT, PLAIN, TestHive
from tests.needs import requires
from tests.status_page.conftest import Served, Tab, opened, serve
from tests.status_page.near import served_near
from tests.status_page.tls_proxy import tls_proxy

pytestmark = requires("chromium")
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script> \u202egnp.exe"
# A program that is run for each message, and so has turns.
TURNS = 'runner = "exec"\nsettle_seconds = 0.05\ncommand = ["sh", "-c", "cat >/dev/null; echo the tests pass"]\n'


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One hive for all of these: each test has a tab of its own, and leaves what others need as it was."""
    hive = TestHive(tmp_path_factory.mktemp("page") / "hive")
    hive.configure("turner", TURNS)
    (hive.home / "agents/turner/port").write_text(f"{free_port()}\n")
    served = serve(hive)
    hive.run("spawn", "turner")
    yield served
    hive.close()


def call(served: Served, verb: str, by: Role, whose: str, /, **arguments: object) -> Any:
    """An operation as the manager or an agent calls it."""
    return everything()[verb].call(served.hive.inside().acting_as(Identity(by, whose)), arguments)


def choose(page: Any, name: str, tab: str) -> None:
    page.locator(f".agent[data-name={name}]").click()
    page.get_by_role("tab", name=tab).click()


def loads(tab: Tab, path: str) -> int:
    """How often the page has asked for this, also by what it has drawn just now."""
    tab.page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    return sum(path in url for url in tab.asked)


def test_a_request_from_elsewhere_is_looked_at_and_approved_and_its_deploy_is_seen(served: Served, tab: Tab) -> None:
    page = tab.page
    number = served.hive.request(
        "coder", PLAIN.replace("echo ready", "echo ready again") + "[environment]\nKEY = 'x'\n"
    )
    row = page.locator(f"[data-key=request-{number}]")
    row.get_by_role("button", name="Look").wait_for()
    assert loads(tab, f"/api/request/{number}") == 0
    row.get_by_role("button", name="Look").click()
    row.get_by_text("is given KEY, an environment variable").wait_for()
    row.locator(".diff .add mark", has_text="again").wait_for()
    assert loads(tab, f"/api/request/{number}") == 1
    row.get_by_role("button", name="Approve").click()
    page.get_by_role("list", name="Steps").get_by_text("building").wait_for()
    row.wait_for(state="detached")
    page.get_by_role("tab", name="History").click()
    page.get_by_text(f"deployed/{number}").wait_for()
    page.locator(f"#decided-{number}").get_by_role("button", name="Look").click()
    page.locator(f"#decided-{number}").get_by_text(f"approved/{number}").wait_for()
    assert tab.states() == 1


def test_what_is_approved_is_what_is_on_the_screen(served: Served) -> None:
    number = served.hive.request("coder", PLAIN + "# seen\n")
    status, answer = served.client.ask("POST", f"/approve/{number}", {"sha": "0" * 40})
    assert (status, "nothing was approved" in answer["error"]) == (409, True)
    assert served.hive.asked("approvals")[0]["status"] == "pending"
    served.hive.asked("deny", id=number)


def test_a_denial_asks_for_a_note_and_leaves_it_in_the_history(served: Served, tab: Tab) -> None:
    page = tab.page
    number = served.hive.request("coder", PLAIN + "# too much\n")
    page.locator(f"[data-key=request-{number}]").get_by_role("button", name="Deny…").click()
    page.get_by_label("Why").fill("too broad")
    page.get_by_role("dialog").get_by_role("button", name="Deny").click()
    page.locator(f"[data-key=request-{number}]").wait_for(state="detached")
    assert served.hive.asked("approvals", all=True)[-1]["note"] == "too broad"
    choose(page, "coder", "History")
    page.locator(f"#decided-{number}", has_text="too broad").wait_for()


def test_what_somebody_else_has_decided_is_told_where_it_is_decided_again(served: Served, tab: Tab) -> None:
    page = tab.page
    number = served.hive.request("coder", PLAIN + "# decided twice\n")
    page.locator(f"[data-key=request-{number}]").get_by_role("button", name="Deny…").click()
    served.hive.run("deny", str(number), "--note", "in the shell")
    page.get_by_label("Why").fill("again")
    page.get_by_role("dialog").get_by_role("button", name="Deny").click()
    page.locator("#toast", has_text="denied").wait_for()


def test_a_request_for_an_agent_shows_what_will_be_made(served: Served, tab: Tab) -> None:
    page = tab.page
    number = call(served, "request_spawn", Role.MANAGER, "manager", name="helper", description="helps").id
    row = page.locator(f"[data-key=request-{number}]", has_text="helps")
    row.get_by_role("button", name="Look").click()
    row.locator(".diff .add", has_text="runner =").wait_for()
    row.get_by_role("list", name="Consequences").wait_for()
    row.get_by_role("button", name="Deny…").click()
    page.get_by_role("dialog").get_by_role("button", name="Deny").click()
    row.wait_for(state="detached")
    assert tab.states() == 1


def test_a_question_is_answered_by_its_options_and_in_own_words(served: Served, tab: Tab) -> None:
    page = tab.page
    for multi, answer in ((False, "next, both, later"), (True, "main, next, both, later")):
        asked = {"question": "Which?", "options": ["main", "next"], "ttl": 600, "multi": multi}
        number = served.hive.asked("ask", **asked)["id"]
        row = page.locator(f"[data-key=question-{number}]")
        row.get_by_text("left 09:").wait_for()
        row.get_by_label("main").check()
        row.get_by_label("next").check()
        row.get_by_label("Your own answer").fill("both, later")
        page.reload()
        row.get_by_role("button", name="Answer").click()
        row.wait_for(state="detached")
        assert served.hive.asked("questions", all=True)[-1]["answer"] == answer


def test_a_question_is_cancelled_and_a_row_acknowledged_in_one_tab_and_gone_in_another(
    browser: Any, served: Served, tab: Tab
) -> None:
    first, second = (served.hive.asked("ask", question=text)["id"] for text in ("cancelled?", "acknowledged?"))
    tab.page.locator(f"[data-key=question-{second}]").wait_for()
    with opened(browser, served) as other:
        row = other.page.locator(f"[data-key=question-{first}]")
        row.get_by_role("button", name="Cancel question").click()
        other.page.get_by_role("dialog").get_by_role("button", name="Cancel question").click()
        other.page.locator(f"[data-key=question-{second}]").get_by_title("Acknowledge").click()
        tab.page.locator(f"[data-key=question-{first}]").wait_for(state="detached")
        tab.page.get_by_text("1 acknowledged").wait_for()
        assert tab.states() == other.states() == 1
    served.hive.asked("cancel_question", id=second)


def test_the_title_and_the_icon_carry_how_many_need_the_operator(served: Served, tab: Tab) -> None:
    page = tab.page
    looks = (
        "[document.querySelectorAll('#needs-list .row').length, document.title, document.querySelector('#icon').href]"
    )

    def count() -> int:
        """How many there are, by all three at one moment."""
        rows, title, icon = page.evaluate(looks)
        assert title == (f"({rows}) hive" if rows else "hive")
        assert icon.endswith(f"#n{rows}")
        return int(rows)

    number = served.hive.asked("ask", question="counted?")["id"]
    page.locator(f"[data-key=question-{number}]").wait_for()
    assert count() >= 1
    served.hive.asked("cancel_question", id=number)
    page.locator(f"[data-key=question-{number}]").wait_for(state="detached")
    count()


def test_what_is_being_written_outlives_updates_and_a_reload(served: Served, tab: Tab) -> None:
    page = tab.page
    choose(page, "coder", "Messages")
    box = page.get_by_label("Message to coder")
    box.fill("half a sent")
    served.hive.run("send", "coder", "from the shell")
    page.locator(".message", has_text="from the shell").wait_for()
    assert box.input_value() == "half a sent"
    page.reload()
    page.wait_for_selector("#live:not(.stale)")
    assert box.input_value() == "half a sent"
    box.fill("a whole sentence")
    page.get_by_role("tabpanel").get_by_role("button", name="Send").click()
    page.locator(".message", has_text="a whole sentence").wait_for()
    page.get_by_label("Search messages").fill("whole sentence")
    page.keyboard.press("Enter")
    page.get_by_text("1 message with").wait_for()
    page.get_by_label("Message to anyone").fill("to whoever is chosen")
    page.locator("#activity").get_by_label("To", exact=True).select_option("turner")
    page.keyboard.press("Escape")
    page.locator("#activity").get_by_role("button", name="Send").click()
    page.locator("#activity .feed", has_text="to whoever is chosen").wait_for()


def test_what_the_shell_does_shows_by_itself(served: Served, tab: Tab) -> None:
    page = tab.page
    served.hive.run("stop", "coder")
    page.locator(".agent[data-name=coder]", has_text="stopped").wait_for()
    served.hive.run("start", "coder")
    page.locator(".agent[data-name=coder] [aria-label=running]").wait_for()
    served.hive.spawn("second")
    page.locator(".agent[data-name=second]").wait_for()
    served.hive.run("destroy", "second", "--yes")
    page.locator(".agent[data-name=second]").wait_for(state="detached")
    page.locator("#tombstones summary", has_text="1 destroyed").click()
    page.locator("#tombstones").get_by_role("button", name="Revive").click()
    row = page.locator("#needs .row", has_text="second")
    row.get_by_role("button", name="Look").click()
    row.get_by_text("Not a new agent").wait_for()
    row.get_by_role("button", name="Approve").click()
    page.locator(".agent[data-name=second] [aria-label=running]").wait_for()
    page.locator("#detail h3", has_text="second").wait_for()
    page.get_by_label("More actions").click()
    page.get_by_role("button", name="Destroy…").click()
    page.get_by_role("dialog").get_by_role("button", name="Destroy").click()
    page.locator("#tombstones summary").click()
    page.locator("#tombstones").get_by_role("button", name="Purge…").click()
    page.get_by_role("dialog").get_by_role("button", name="Purge").click()
    assert page.get_by_role("dialog").is_visible()
    page.get_by_label("Type second to go on").fill("second")
    page.get_by_role("dialog").get_by_role("button", name="Purge").click()
    page.locator("#tombstones").wait_for(state="detached")
    assert tab.states() <= 2  # After a purge the events alone do not tell how all is.


def test_what_is_done_to_an_agent_is_refused_where_it_is_no_longer_as_it_was_shown(served: Served) -> None:
    ask = served.client.ask
    shown = ask("GET", "/api/state")[1]["result"]["seq"]
    served.hive.run("restart", "coder")
    status, answer = ask("POST", "/stop/coder", {"seq": shown})
    assert (status, "not as it was shown (restarting)" in answer["error"]) == (409, True)
    assert ask("POST", "/stop/coder", {"seq": "x"})[0] == 409
    assert served.hive.agent("coder")["running"] is True
    assert ask("POST", "/restart/coder", {"seq": ask("GET", "/api/state")[1]["result"]["seq"]})[0] == 200


def test_turns_are_seen_as_they_happen(served: Served, tab: Tab) -> None:
    page = tab.page
    choose(page, "turner", "Turns")
    served.hive.asked("send", to="turner", body="run the tests")
    turn = page.locator(".turns .message", has_text="run the tests")
    turn.get_by_text("the tests pass").wait_for()
    turn.get_by_text("done").wait_for()


def test_a_log_is_loaded_when_it_is_unfolded_and_followed_and_searched(served: Served, tab: Tab) -> None:
    page = tab.page
    page.locator(".agent[data-name=coder]").click()
    page.locator("#detail h3", has_text="coder").wait_for()
    assert loads(tab, "/api/log/coder") == 0
    page.get_by_role("tab", name="Logs").click()
    ready = page.locator(".log div", has_text="ready")
    ready.first.wait_for()
    assert loads(tab, "/api/log/coder") == 1
    count = ready.count()
    served.hive.run("restart", "coder")
    ready.nth(count).wait_for()
    page.get_by_label("Search the log").fill("nothing has this")
    ready.first.wait_for(state="hidden")
    page.get_by_label("Search the log").fill("")
    with page.expect_request(lambda request: "unit=hive-agent.service" in request.url):
        page.get_by_label("Unit").select_option("hive-agent.service")


def test_the_deployed_configuration_is_shown(served: Served, tab: Tab) -> None:
    page = tab.page
    choose(page, "coder", "Configuration")
    page.locator(".code", has_text='runner = "command"').wait_for()
    served.hive.run("approve", str(served.hive.request("coder", PLAIN + "# the newest\n")))
    page.locator(".code", has_text="# the newest").wait_for()


def test_a_timeline_shows_a_crash_as_it_happens_and_says_what_it_was(served: Served, tab: Tab) -> None:
    page = tab.page
    page.locator(".agent[data-name=coder]").click()
    strip = page.locator(".timeline svg")
    strip.locator("rect.running").first.wait_for()
    os.kill(served.hive.pid("coder"), signal.SIGKILL)
    page.locator("#needs [data-key=crash-coder]").wait_for()
    strip.locator("rect.failed").first.wait_for()
    page.locator(".timeline svg[aria-label*=crashed]").wait_for()
    box = strip.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 4)
    page.locator(".told", has_text="crashed").wait_for()
    page.locator("#needs [data-key=crash-coder]").get_by_role("button", name="Start").click()
    page.locator(".agent[data-name=coder] [aria-label=running]").wait_for()
    page.get_by_role("button", name="7 d").click()
    strip.locator("rect.running").first.wait_for()
    assert tab.states() == 1


def test_a_fan_out_is_followed_agent_by_agent_and_a_failure_hides_no_other(served: Served, tab: Tab) -> None:
    page = tab.page
    with staleness.rebuilding(served.hive.inside(), ["coder", "turner", "manager"]) as fan_out:
        page.locator(".fanout li", has_text="waits").nth(2).wait_for()
        fan_out.done("coder", "its program is gone")
        fan_out.done("turner")
        page.locator(".fanout li", has_text="its program is gone").wait_for()
        page.locator(".fanout", has_text="1 of 3 rebuilt, 1 failed").wait_for()
    page.locator("#inputs").get_by_label("agent-coder").check()
    page.locator("#inputs").get_by_role("button", name="Update…").click()
    page.get_by_role("dialog").get_by_role("button", name="Update").click()
    page.locator(".fanout", has_text="1 of 1 rebuilt").wait_for()
    assert tab.states() == 1


def test_hostile_text_is_text(served: Served, tab: Tab) -> None:
    page = tab.page
    served.hive.asked("request_spawn", name="evil", description=HOSTILE)
    question = served.hive.asked("ask", question=HOSTILE, options=[HOSTILE])["id"]
    served.hive.asked("send", to="coder", body=HOSTILE)
    choose(page, "coder", "Messages")
    page.locator("#needs .quote", has_text="<script>").first.wait_for()
    page.locator(".message", has_text="U+202E").wait_for()
    assert page.query_selector("#needs img, #needs script, .message img, .feed img") is None
    assert "owned" not in page.title()
    served.hive.asked("cancel_question", id=question)
    served.hive.asked("deny", id=served.hive.asked("approvals")[0]["id"])


def test_the_keyboard_is_enough(served: Served, tab: Tab) -> None:
    page = tab.page
    number = served.hive.request("coder", PLAIN + "# by key\n")
    page.locator(f"[data-key=request-{number}]").wait_for()
    press = page.keyboard.press
    press("?")
    page.get_by_role("dialog").get_by_text("look at the request, then approve it").wait_for()
    press("Escape")
    page.locator(f"[data-key=request-{number}]").focus()
    press("Enter")
    page.locator(".diff .add", has_text="# by key").wait_for()
    press("a")
    page.locator(f"[data-key=request-{number}]").wait_for(state="detached")
    denied = served.hive.request("coder", PLAIN + "# denied by key\n")
    page.locator(f"[data-key=request-{denied}]").wait_for()
    press("d")
    page.get_by_role("dialog").wait_for()
    page.keyboard.type("no")
    press("Tab")
    press("Tab")
    press("Enter")
    page.locator(f"[data-key=request-{denied}]").wait_for(state="detached")
    for key in ("g", "n", "g", "a", "j"):
        press(key)
    page.locator("#detail h3", has_text="turner").wait_for()
    for key, tab_name in (("m", "messages"), ("l", "logs"), ("c", "configuration"), ("h", "history"), ("t", "turns")):
        press("g")
        press(key)
        page.wait_for_selector(f"#tab-{tab_name}[aria-selected=true]")
    page.locator("#tab-turns").focus()
    press("ArrowRight")
    page.wait_for_selector("#tab-messages[aria-selected=true]")
    press("k")
    page.locator("#detail h3", has_text="coder").wait_for()
    press("/")
    page.keyboard.type("turn")
    page.locator(".agent[data-name=coder]").wait_for(state="detached")
    press("Escape")
    page.locator(".agent[data-name=coder]").wait_for()


def test_light_and_dark_are_the_system_s_until_they_are_switched(browser: Any, served: Served) -> None:
    with opened(browser, served, color_scheme="dark") as tab:
        shade = "getComputedStyle(document.body).backgroundColor"
        dark = tab.page.evaluate(shade)
        tab.page.get_by_label("Switch between light and dark").click()
        assert tab.page.evaluate(shade) != dark
        tab.page.reload()
        assert tab.page.evaluate(shade) != dark


def test_nothing_runs_out_of_the_window(served: Served, tab: Tab) -> None:
    page = tab.page
    number = served.hive.request("coder", PLAIN + "# " + "x" * 500 + "\n")
    question = served.hive.asked("ask", question="y" * 1000, options=["z" * 200])["id"]
    page.locator(f"[data-key=request-{number}]").get_by_role("button", name="Look").click()
    page.locator(".diff .add").first.wait_for()
    for width in (360, 1280, 2560):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 360, "height": 800})
    # What is cut off there is not unfolded under a pointer that means something else.
    served.hive.asked("request_spawn", name="wordy", description="w" * 900)
    wordy = page.locator("#needs .row", has_text="wordy")
    wordy.get_by_role("button", name="Look").click()
    wordy.locator(".diff .add").first.wait_for()
    page.locator(".agent[data-name=coder]").click()
    page.get_by_role("button", name="Back").click()
    page.locator("#detail").wait_for(state="hidden")
    served.hive.asked("cancel_question", id=question)
    for row in served.hive.asked("approvals"):
        served.hive.asked("deny", id=row["id"])


def test_two_hundred_agents_are_painted_from_one_request(browser: Any, served: Served) -> None:
    inside = served.hive.inside()
    with inside.store.write() as db:
        rows = [(f"w{number}", "stopped", 0) for number in range(200)]
        db.executemany("insert into agents (name, desired, created_at) values (?, ?, ?)", rows)
    tick(inside, seed=True)
    with opened(browser, served) as tab:
        tab.page.locator(".agent[data-name=w199]").wait_for()
        assert tab.page.locator(".agent").count() == 203
        assert tab.states() == 1


def test_it_says_that_it_is_stale_and_takes_its_buttons_away(served: Served, tab: Tab) -> None:
    page = tab.page
    served.hive.started[0].terminate()
    served.hive.started[0].communicate(timeout=60)
    page.wait_for_selector("#live.stale")
    assert page.locator(".agent[data-name=coder]").is_visible()
    assert page.locator("#detail").get_by_role("button", name="Restart").is_disabled()


@requires("openssl")
@pytest.mark.remembered
def test_it_is_used_through_a_proxy_with_tls(hive: TestHive, browser: Any, tmp_path: Path) -> None:
    port = free_port()
    with tls_proxy(tmp_path, "hive.test", port) as proxy:
        hive.home.mkdir()
        (hive.home / "hive.toml").write_text(f'[page]\norigin = "https://hive.test:{proxy}"\n')
        with served_near(hive, port=port), browser.new_context(ignore_https_errors=True) as context:
            page = context.new_page()
            page.goto(hive.run("open").stdout.strip())
            page.wait_for_selector("#live:not(.stale)")
            hive.asked("request_spawn", name="worker", description="by way of TLS")
            page.get_by_text("by way of TLS").first.wait_for()
            assert page.url == f"https://hive.test:{proxy}/"


def test_the_page_is_small() -> None:
    own = [
        path
        for path in (CHECKOUT / "status_page" / "static").iterdir()
        if path.suffix in (".js", ".css") and not path.read_text().startswith("/*!")
    ]
    assert sum(path.stat().st_size for path in own) < 60 * 1024
