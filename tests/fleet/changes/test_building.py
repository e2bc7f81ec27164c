"""Starting what was built: an agent that is to end meanwhile has not failed to start."""

from __future__ import annotations

import pytest

from hive_core.errors import NotFound
from hive_fleet.agents import desired
from hive_fleet.changes.building import start_container
from tests.hives import TestHive


@pytest.mark.remembered
def test_a_start_that_fails_because_its_agent_is_to_end_is_no_failure(hive: TestHive) -> None:
    hive.spawn("coder")
    inside, said = hive.inside(), list[str]()
    inside.say = said.append
    inside.host.destroy("coder")
    with pytest.raises(NotFound):
        start_container(inside, "coder")
    assert said == []
    with inside.store.write() as db:
        desired.want(db, "coder", desired.STOPPED)
    start_container(inside, "coder")
    assert said[0].startswith("note: coder was to end while it was started: ")
    inside.store.close()
