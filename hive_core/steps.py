"""The steps of an operation in progress: which it has, how far it is, and since when."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

WAITING, DOING, DONE, SKIPPED, FAILED = "waiting", "doing", "done", "skipped", "failed"


class Step(NamedTuple):
    """One step. state: waiting, doing, done, skipped, or failed. at: since when it is in that state, unix seconds."""

    step: str
    state: str
    at: float

    def told(self) -> dict[str, Any]:
        """The step as events tell of it."""
        return {"step": self.step, "state": self.state, "at": int(self.at)}


Steps = tuple[Step, ...]


def planned(names: Iterable[str], at: float) -> Steps:
    """The steps of an operation that begins: the first is begun with it."""
    return tuple(Step(name, WAITING if index else DOING, at) for index, name in enumerate(names))


def reached(steps: Steps, name: str, at: float) -> Steps:
    """The steps as this one begins: the one before is done, and what lies between was skipped.

    Nothing changes where there is no such step, where it was reached before, or where one has failed: what was
    cut off is being mended then, and stays to be seen.
    """
    names = [step.step for step in steps]
    if name not in names or any(step.state == FAILED for step in steps):
        return steps
    place = names.index(name)
    if steps[place].state != WAITING:
        return steps
    after = {DOING: DONE, WAITING: SKIPPED}
    passed = (_turned(step, after.get(step.state, step.state), at) for step in steps[:place])
    return (*passed, _turned(steps[place], DOING, at), *steps[place + 1 :])


def ended(steps: Steps, at: float) -> Steps:
    """The steps of an operation that has come to its end: what it did last is done."""
    return tuple(_turned(step, DONE, at) if step.state == DOING else step for step in steps)


def cut_off(steps: Steps, at: float) -> Steps:
    """The steps of an operation that did not come to its end: what it did last has failed."""
    return tuple(_turned(step, FAILED, at) if step.state == DOING else step for step in steps)


def current(steps: Steps) -> Step | None:
    """The step that an operation is at, or was when it failed."""
    return next((step for step in steps if step.state in (DOING, FAILED)), None)


def news(before: Steps, now: Steps) -> list[Step]:
    """The steps that have another state than before."""
    return [step for old, step in zip(before, now, strict=True) if old.state != step.state]


def to_json(steps: Steps) -> str:
    return json.dumps([step._asdict() for step in steps])


def from_json(text: str) -> Steps:
    return tuple(Step(**fields) for fields in json.loads(text))


def _turned(step: Step, state: str, at: float) -> Step:
    return step if step.state == state else step._replace(state=state, at=at)
