"""What the operator sets for an agent's next turn, and for whom that means nothing."""

from __future__ import annotations

from tests.hives import TestHive

MODELLED = "update agents set runner = 'claude'"


def test_an_agent_that_runs_a_command_has_no_model_to_choose(hive: TestHive) -> None:
    hive.spawn("coder")
    assert "coder runs a command of its own: it has no model." in hive.run("model", "coder", "x", code=1).stderr
    with hive.inside().store.write() as db:
        db.execute(MODELLED)
    assert hive.run("model", "coder", "x").stderr == ""


def test_who_pauses_an_agent_that_runs_a_command_is_told_how_to_stop_it(hive: TestHive) -> None:
    hive.spawn("coder")
    done = hive.run("pause", "coder")
    assert "`hive stop coder` stops it" in done.stderr
    assert hive.agent("coder")["paused"] is True
    with hive.inside().store.write() as db:
        db.execute(MODELLED)
    assert hive.run("pause", "coder").stderr == ""
