"""The docs cannot lie: what is generated is up to date, and every command they show exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hive_faces.shell.reference import FILES
from hive_faces.verbs import ALIASES, everything
from tests.hives import CHECKOUT, TestHive, eventually

PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]


@pytest.mark.parametrize("name", FILES)
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert (CHECKOUT / name).read_text() == FILES[name](), "run python3 docs/generate.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    verbs = {operation.verb for operation in everything().values()} | {"--help", "--version", "--completion", *ALIASES}
    shown = re.findall(r"(?:\./hive|`hive) ([a-z-]+)", page.read_text())
    assert set(shown) <= verbs


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_program_that_the_sockets_page_shows_answers_its_messages(hive: TestHive) -> None:
    text = (CHECKOUT / "docs/sockets.md").read_text()
    program, config = (re.search(rf"```{kind}\n(.*?)```", text, re.DOTALL) for kind in ("python", "toml"))
    assert program is not None
    assert config is not None
    hive.start("gate")
    hive.spawn("coder")
    hive.run("approve", str(hive.request("coder", config[1], files={"answer.py": program[1]})))
    (number,) = hive.json("send", "coder", "hello")["ids"]
    (answer,) = hive.json("recv", "--wait", "60")["messages"]
    assert (answer["from"], answer["body"]) == ("coder", "You wrote 5 characters.")
    eventually(lambda: hive.json("why", str(number)).get("acknowledged_at"))


def test_the_headings_of_the_design_are_the_folders() -> None:
    text = (CHECKOUT / "docs/design.md").read_text()
    for heading in re.findall(r"^## (.+)$", text, re.MULTILINE):
        assert (CHECKOUT / heading).exists(), heading


@pytest.mark.parametrize("room", ["hive_cmds", "hive_faces", "hive_fleet"])
def test_every_face_verb_and_noun_is_in_the_design(room: str) -> None:
    text = (CHECKOUT / "docs/design.md").read_text()
    missing = [path.name for path in (CHECKOUT / room).rglob("[a-z]*.py") if f"`{path.name}`" not in text]
    assert not missing
