"""Every end of an agent is told once, with its cause, whatever is done meanwhile; and nothing that hive itself ends is.

benchmarks/verdicts.py does the same to a hundred agents, a thousand times.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hive_core.containers.local import cgroups
from tests import verdicts
from tests.hives import TestHive

ENDED, OPERATED = ["a1", "a2", "a3", "a4"], ["b1", "b2"]
_limited = bool(cgroups.parents_of("memory"))


def test_each_end_is_told_once_with_its_cause_and_no_operation_is_taken_for_one(hive: TestHive) -> None:
    verdicts.make(hive, [*ENDED, *OPERATED])
    with verdicts.watched(hive) as heard, ThreadPoolExecutor(1) as beside:
        operated = beside.submit(verdicts.operate, hive, OPERATED, 12)
        ways = (*verdicts.WAYS, *([verdicts.OUT_OF_MEMORY] if _limited else []))
        told = verdicts.kill_at_random(hive, heard, ENDED, 2 * len(ways), ways=ways, at_once=3)
        assert len(operated.result()) == 12
        hive.run("estop")
        assert (told.wrong, told.done) == ([], 2 * len(ways))
        # None twice, and none of an agent that nobody has ended.
        assert heard.total() == told.done
        assert {event["agent"] for event in hive.events("container_crash")} <= set(ENDED)
