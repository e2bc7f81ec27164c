"""How turns look on the agent's page: Markdown as such and inert, results folded under their calls, days, for everybody."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hive_agent.turns.record import Record
from tests.agent.browser import KEY, free_port
from tests.agent.conftest import Place
from tests.axe import WIDTHS, faults, needs_axe
from tests.chromium import browser, new_page
from tests.hives import eventually
from tests.needs import requires

__all__ = ["browser", "new_page"]

pytestmark = requires("chromium")

OWN = "document.title='owned'"
MARKDOWN = """## A heading
**Strong**, *soft*, ~~gone~~ and `code <b>`; \\*no emphasis\\*, snake_case_name, 2 * 3 * 4.

1. one
   - inner
2. [a link](https://example.org/a) and https://example.org/b.

| left | right |
|---|---:|
| a | 1 |

```python
x = "<i>**not strong**</i>"
```

> quoted

- [x] done
"""
HOSTILE = f"""<img src=x onerror="{OWN}"><script>{OWN}</script> <svg onload="{OWN}">
[one](javascript:{OWN}) [two](data:text/html,<script>{OWN}</script>) ![three](https://evil.example/x.png)
[four](https://evil.example/"onmouseover="{OWN}) <javascript:{OWN}> [https://bank.example](https://evil.example/)
`<img src=x onerror="{OWN}">` **<img src=x onerror="{OWN}">** \u202egnp.exe \u200bzero

| <img src=x onerror="{OWN}"> |
|---|
| [five](vbscript:x) |
"""
# Each would take for ever to whoever looks for an end again from every beginning.
LARGE = [
    text * (48_000 // len(text))
    for text in ("**a ", "*a ", "_a ", "[a](", "`", "``a", "<https://", "> ", "- ", "|a", "1. \n", "~~a", "https://a(")
]
LARGE += ["\n".join(" " * depth + "- x" for depth in range(300)), "\n".join(["a|b", "-|-", *["c|d"] * 9000])]


class Turns:
    """What there was before the page is opened."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._record = Record(place.state)

    def add(
        self, body: str, *events: tuple[str, dict[str, Any]], sender: str = "operator", outcome: str = "done"
    ) -> int:
        turn = self._record.begin("m", sender, body, redelivered=False, model="tiny")
        for kind, data in events:
            self._record.add(turn, kind, data)
        if outcome:
            self._record.end(turn, outcome, "it said no")
        return turn

    def age(self, turn: int, days: int) -> None:
        with self._record._db as db:
            db.execute(
                "update turns set started = started - ?1, ended = ended - ?1 where id = ?2", (86400 * days, turn)
            )

    def open(self, new_page: Any, **options: Any) -> Any:
        """Serve the page, and open it."""
        self._record.close()
        self._place.environment |= {"HIVE_PORT": str(free_port()), "HIVE_PAGE_TOKEN": KEY}
        self._place.program("cat >/dev/null")
        self._place.start()
        eventually(lambda: "page on port" in self._place.log)
        page = new_page(**options)
        page.goto(f"http://127.0.0.1:{self._place.environment['HIVE_PORT']}/#key={KEY}")
        page.wait_for_selector("#badge[data-state=idle]")
        return page


@pytest.fixture
def turns(place: Place) -> Turns:
    return Turns(place)


def test_markdown_is_shown_as_what_it_means(turns: Turns, new_page: Any) -> None:
    turns.add("Please look at `this`", ("text", {"text": MARKDOWN}))
    page = turns.open(new_page)
    text = page.locator(".events .text")
    for selector, found in {
        "h4": "A heading",
        "strong": "Strong",
        "em": "soft",
        "del": "gone",
        "p > code": "code <b>",
        "ol > li > ul > li": "inner",
        "a >> nth=0": "a link (example.org)",
        "a >> nth=1": "https://example.org/b",
        "th >> nth=1": "right",
        "td[data-side=right]": "1",
        "pre code": 'x = "<i>**not strong**</i>"',
        "blockquote": "quoted",
        "li.task": "☑ done",
    }.items():
        assert text.locator(selector).inner_text() == found, selector
    assert "*no emphasis*, snake_case_name, 2 * 3 * 4." in text.inner_text()
    assert page.inner_text(".message code") == "this"


def test_what_is_hostile_in_it_is_text(turns: Turns, new_page: Any) -> None:
    send = {"id": "1", "name": "mcp__hive__send", "input": {"to": HOSTILE, "body": HOSTILE}}
    call = {"id": "2", "name": HOSTILE, "input": {HOSTILE: HOSTILE}}
    turns.add(HOSTILE, *[("tool_call", send), ("tool_result", {"id": "1", "text": HOSTILE})], sender="friend")
    turns.add(json.dumps({"event": HOSTILE}), ("tool_call", call), ("note", {"text": HOSTILE}), sender="system")
    turns.add("x", *[(kind, {"text": HOSTILE}) for kind in ("text", "thinking")], ("retry", {"error": HOSTILE}))
    page = turns.open(new_page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for box in page.locator("details.tool > summary").all():
        box.click()
    page.locator(".given").nth(1).wait_for()
    assert page.query_selector("img, script:not([src]), svg, iframe, [onerror], [onload], [onmouseover]") is None
    links = page.eval_on_selector_all("a[href]", "all => all.map((a) => [a.href, a.rel, a.target])")
    assert links
    assert all(href.startswith("https://") and rel == "noopener noreferrer" for href, rel, _ in links)
    # Where it leads is said, whatever the agent calls it.
    assert page.get_by_text("https://bank.example (evil.example)").count() >= 1
    assert "\\u{202e}gnp.exe \\u{200b}zero" in page.inner_text(".events .text >> nth=0")
    assert (page.title(), [url for url in asked if "evil" in url]) == ("coder", [])


def test_no_text_is_so_large_or_so_odd_that_the_page_stands_still(turns: Turns, new_page: Any) -> None:
    # What is said to it is made into a page by the same means as what it says.
    for text in LARGE:
        turns.add("x", ("text", {"text": text}))
    turns.add("x" * 10_000_000, ("text", {"text": "x" * 10_000_000}))
    turns.add("the last", ("text", {"text": "is there"}))
    page = turns.open(new_page)
    # Looked for where it has to be: to look through all the others costs more than the page has for them.
    page.locator("article").nth(len(LARGE) + 1).get_by_text("is there").wait_for()
    assert page.locator("article").count() == len(LARGE) + 2
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_a_call_is_said_in_a_line_and_its_result_is_folded_under_it(turns: Turns, new_page: Any) -> None:
    def call(id: str, name: str, **given: Any) -> tuple[str, dict[str, Any]]:
        return "tool_call", {"id": id, "name": name, "input": given}

    turns.add(
        "x",
        call("1", "mcp__hive__send", to="operator", body="It is **done**."),
        ("tool_result", {"id": "1", "text": "sent"}),
        call("2", "Bash", command="make test", description="Runs the tests"),
        ("tool_result", {"id": "2", "text": "one\ntwo\nthree\n", "is_error": True}),
        call("3", "mcp__hive__ask", question="Which?", options=["a"]),
        call("4", "mcp__files__look_up", path="/x"),
    )
    page = turns.open(new_page)
    boxes = page.locator("details.tool")
    said = [" ".join(text.split()) for text in boxes.locator("summary").all_inner_texts()]
    assert said == [
        "→ operator It is **done**.",
        "Bash make test 3 lines",
        "asks the operator Which?",
        "files · look_up /x",
    ]
    states = boxes.evaluate_all("all => all.map((box) => box.dataset.state)")
    assert states == ["done", "wrong", "gone", "gone"]
    assert page.locator(".result").first.is_hidden()
    boxes.nth(0).locator("summary").click()
    assert page.inner_text(".given strong") == "done"
    assert page.locator(".result").first.inner_text() == "sent"
    boxes.nth(1).locator("summary").click()
    boxes.nth(1).locator("pre.command").wait_for()
    assert boxes.nth(1).locator("pre").all_inner_texts() == [
        "make test",
        "description: Runs the tests",
        "one\ntwo\nthree\n",
    ]


def test_turns_of_other_days_stand_under_theirs_and_the_page_s_own_words_are_told_apart(
    turns: Turns, new_page: Any
) -> None:
    for days in (400, 1, 1, 0):
        turns.age(turns.add(f"of {days}"), days)
    turns.add("(written on your page)\n\nmine", sender="coder")
    page = turns.open(new_page)
    days = page.locator(".day").all_inner_texts()
    assert (len(days), days[1:]) == (3, ["Yesterday", "Today"])
    assert page.locator("article .about b").last.inner_text() == "on this page"
    assert page.locator("article .message").last.inner_text() == "mine"


@needs_axe
def test_nothing_serious_keeps_anybody_from_it(turns: Turns, new_page: Any, place: Place) -> None:
    call = {"id": "1", "name": "Bash", "input": {"command": "make"}}
    result = {"id": "1", "text": "line\n" * 100, "is_error": True}
    turns.add(
        MARKDOWN,
        ("thinking", {"text": "hm"}),
        ("tool_call", call),
        ("tool_result", result),
        ("text", {"text": MARKDOWN}),
    )
    turns.add("again", ("retry", {"error": "overloaded"}), outcome="failed")
    place.gate.put("friend", "a message")
    page = turns.open(new_page)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        page.reload()  # It begins another way in a narrow window.
        page.locator("details.tool > summary").click()
        assert faults(page) == [], f"{width} wide"
