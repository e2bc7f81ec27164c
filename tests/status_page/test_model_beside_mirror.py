"""The page's model and the mirror of other clients make the same of the same events, in their two languages."""

from __future__ import annotations

import copy
import random
import re
from pathlib import Path
from typing import Any

from hive_core import mirror
from hive_core.event_kinds import EVENT_KINDS
from tests.core.test_mirror import blank
from tests.needs import requires
from tests.status_page.modelled import MODEL, compared

HISTORIES, LONGEST = 150, 60


class History:
    """Events as they may come, one after the other: of few things each, so that they meet."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.events: list[dict[str, Any]] = []
        self.ids = 0

    def one(self) -> None:
        kind = self.chance.choice(list(mirror._CHANGES))
        made = getattr(self, f"_{kind}", dict)()
        seq = len(self.events) + 1
        self.events.append({"seq": seq, "kind": kind, "at": 1000 + seq, **made})

    def _name(self) -> str:
        return self.chance.choice(["manager", "a", "w2", "w10"])

    def _id(self) -> int:
        self.ids += 1
        return self.ids

    def _any_id(self) -> int:
        return self.chance.randint(1, max(1, self.ids))

    def _sent(self) -> dict[str, Any]:
        body = "".join(self.chance.choices("aé🐝\n\u202e<", k=self.chance.randrange(9)))
        return {"id": self._id(), "from": self.chance.choice(["system", "a"]), "to": "operator", "body": body}

    def _delivered(self) -> dict[str, Any]:
        return {"id": self._any_id(), "from": "a", "to": "b", "body": ""}

    def _approval_added(self) -> dict[str, Any]:
        return {
            "id": self._id(),
            "agent": self._name(),
            "approval_kind": "spawn",
            "diff": "+ a",
            "said": "x",
            "tone": "y",
        }

    def _approval_resolved(self) -> dict[str, Any]:
        return {"id": self._any_id(), "agent": self._name(), "status": "denied", "resolved_at": 1000 + len(self.events)}

    def _question_added(self) -> dict[str, Any]:
        return {"id": self._id(), "asker": self._name(), "question": "which?", "options": ["a"], "multi": False}

    def _question_resolved(self) -> dict[str, Any]:
        return {"id": self._any_id(), "answer": "a", "answered_at": 1000 + len(self.events), "cancelled": False}

    def _transient_set(self) -> dict[str, Any]:
        steps = [
            {"step": step, "state": "waiting", "at": 1} for step in self.chance.choice([(), ("building", "settling")])
        ]
        return {"name": self._name(), "transient_kind": "rebuilding", "since_unix": 1, "steps": steps}

    def _operation_step(self) -> dict[str, Any]:
        step, state = self.chance.choice(["building", "settling", "none"]), self.chance.choice(["doing", "done"])
        return {"name": self._name(), "transient_kind": "rebuilding", "step": step, "state": state}

    def _transient_cleared(self) -> dict[str, Any]:
        return {"name": self._name()}

    _container_removed = _transient_cleared

    def _container_state_changed(self) -> dict[str, Any]:
        return {"container": {"name": self._name(), "running": self.chance.random() < 0.5}}

    def _tombstones_changed(self) -> dict[str, Any]:
        return {"tombstones": [{"name": self._name()}]}

    def _meta_inputs_changed(self) -> dict[str, Any]:
        return {"inputs": [{"name": self._name()}]}

    def _fan_out_changed(self) -> dict[str, Any]:
        return {"gone": [self._name()], "rows": [{"agent": self._name(), "ok": self.chance.choice([None, True])}]}

    def _halted(self) -> dict[str, Any]:
        return {"agents": ["a"], "halted_at": 1000 + len(self.events)}

    def _need_added(self) -> dict[str, Any]:
        need = {
            "id": f"crash/{self._name()}",
            "kind": "crash",
            "since": self.chance.randrange(9),
            "text": str(self._id()),
        }
        return {"need": need}

    _need_changed = _need_resolved = _need_added


@requires("node")
def test_both_make_the_same_of_any_history(tmp_path: Path) -> None:
    given, seen = [], set()
    for seed in range(HISTORIES):
        history, state = History(seed), {**blank(), "halted_at": None}
        before = copy.deepcopy(state)
        for _ in range(history.chance.randrange(LONGEST)):
            history.one()
            mirror.apply(state, history.events[-1])
        seen |= {event["kind"] for event in history.events}
        given.append(([before, *history.events], state))
    for seed, (mine, theirs) in enumerate(compared(tmp_path, given)):
        for part in mine.keys() | theirs.keys():
            assert mine[part] == theirs[part], f"{part}, of the history {seed}"
    assert seen == mirror._CHANGES.keys() <= EVENT_KINDS.keys()


def test_both_know_the_same_kinds() -> None:
    table = MODEL.read_text().partition("const EVENTS = {")[2].partition("\n};")[0]
    known = set(re.findall(r"^\t(\w+)[(:]", table, re.MULTILINE))
    # How often a message was delivered the page does not show.
    assert known | {"delivered"} == mirror._CHANGES.keys()
