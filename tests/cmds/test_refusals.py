"""What operations refuse, and that a refusal says what to do and has done nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_cmds import journal
from hive_core.caller import Identity, Role
from hive_core.context import Hive
from hive_core.errors import HiveError, Invalid, NotFound, Refused
from hive_faces.serve import serve
from hive_faces.verbs import find
from hive_fleet.agents import harness_state, last_seen
from hive_fleet.changes import spawns
from hive_fleet.messages import questions
from hive_fleet.requests import queue
from tests.hives import PLAIN, TestHive, at_work
from tests.properties import thorough

pytestmark = pytest.mark.remembered


@pytest.fixture
def lived(hive: TestHive) -> TestHive:
    """A hive with an agent that runs a command of its own."""
    hive.configure("coder", PLAIN)
    hive.asked("spawn", name="coder")
    return hive


def happened(hive: Hive) -> tuple[Any, ...]:
    """All that an operation could have changed."""
    with hive.store.read() as db:
        rows = [tuple(row) for row in db.execute("select * from agents")]
        requests = [tuple(row) for row in queue.every(db)]
        seq = db.execute("select max(seq) from events").fetchone()[0]
    return rows, requests, seq, sorted(hive.settings.home.iterdir())


def refused(
    hive: TestHive, verb: str, kind: type[HiveError] = Refused, by: Identity | None = None, **arguments: Any
) -> str:
    """The sentence that an operation is refused with, and its hint; nothing is another afterwards."""
    inside, operation = hive.inside(), find(verb)
    assert operation is not None
    if by is not None:
        inside = inside.acting_as(by)
    before = happened(inside)
    with pytest.raises(kind) as told:
        found = serve(inside, operation, operation.parse(arguments))
        list(found if found is not None else ())
    assert happened(inside) == before
    return str(told.value).replace("\n", " ")


MANAGER = Identity(Role.MANAGER, "manager")


def test_a_pause_is_of_one_or_of_all_and_what_was_seen_of_one_is_said_of_one(lived: TestHive) -> None:
    for verb in ("pause", "resume"):
        assert refused(lived, verb, Invalid) == f"{verb} takes either the name of an agent or --all."
        assert "either the name" in refused(lived, verb, Invalid, name="coder", all=True)
        assert "give NAME and --as-of, or --all" in refused(lived, verb, Invalid, all=True, as_of=1)
        assert "There is no agent 'codr'. Did you mean 'coder'?" in refused(lived, verb, NotFound, name="codr")


def test_who_runs_a_command_of_its_own_has_neither_model_nor_turns(lived: TestHive) -> None:
    assert "has no model" in refused(lived, "model", name="coder", model="x")
    assert refused(lived, "nudge", name="coder") == (
        "coder runs a command of its own, which has no turns. `hive restart coder` restarts it."
    )


def with_turns(hive: TestHive, state: str | None = None) -> None:
    """Have the database say that the agent has turns, and what it is at."""
    inside = hive.inside()
    with last_seen.showing(inside, "coder") as db:
        db.execute("update agents set runner = 'claude'")
        if state is not None:
            harness_state.record(db, "coder", state=state, text=None, model=None, until=None, at=1.0)


def test_a_turn_that_is_none_is_not_given_up(lived: TestHive) -> None:
    with_turns(lived, "idle")
    assert refused(lived, "nudge", name="coder").startswith("coder is in no turn that it could give up. `hive list`")
    lived.asked("stop", name="coder")
    assert refused(lived, "nudge", name="coder") == "coder is not running. `hive start coder` starts it."


def test_a_model_is_chosen_for_the_next_turn_and_taken_back_by_its_word(lived: TestHive) -> None:
    with_turns(lived)
    inside = lived.inside()

    def chosen() -> Any:
        with inside.store.read() as db:
            return db.execute("select model from agents").fetchone()[0]

    lived.asked("model", name="coder", model="large")
    assert chosen() == "large"
    before = happened(inside)
    lived.asked("model", name="coder", model="large")
    assert happened(inside) == before
    operation = find("set_model")
    assert operation is not None
    serve(inside.acting_as(Identity(Role.AGENT, "coder")), operation, operation.parse({"model": "default"}))
    assert chosen() is None


def test_the_manager_takes_back_its_own_requests_and_no_others(lived: TestHive) -> None:
    id = lived.asked("request_spawn", name="later")["id"]
    assert refused(lived, "cancel", by=MANAGER, id=id) == (
        f"Request {id} was not made by manager. Ask the operator to deny it."
    )
    lived.asked("cancel", id=id)
    assert f"Request {id} is already denied." in refused(lived, "cancel", id=id)
    assert refused(lived, "cancel", NotFound, id=99).startswith("There is no request 99.")


def test_what_is_carried_out_just_now_is_not_decided_by_another(lived: TestHive) -> None:
    id = lived.asked("request_spawn", name="later")["id"]
    inside = lived.inside()
    with at_work(inside, "later", spawns.SPAWN, approval=id):
        for verb in ("approve", "deny", "cancel"):
            assert f"Request {id} is being carried out already, by process " in refused(lived, verb, id=id)
        assert "is spawning just now" in refused(lived, "restore", folder=str(_backup(lived)))


def test_a_request_for_an_agent_that_is_there_is_closed_and_not_carried_out(lived: TestHive) -> None:
    id = lived.asked("request_spawn", name="later")["id"]
    inside = lived.inside()
    with inside.store.write() as db:
        db.execute("update approvals set agent = 'coder' where id = ?", (id,))
    assert refused(lived, "approve", id=id) == (
        f"There is an agent 'coder' already. `hive deny {id}` closes the request."
    )


def _backup(hive: TestHive) -> Path:
    made = hive.root / "kept"
    if not made.exists():
        hive.asked("backup", folder=str(made))
    return made


def test_a_backup_goes_where_there_is_a_folder_and_nothing_of_its_name(lived: TestHive) -> None:
    assert f"There is no folder {lived.root}/no." in refused(lived, "backup", folder=f"{lived.root}/no/where")
    made = _backup(lived)
    assert f"There is something at {made} already." in refused(lived, "backup", folder=str(made))
    (lived.root / "link").symlink_to("nowhere")
    assert "There is something at" in refused(lived, "backup", folder=f"{lived.root}/link")
    for name in ("", "a\0b"):
        assert refused(lived, "backup", Invalid, folder=name) == "The folder is a path."


def test_what_is_no_whole_backup_is_not_taken(lived: TestHive) -> None:
    whole = _backup(lived)
    said = json.loads((whole / "backup.json").read_text())
    damages: dict[str, str | None] = {
        "no manifest": None,
        "no json": "{",
        "a list": "[]",
        "deep": "[" * 100_000,
        "no ports": json.dumps({**said, "ports": [1]}),
        "no time": json.dumps({"ports": {}}),
        "no database": json.dumps(said),
    }
    for damage, manifest in damages.items():
        made = shutil.copytree(whole, lived.root / damage)
        (made / "backup.json").unlink()
        if manifest is not None:
            (made / "backup.json").write_text(manifest)
        if damage == "no database":
            (made / "hive.db").unlink()
    for damage in ("no folder", *damages):
        told = refused(lived, "restore", folder=f"{lived.root}/{damage}")
        assert "backup of a hive" in told, damage
        assert told.endswith("`hive backup DIR` makes one.")


def test_nobody_is_notified_where_no_service_is_named(lived: TestHive) -> None:
    assert "Name one below [notify.services] in hive.toml" in refused(lived, "notify")


def test_what_nobody_needs_cannot_be_acknowledged(lived: TestHive) -> None:
    refused(lived, "acknowledge", NotFound, id="request/7")


def test_of_the_journal_only_what_is_in_between_is_asked_for(lived: TestHive) -> None:
    assert "--since is later than --until" in refused(lived, "journal", Invalid, name="coder", since="1h", until="2h")
    assert "--follow or --until" in refused(lived, "journal", Invalid, name="coder", until="1h", follow=True)
    assert "There is no agent 'codr'" in refused(lived, "journal", NotFound, name="coder", others=["codr"])


_lines = st.integers(0, 5).map(lambda second: f"2026-01-01T00:00:0{second}.000Z")


@thorough
@given(st.lists(_lines, max_size=9).map(sorted), st.data())
def test_what_is_followed_behind_some_lines_has_none_of_them_again_and_lacks_none(
    every: list[str], data: st.DataObject
) -> None:
    # Each line of its own, so that it is seen which of those of one moment come.
    lines = [f"{line} {number}" for number, line in enumerate(every)]
    shown = data.draw(st.integers(0, len(lines)))
    # What is followed begins with some of the lines that were shown, or with none of them.
    begin = data.draw(st.integers(0, shown))
    last = lines[shown - 1] if shown else ""
    found = list(journal._after(last, lines[begin:]))
    if begin < shown or not shown:
        assert found == lines[shown:]
    else:
        # More was written meanwhile than is looked at again: what is later by its time is shown.
        assert found == [line for line in lines[shown:] if line[:24] > last[:24]]


def test_a_question_that_nobody_knows_is_neither_answered_nor_cancelled(lived: TestHive) -> None:
    id = lived.asked("ask", question="which?")["id"]
    agent = Identity(Role.AGENT, "coder")
    assert "There is no question" in refused(lived, "answer", NotFound, by=agent, id=id, text="x")
    assert "There is no question" in refused(lived, "cancel_question", NotFound, id=99)
    lived.asked("cancel_question", id=id)
    assert "is answered already: [cancelled]" in refused(lived, "answer", id=id, text="x")
    assert questions.CANCELLED == "[cancelled]"
