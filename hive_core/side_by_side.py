"""Work that mostly waits for what it has begun elsewhere: some of it at once, begun in order."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

# What is waited for has something to compute as well.
AT_ONCE = min(8, 2 * (os.cpu_count() or 1))


def side_by_side(count: int, begin: Callable[[], T], work: Callable[[T], R]) -> list[R]:
    """Do so many pieces of work, some at once; their results, in the order in which they were begun.

    begin: what the next piece is; called in order, and never while another call of it lasts. After a piece that raises,
    or when the caller is interrupted, no further one is begun, and those that were come to their ends.
    """
    turn, failed = threading.Lock(), threading.Event()
    results: list[R | None] = []

    def one() -> None:
        with turn:
            # A thread that has failed takes the next piece before anybody can cancel it.
            if failed.is_set():
                return
            place, item = len(results), begin()
            results.append(None)
        try:
            results[place] = work(item)
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="side by side") as pool:
        try:
            begun = [pool.submit(one) for _ in range(count)]
            wait(begun, return_when=FIRST_EXCEPTION)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    for future in begun:
        if not future.cancelled():
            future.result()
    return results  # type: ignore[return-value]
