"""Interrupts: a wait ends at one whenever it comes, and a change is never broken off by one."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hive_core.signals import deferring, interruptible, readable
from hive_core.store import Store
from tests.hives import PATIENCE

heard = threading.Event()


class Interrupted(Exception):
    pass


@pytest.fixture(autouse=True)
def _raising() -> Iterator[None]:
    def interrupt(_number: int, _frame: object) -> None:
        heard.set()
        raise Interrupted

    heard.clear()
    before = signal.signal(signal.SIGUSR1, interrupt)
    yield
    signal.signal(signal.SIGUSR1, before)


def test_a_signal_that_does_not_interrupt_the_wait_itself_ends_it() -> None:
    """As one does that comes just before the wait; here the kernel gives it to another thread."""
    waited, end = os.pipe()
    in_time: list[bool] = []

    def hit() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        in_time.append(heard.wait(PATIENCE))
        os.write(end, b"go on")

    hitting = threading.Timer(0.1, hit)
    hitting.start()
    with pytest.raises(Interrupted):
        readable([waited])
    hitting.join()
    assert in_time == [True]
    os.close(waited)
    os.close(end)


def test_whoever_listened_for_signals_before_still_does() -> None:
    numbers, end = os.pipe2(os.O_NONBLOCK)
    outer = signal.set_wakeup_fd(end)
    assert readable([numbers], 0.0) == set()
    with pytest.raises(Interrupted):
        signal.raise_signal(signal.SIGUSR1)
    assert readable([numbers], PATIENCE) == {numbers}
    assert signal.set_wakeup_fd(outer) == end
    os.close(numbers)
    os.close(end)


def test_a_thread_that_hears_no_signals_waits_all_the_same() -> None:
    there, end = os.pipe()
    os.write(end, b"x")
    found: list[set[int]] = []
    thread = threading.Thread(target=lambda: found.append(readable([there], PATIENCE)))
    thread.start()
    thread.join()
    assert found == [{there}]
    os.close(there)
    os.close(end)


@pytest.fixture
def _interruptible() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    interruptible()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_waits_for_the_end_of_the_outermost_block_that_defers_it(number: int) -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), deferring():
        with deferring():
            signal.raise_signal(number)
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]
    with deferring():
        pass
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)


@pytest.mark.usefixtures("_interruptible")
def test_an_interrupt_is_not_lost_in_an_error() -> None:
    with pytest.raises(KeyboardInterrupt) as interrupted, deferring():
        signal.raise_signal(signal.SIGINT)
        raise ValueError
    assert isinstance(interrupted.value.__context__, ValueError)


@pytest.mark.usefixtures("_interruptible")
def test_an_interrupt_that_was_to_be_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interruptible()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.mark.usefixtures("_interruptible")
def test_no_interrupt_leaves_a_transaction_open_or_the_turn_to_write_taken(tmp_path: Path) -> None:
    store = Store(tmp_path / "hive.db")
    with store.write() as db:
        db.execute("create table t (x)")
    # What a timer raises is handled as Ctrl-C is.
    signal.signal(signal.SIGALRM, signal.getsignal(signal.SIGINT))
    kept = 0
    for microseconds in range(1, 2000, 4):
        try:
            signal.setitimer(signal.ITIMER_REAL, microseconds / 1e6)
            while True:
                with store.read() as db:
                    db.execute("select 1").fetchall()
                with store.write() as db:
                    db.execute("update t set x = 1")
        except KeyboardInterrupt:
            kept += 1
            # While it is being handled, as whoever mends what it broke off does.
            assert not store.connection().in_transaction
            with store.write() as db:
                db.execute("insert into t values (0)")
            assert not store.connection().in_transaction
    with store.read() as db:
        assert db.execute("select count(*) from t").fetchone()[0] == kept == 500
