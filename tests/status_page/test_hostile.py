"""What agents write, in each field that the page shows: it is text there, however much and however odd it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.axe import WIDTHS, faults, needs_axe
from tests.chromium import browser, new_page
from tests.clients import Client
from tests.hives import PLAIN, TestHive
from tests.needs import requires
from tests.status_page.near import NearPage, served_near

__all__ = ["browser", "new_page"]

pytestmark = [requires("chromium"), pytest.mark.remembered]

OWN = "document.title='owned'"
HOSTILE = (
    f'<img src=x onerror="{OWN}"><script>{OWN}</script><a href="javascript:{OWN}">x</a> [y](javascript:{OWN})'
    " ${7*7} {{7*7}} &lt;b&gt; \u202egnp.exe \u200bzero"
)
# What is to be seen of it, whatever is around it.
SEEN = f"<script>{OWN}</script>"


@pytest.fixture
def near(hive: TestHive) -> Iterator[NearPage]:
    hive.spawn("coder")
    with served_near(hive) as near:
        yield near


def opened(new_page: Any, near: NearPage, **options: Any) -> Any:
    page = new_page(**options)
    page.goto(f"http://127.0.0.1:{near.port}/#key={near.key()}")
    page.wait_for_selector("#live:not(.stale)")
    return page


def write_everywhere(hive: TestHive) -> int:
    """Have an agent write it wherever it can; the id of its request."""
    sha = hive.propose("coder", PLAIN + f"# {HOSTILE}\n# {'long ' * 500}\n", files={"<img src=x>.txt": HOSTILE * 50})
    with Client(hive.root / "run" / "agents" / "coder.sock") as coder:
        for verb, arguments in {
            "send": {"to": "operator", "body": HOSTILE},
            "ask": {"question": HOSTILE, "options": [HOSTILE, "javascript:alert(1)"]},
            "set_status": {"state": "thinking", "text": HOSTILE},
        }.items():
            answer = coder.ask(verb, **arguments)
            assert answer["ok"], answer
        assert coder.ask("send", to="operator", body="x" * 200_000)["ok"]
        assert coder.ask("ask", question="y" * 16_000)["ok"]
    hive.run("request-spawn", "worker", "--description", HOSTILE)
    id: int = hive.json("request-commit", "coder", sha, "--description", HOSTILE)["id"]
    return id


def inert(page: Any) -> None:
    """Nothing of it has become markup, a link or a script, and none of it has run."""
    assert "owned" not in page.title()
    assert page.query_selector("img, iframe, object, embed, script:not([src]), [onerror], [onload]") is None
    links = page.eval_on_selector_all("a[href]", "all => all.map((a) => new URL(a.href).protocol)")
    assert not [link for link in links if link not in ("http:", "https:")]
    assert "49" not in page.inner_text("body").split()


def test_what_an_agent_writes_is_text_wherever_it_is_shown(near: NearPage, new_page: Any) -> None:
    page = opened(new_page, near)
    id = write_everywhere(near.hive)
    page.get_by_text(SEEN).nth(3).wait_for()
    inert(page)
    page.locator(f"[data-key=request-{id}]").get_by_role("button", name="Look").click()
    page.get_by_text("<img src=x>.txt").first.wait_for()
    inert(page)
    page.reload()
    page.get_by_text(SEEN).nth(3).wait_for()
    inert(page)
    assert "\u202e" not in page.inner_text("body")
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_no_line_of_a_diff_passes_for_another_file_or_is_left_out(near: NearPage, new_page: Any) -> None:
    page = opened(new_page, near)
    forged = "".join(f"# a{mark}diff --git a/y b/y\n++ f{number}()\n" for number, mark in enumerate("\u2028\u2029\r\v"))
    files = {"run.py": forged, "run b/notes.txt": "x\n"}
    id = near.hive.request("coder", f"{PLAIN.rstrip()} # {'a ' * 2500}\n", files=files)
    row = page.locator(f"[data-key=request-{id}]")
    row.get_by_role("button", name="Look").click()
    row.locator(".diff .add", has_text="++ f0()").wait_for()
    lines = row.locator(".diff .add").all_inner_texts()
    assert [line for line in lines if line.startswith("+++")] == [f"+++ f{number}()" for number in range(4)]
    assert [line[:12] for line in lines if len(line) > 1000 and line.endswith("…")] == ["+command = ["]
    names = [name.split(" +")[0] for name in row.locator(".file summary").all_inner_texts()]
    assert names == ["agent.toml", "run b/notes.txt", "run.py"]


def test_ten_megabytes_to_look_at_leave_the_page_usable(near: NearPage, new_page: Any) -> None:
    page = opened(new_page, near)
    large = {"large.txt": "a line of text\n" * 700_000, "long.txt": "x" * 1_000_000}
    id = near.hive.request("coder", PLAIN + "# large\n", files=large)
    row = page.locator(f"[data-key=request-{id}]")
    row.get_by_role("button", name="Look").click()
    page.get_by_text("# large").first.wait_for()
    row.get_by_role("button", name="Approve").click()
    row.wait_for(state="detached")
    assert near.hive.asked("approvals", all=True)[-1]["status"] == "approved"


@needs_axe
def test_nothing_serious_keeps_anybody_from_it(near: NearPage, new_page: Any) -> None:
    page = opened(new_page, near)
    id = write_everywhere(near.hive)
    row = page.locator(f"[data-key=request-{id}]")
    row.get_by_role("button", name="Look").click()
    page.get_by_text("<img src=x>.txt").first.wait_for()
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert faults(page) == [], f"{width} wide"
