"""Takes the picture of an agent's page, whose harness really runs: python3 docs/agent_picture.py (needs chromium)."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import sync_playwright  # noqa: E402

from tests.agent.conftest import Place  # noqa: E402
from tests.agent.test_page_turns import Turns  # noqa: E402
from tests.stand_ins.gate import Gate  # noqa: E402

FOUND = """The tokenizer reads **one token too far**, in `Lexer.next()` and only after a comment:

| file | tests | time |
|---|---:|---:|
| `lexer.py` | 212 | 0.4 s |
| `parser.py` | 200 | 1.1 s |

- [x] it is fixed, with a test
- [ ] the docs still say otherwise
"""


def call(id: str, name: str, result: str, *, wrong: bool = False, **given: Any) -> list[tuple[str, dict[str, Any]]]:
    told = {"id": id, "text": result, "is_error": wrong}
    return [("tool_call", {"id": id, "name": name, "input": given}), ("tool_result", told)]


def fill(turns: Turns) -> None:
    """What an agent has done: a message by another agent, and one by the operator."""
    asked = "Which commit has the new tokenizer?"
    known = call("1", "mcp__hive__send", "sent", to="tester", body="It is 3f9a01c27bd4.")
    turns.age(turns.add(asked, ("text", {"text": "I look it up in the log."}), *known, sender="tester"), 1)
    turns.add(
        "Please find out why the **parser** drops the last line, and mend it.",
        ("thinking", {"text": "The parser is in src/. I look there first."}),
        *call("2", "Read", "No such file", wrong=True, file_path="/state/repo/parser.py"),
        *call("3", "Bash", "....\n" * 42, command="python3 -m pytest -q tests", description="Runs the tests"),
        ("text", {"text": FOUND}),
        *call("4", "mcp__hive__send", "sent", to="operator", body="The parser is mended; the docs are next."),
    )


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="hive-"))
    with Gate(folder / "agent.sock") as gate, sync_playwright() as runner:
        place = Place(folder, gate)
        turns = Turns(place)
        fill(turns)
        browser = runner.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = turns.open(browser, viewport={"width": 1280, "height": 900})
        page.locator("article .end").last.wait_for()
        page.screenshot(path=str(ROOT / "docs" / "agent-page.png"))
        browser.close()
        place.stop()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
