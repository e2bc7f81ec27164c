"""A wait ends at a signal, whenever that comes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from hive_core.signals import readable
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
