"""The halt: everything is stopped, and nothing is started, until it is lifted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hive_core.caller import Identity, Role
from hive_core.context import Hive
from hive_core.errors import NotFound, Refused
from hive_fleet.agents import desired, halt, refusals, table

pytestmark = pytest.mark.remembered


@pytest.fixture
def fleet(enlist: Callable[..., Hive]) -> Hive:
    """Two that run, one that rests, and one that the operator has stopped."""
    hive = enlist("coder", "manager", "tester", "idler")
    with hive.store.write() as db:
        desired.want(db, "tester", desired.RESTING)
        desired.want(db, "idler", desired.STOPPED)
    return hive


def test_who_was_to_run_is_stopped_by_it_and_known_afterwards(fleet: Hive) -> None:
    with fleet.store.write() as db:
        assert halt.since(db) is None
        assert halt.begin(db, 5.0) == ["manager", "coder", "tester"]
        assert halt.since(db) == 5.0
        assert desired.names(db, desired.STOPPED) == ["manager", "coder", "idler", "tester"]
        assert halt.held_back(db) == ["manager", "coder", "tester"]


def test_a_second_one_is_the_first_one_still(fleet: Hive) -> None:
    with fleet.store.write() as db:
        halt.begin(db, 5.0)
        assert halt.begin(db, 9.0) == []
        assert halt.since(db) == 5.0
        assert len(halt.held_back(db)) == 3


def test_who_is_stopped_meanwhile_is_not_held_back_by_it_any_more(fleet: Hive) -> None:
    with fleet.store.write() as db:
        halt.begin(db, 5.0)
        desired.want(db, "coder", desired.STOPPED)
        assert halt.held_back(db) == ["manager", "tester"]


def test_lifted_it_lets_everything_be_started(fleet: Hive) -> None:
    with fleet.store.write() as db:
        halt.begin(db, 5.0)
        with pytest.raises(Refused, match="`hive estop` has stopped everything") as refused:
            halt.refuse(db)
        assert "`hive resume --all`" in (refused.value.hint or "")
        assert halt.lift(db)
        assert not halt.lift(db)
        halt.refuse(db)


def test_a_new_agent_waits_for_its_end(fleet: Hive) -> None:
    with fleet.store.write() as db:
        table.add(db, "early", uid=None, desired=desired.RUNNING, created_at=1.0)
        halt.heed(db, "early")
        halt.begin(db, 5.0)
        table.add(db, "late", uid=None, desired=desired.RUNNING, created_at=1.0)
        halt.heed(db, "late")
        assert halt.held_back(db) == ["manager", "coder", "early", "late", "tester"]
        assert desired.names(db, desired.RUNNING) == []


def test_checks_that_operations_begin_with_refuse_in_a_sentence(fleet: Hive) -> None:
    by_manager = fleet.acting_as(Identity(Role.MANAGER, "manager"))
    with pytest.raises(Refused, match="The manager cannot restart itself"):
        refusals.refuse_self(by_manager, "manager", "restart")
    refusals.refuse_self(by_manager, "coder", "restart")
    refusals.refuse_self(fleet, "manager", "restart")
    with pytest.raises(Refused, match="The manager cannot be destroyed") as refused:
        refusals.refuse_manager("manager", "destroyed")
    assert "`hive stop manager`" in (refused.value.hint or "")
    refusals.refuse_manager("coder", "destroyed")
    with pytest.raises(NotFound, match="no agent 'nobody'"):
        refusals.refuse_unknown(fleet, "nobody")
    refusals.refuse_halted(fleet)
    with fleet.store.write() as db:
        halt.begin(db, 5.0)
    with pytest.raises(Refused, match="Nothing is started"):
        refusals.refuse_halted(fleet)


def test_an_agent_is_not_ended_while_the_settings_would_keep_it_from_starting(fleet: Hive) -> None:
    refusals.refuse_bad_settings(fleet)
    (fleet.settings.home / "hive.toml").write_text("nonsense = 1\n")
    with pytest.raises(Refused, match="line 1: nonsense is not a key"):
        refusals.refuse_bad_settings(fleet)
