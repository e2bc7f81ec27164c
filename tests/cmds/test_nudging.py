"""`hive nudge`: a turn that hangs is given up, and its message comes again."""

from __future__ import annotations

import pytest

from hive_cmds.harness import set_status
from hive_core.caller import Identity, Role
from hive_fleet.home import ports
from tests.hives import TestHive, eventually

# The first turn hangs, the next one works.
HANGS = "test -e /state/again || { touch /state/again; exec sleep infinity; }; cat > /state/said"
# Of a name, so of a port, that no other test has meanwhile: the harness is asked by its page.
NAME = "hangs"
CONFIGURATION = f'runner = "exec"\ncommand = ["sh", "-c", "{HANGS}"]\n'


def test_a_turn_that_hangs_is_given_up_and_its_message_comes_again(hive: TestHive) -> None:
    hive.start("gate")
    hive.spawn(NAME, CONFIGURATION)
    state = hive.home / "agents" / NAME / "state"
    hive.run("send", NAME, "hello there")
    eventually(lambda: (state / "again").exists() and hive.agent(NAME).get("turn") == "thinking")
    inside = hive.inside()
    eventually(lambda: inside.host.listeners([ports.of(inside, NAME)]))
    started = hive.instance(NAME)
    hive.run("nudge", NAME)
    assert [event["how"] for event in hive.events("nudged")] == ["turn"]
    # A turn that failed is tried again after a while.
    said = eventually(lambda: (state / "said").exists() and (state / "said").read_text())
    assert "hello there" in said
    assert hive.instance(NAME) == started


@pytest.mark.remembered
def test_one_whose_harness_does_not_answer_is_restarted(hive: TestHive) -> None:
    hive.spawn("coder")
    with hive.inside().store.write() as db:
        db.execute("update agents set runner = 'exec'")
    set_status(hive.inside().acting_as(Identity(Role.AGENT, "coder")), "thinking")
    started = hive.instance("coder")
    assert "it is restarted" in hive.run("nudge", "coder").stderr
    assert hive.instance("coder") != started
    assert [event["how"] for event in hive.events("nudged")] == ["restart"]
    assert hive.events("container_crash") == []


@pytest.mark.remembered
def test_who_is_in_no_turn_is_not_nudged(hive: TestHive) -> None:
    hive.spawn("coder")
    assert "`hive restart coder`" in hive.run("nudge", "coder", code=1).stderr
    with hive.inside().store.write() as db:
        db.execute("update agents set runner = 'exec'")
    assert "is in no turn" in hive.run("nudge", "coder", code=1).stderr
    hive.run("stop", "coder")
    assert "is not running" in hive.run("nudge", "coder", code=1).stderr
    assert hive.events("nudged") == []
