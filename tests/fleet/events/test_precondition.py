"""What is done to an agent as it was shown is refused when something else was done to it since."""

from __future__ import annotations

import pytest

from hive_core.errors import Invalid, Refused
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
