"""What is done to an agent as it was shown is refused when something else was done to it since."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing, nullcontext
from functools import partial
from typing import Any

import pytest

from hive_core.containers.base import Host
from hive_core.context import Hive
from hive_core.errors import Invalid, Refused
from hive_core.events import emit
from hive_faces.verbs import find
from hive_fleet.agents import desired
from tests.hives import TestHive

pytestmark = pytest.mark.remembered


def shown(hive: TestHive) -> int:
    return int(hive.asked("state")["seq"])


def test_nothing_is_done_to_an_agent_that_is_not_as_it_was_shown(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.spawn("other")
    before = shown(hive)
    hive.asked("restart", name="coder")
    since = shown(hive)
    for verb in ("start", "stop", "restart", "rebuild", "pause", "resume", "destroy"):
        with pytest.raises(Refused, match=r"coder is not as it was shown \(restarting\), and nothing was done"):
            hive.asked(verb, name="coder", as_of=before)
    assert shown(hive) == since
    # What was done to others, and what was only said, changes nothing.
    hive.asked("restart", name="other")
    hive.asked("send", to="coder", body="hello")
    assert hive.asked("stop", name="coder", as_of=since)["running"] is False
    done = hive.run("start", "coder", "--as-of", str(since), code=1)
    assert "coder is not as it was shown (stopping)" in done.stderr
    assert "running" in hive.run("start", "coder", "--as-of", str(shown(hive))).stdout


def restarted_by_another(hive: Hive) -> None:
    with hive.store.write() as db:
        emit(db, "transient_set", name="coder", transient_kind="restarting", since_unix=1, steps=[])


def refused_for_it(hive: Hive, verb: str, as_of: int) -> None:
    operation = find(verb)
    assert operation
    try:
        with pytest.raises(Refused, match=r"not as it was shown \(restarting\)"):
            operation.call(hive, {"name": "coder", "as_of": as_of})
    finally:
        hive.store.close()


def test_nothing_is_done_either_when_the_other_thing_was_done_while_the_lock_was_waited_for(hive: TestHive) -> None:
    hive.spawn("coder")
    told = hive.inbox("manager")
    for verb in ("start", "restart", "rebuild", "destroy"):
        inside, other = hive.inside(), hive.inside()
        with ExitStack() as another:
            another.enter_context(closing(other.store))
            lock = another.enter_context(ExitStack())
            lock.enter_context(other.lock("coder", "restarting"))

            def meanwhile(_text: str, other: Hive = other, lock: ExitStack = lock) -> None:
                restarted_by_another(other)
                lock.close()

            inside.say = meanwhile
            refused_for_it(inside, verb, shown(hive))
    assert hive.agent("coder")["running"] is True
    # A rebuild that was not begun has not failed.
    assert hive.inbox("manager") == told


class Looked:
    """A backend at whose first look at its containers another command does something to the agent."""

    def __init__(self, host: Host, meanwhile: Callable[[], None]) -> None:
        self._host, self._meanwhile = host, [meanwhile]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("container") and self._meanwhile:
            self._meanwhile.pop()()
        return getattr(self._host, name)


@pytest.mark.parametrize("held", [False, True])
def test_nor_by_what_waits_for_no_lock(hive: TestHive, held: bool) -> None:
    hive.spawn("coder")
    for verb in ("stop", "pause"):
        inside, other = hive.inside(), hive.inside()
        with closing(other.store), other.lock("coder", "restarting") if held else nullcontext():
            inside.__dict__["host"] = Looked(inside.host, partial(restarted_by_another, other))
            refused_for_it(inside, verb, shown(hive))
    assert (hive.agent("coder")["running"], hive.agent("coder").get("paused")) == (True, False)
    with hive.inside().store.read() as db:
        assert desired.names(db, desired.RUNNING) == ["coder"]


def test_what_was_kept_goes_only_as_it_was_shown(hive: TestHive) -> None:
    hive.spawn("coder")
    before = shown(hive)
    hive.asked("destroy", name="coder", as_of=before)
    with pytest.raises(Refused, match=r"not as it was shown \(destroying\)"):
        hive.asked("purge", name="coder", as_of=before)
    assert (hive.home / "agents" / "coder").is_dir()
    hive.asked("purge", name="coder", as_of=shown(hive))
    assert not (hive.home / "agents" / "coder").exists()


def test_all_agents_at_once_are_not_as_one_event_has_shown_them(hive: TestHive) -> None:
    hive.spawn("coder")
    for verb in ("pause", "resume"):
        with pytest.raises(Invalid, match="about one agent"):
            hive.asked(verb, all=True, as_of=shown(hive))
