"""Who keeps the gate busy takes turns with others who do, and holds up nobody else."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from hive_cmds.inbox import AT_ONCE as AT_A_TIME
from hive_cmds.inbox import Received, recv
from hive_core import wire
from hive_core.caller import Identity, Role
from hive_faces.gate.calls import SLICE, Calls
from hive_faces.gate.intake import Intake
from hive_faces.gate.turns import AT_ONCE, Turns
from hive_fleet.messages.messages import post
from tests.hives import TestHive, eventually

ONE, TWO, QUIET = (Identity(Role.AGENT, name) for name in ("one", "two", "quiet"))


def busy(turns: Turns, *callers: Identity) -> None:
    for caller in callers:
        turns.count(caller, 5 * AT_ONCE)


def queue(turns: Turns, threads: ThreadPoolExecutor, caller: Identity, work: Callable[[], object]) -> None:
    """Have a thread wait for a turn of the caller's."""
    before = turns.waiting

    def run() -> None:
        with turns.of(caller):
            work()

    threads.submit(run)
    eventually(lambda: turns.waiting > before)


def test_busy_callers_come_one_at_a_time_and_in_turn_however_many_threads_each_has() -> None:
    turns, order = Turns(), []
    busy(turns, ONE, TWO)
    with ThreadPoolExecutor() as threads, turns.of(ONE):
        for name, caller in (("1a", ONE), ("1b", ONE), ("1c", ONE), ("2a", TWO)):
            queue(turns, threads, caller, lambda name=name: order.append(name))
    assert order == ["1a", "2a", "1b", "1c"]


def test_a_quiet_caller_waits_for_nobodys_turn() -> None:
    turns = Turns()
    busy(turns, ONE)
    with turns.of(ONE):
        beside = threading.Thread(target=lambda: turns.of(QUIET).__enter__(), daemon=True)
        beside.start()
        beside.join(60)
        assert not beside.is_alive()


def test_what_a_caller_does_in_its_turn_is_counted_and_makes_it_take_turns() -> None:
    turns = Turns()
    assert not turns.is_busy(ONE)
    while not turns.is_busy(ONE):
        with turns.of(ONE):
            sum(range(100_000))
    assert not turns.is_busy(TWO)
    turns.forget(ONE)
    assert not turns.is_busy(ONE)


def test_a_turn_that_failed_is_passed_on() -> None:
    turns = Turns()
    busy(turns, ONE, TWO)
    for _ in range(2):
        for caller in (ONE, TWO):
            try:
                with turns.of(caller):
                    raise ValueError
            except ValueError:
                continue
    with turns.of(ONE):
        pass


class Slow:
    """A result whose answer takes until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def wire(self) -> dict[str, int]:
        assert self.let_go.wait(60)
        return {"slow": 1}


def test_an_answer_that_takes_long_to_write_holds_up_no_other(hive: TestHive) -> None:
    calls, slow = Calls(hive.inside()), Slow()

    async def run() -> None:
        first = asyncio.create_task(calls.in_thread(ONE, lambda _: slow, wire.pieces))
        assert (await calls.in_thread(QUIET, lambda _: {"quick": 1}, wire.pieces))[1] == [b'{"quick":1}\n']
        slow.let_go.set()
        assert (await first)[1] == [b'{"slow":1}\n']

    asyncio.run(run())
    calls.close()


def test_a_long_answer_is_written_in_slices(hive: TestHive) -> None:
    calls = Calls(hive.inside())
    rows = [{"id": number, "body": "ü" * 10_000} for number in range(20)]
    answer = asyncio.run(calls.in_thread(ONE, lambda _: {"rows": rows}, wire.pieces))[1]
    assert json.loads(b"".join(answer)) == {"rows": rows}
    assert len(answer) > 5
    assert all(len(part) < 2 * SLICE for part in answer)
    calls.close()


def test_a_caller_s_lines_are_taken_in_one_at_a_time_beside_another_s() -> None:
    order: list[str] = []

    async def send(intake: Intake, name: str) -> None:
        for _ in range(3):
            await intake.take(b"{}")
            order.append(name)

    async def run() -> None:
        loud, quiet = Intake(), Intake()
        await asyncio.gather(send(loud, "loud"), send(loud, "loud"), send(quiet, "quiet"))

    asyncio.run(run())
    assert max(order[: order.index("quiet") + 1].count(name) for name in ("loud", "quiet")) == 1
    assert order[:6].count("quiet") == 3


def test_a_large_inbox_is_taken_in_several_transactions(hive: TestHive) -> None:
    inside = hive.inside()
    with inside.store.write() as db:
        db.execute("insert into agents (name, desired, created_at) values ('one', 'stopped', 0)")
        for number in range(2 * AT_A_TIME + 1):
            post(db, "operator", "one", str(number))
    begun: list[str] = []
    inside.store.connection().set_trace_callback(begun.append)
    received = recv(inside.acting_as(ONE), limit=1000)
    assert begun.count("begin immediate") == 3
    assert [message.body for message in received.messages] == [str(number) for number in range(2 * AT_A_TIME + 1)]
    assert received.unread == 0


@pytest.mark.parametrize(
    "value",
    [None, 7, "x\n\u00fc", [], {}, [1, [2, {"a": None}]], {"a": [], "b": {"c": [{"d": 1}, "e"]}, "f": None},
     Received([], 3), {"rows": [Received([], 1), Received([], 2)]}, (Role.AGENT, {"x": Role.MANAGER})],
)  # fmt: skip
def test_a_document_in_pieces_is_the_same_as_at_once(value: object) -> None:
    assert "".join(wire.pieces(value)) == wire.line(value)
