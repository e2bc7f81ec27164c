"""The status page in a real browser: what happens anywhere shows by itself, with one cold load; hostile text is text."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hives import PLAIN
from tests.needs import requires
from tests.status_page.conftest import Served, Tab

pytestmark = requires("chromium")
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script> \u202egnp.exe"


def test_a_request_from_elsewhere_is_looked_at_and_approved_and_its_deploy_is_seen(served: Served, tab: Tab) -> None:
    page = tab.page
    number = served.hive.request("coder", PLAIN + "# another line\n")
    row = page.locator(f"[data-key=request-{number}]")
    row.get_by_role("button", name="Look").click()
    row.locator(".diff .add", has_text="# another line").wait_for()
    row.get_by_role("button", name="Approve").click()
    row.wait_for(state="detached")
    page.locator(".agent[data-name=coder]").click()
    page.get_by_role("tab", name="History").click()
    page.get_by_text(f"deployed/{number}").wait_for()
    assert tab.states() == 1


def test_what_is_approved_is_what_is_on_the_screen(served: Served) -> None:
    number = served.hive.request("coder", PLAIN + "# seen\n")
    status, answer = served.client.ask("POST", f"/approve/{number}", {"sha": "0" * 40})
    assert (status, "nothing was approved" in answer["error"]) == (409, True)
    assert served.hive.json("approvals")[0]["status"] == "pending"


def test_a_denial_asks_for_a_note_and_leaves_it(served: Served, tab: Tab) -> None:
    page = tab.page
    number = served.hive.request("coder", PLAIN + "# too much\n")
    page.locator(f"[data-key=request-{number}]").get_by_role("button", name="Deny…").click()
    page.get_by_label("Why").fill("too broad")
    page.get_by_role("dialog").get_by_role("button", name="Deny").click()
    page.locator(f"[data-key=request-{number}]").wait_for(state="detached")
    assert served.hive.json("approvals", "--all")[-1]["note"] == "too broad"


@pytest.mark.parametrize("multi", [False, True])
def test_a_question_is_answered_by_its_options_and_in_own_words(served: Served, tab: Tab, multi: bool) -> None:
    page = tab.page
    more = ["--multi"] if multi else []
    number = served.hive.json("ask", "Which?", "--option", "main", "--option", "next", "--ttl", "600", *more)["id"]
    row = page.locator(f"[data-key=question-{number}]")
    row.get_by_text("left 09:").wait_for()
    row.get_by_label("main").check()
    row.get_by_label("Your own answer").fill("both, later")
    row.get_by_role("button", name="Answer").click()
    row.wait_for(state="detached")
    assert served.hive.json("questions", "--all")[-1]["answer"] == "main, both, later"


def test_what_is_being_written_outlives_updates_and_a_reload(served: Served, tab: Tab) -> None:
    page = tab.page
    page.locator(".agent[data-name=coder]").click()
    box = page.get_by_label("Message to coder")
    box.fill("half a sent")
    served.hive.run("send", "coder", "from the shell")
    page.locator(".message", has_text="from the shell").wait_for()
    assert box.input_value() == "half a sent"
    page.reload()
    page.wait_for_selector("#live:not(.stale)")
    assert page.get_by_label("Message to coder").input_value() == "half a sent"
    page.get_by_label("Message to coder").fill("a whole sentence")
    page.get_by_role("button", name="Send").click()
    page.locator(".message", has_text="a whole sentence").wait_for()


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
    page.locator("#tombstones summary", has_text="1 destroyed").wait_for()
    assert tab.states() == 1


def test_it_says_that_it_is_stale_and_comes_back_by_itself(served: Served, tab: Tab) -> None:
    page = tab.page
    served.hive.started[0].terminate()
    served.hive.started[0].communicate(timeout=60)
    page.wait_for_selector("#live.stale")
    assert page.locator(".agent[data-name=coder]").is_visible()
    page.locator("#needs button, #detail .acts button").first.wait_for()
    assert page.locator("#detail .acts button:not(.safe)").first.is_disabled()


def test_hostile_text_is_text(served: Served, tab: Tab) -> None:
    page = tab.page
    served.hive.run("request-spawn", "evil", "--description", HOSTILE)
    served.hive.run("ask", HOSTILE, "--option", HOSTILE)
    served.hive.run("send", "coder", HOSTILE)
    page.locator(".agent[data-name=coder]").click()
    page.locator("#needs .quote", has_text="<script>").first.wait_for()
    page.locator(".message", has_text="U+202E").wait_for()
    assert page.query_selector("#needs img, #needs script, .message img, .feed img") is None
    assert "owned" not in page.title()


def test_the_keyboard_is_enough(served: Served, tab: Tab) -> None:
    page = tab.page
    number = served.hive.request("coder", PLAIN + "# by key\n")
    page.locator(f"[data-key=request-{number}]").wait_for()
    page.keyboard.press("?")
    page.get_by_role("dialog").get_by_text("approve the first request").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    page.locator(".diff .add", has_text="# by key").wait_for()
    page.keyboard.press("a")
    page.locator(f"[data-key=request-{number}]").wait_for(state="detached")
    page.keyboard.press("/")
    page.keyboard.type("man")
    page.locator(".agent[data-name=coder]").wait_for(state="detached")
    page.keyboard.press("Escape")
    page.locator(".agent[data-name=coder]").wait_for()


def test_nothing_runs_out_of_the_window(served: Served, tab: Tab) -> None:
    page: Any = tab.page
    served.hive.request("coder", PLAIN + "# " + "x" * 500 + "\n")
    served.hive.run("ask", "y" * 1000)
    page.locator("#needs .row").nth(1).wait_for()
    page.locator("#needs [data-key^=request]").get_by_role("button", name="Look").first.click()
    page.locator(".diff .add").first.wait_for()
    for width in (360, 1280, 2560):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_page_is_small() -> None:
    from tests.house import CHECKOUT

    files = (CHECKOUT / "status_page" / "static").iterdir()
    assert sum(path.stat().st_size for path in files if path.suffix in (".js", ".css")) < 60 * 1024
