"""What does not belong in a transaction that writes: everybody else who writes waits for its end.

So nothing slow and nothing foreign is done inside one: no container is asked, no file of an agent's read, no program
run, no lock waited for. It is done before; the change then checks that it still holds, and records. What breaks this
rule calls `outside` and is told by name, in whatever test or use comes by first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")


class _Change(threading.local):
    """Of each thread: whether a change of its is open."""

    open = False


_change = _Change()


@contextmanager
def under_way() -> Iterator[None]:
    """Be a change for as long as the block runs; for the store alone."""
    _change.open = True
    try:
        yield
    finally:
        _change.open = False


def outside(what: str) -> None:
    """Raise AssertionError where this thread is inside a change."""
    if _change.open:
        raise AssertionError(f"{what} inside a change of the database: everybody waits for that; do it before.")


def never_inside(function: Callable[P, T]) -> Callable[P, T]:
    """Declare the function below as one that must not be called inside a change."""

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        outside(f"{function.__module__}.{function.__name__} was called")
        return function(*args, **kwargs)

    return guarded


class Outside:
    """Anything whose methods must not be called inside a change: passes every call on, and refuses it there."""

    def __init__(self, kept: object) -> None:
        self._kept = kept

    def __getattr__(self, name: str) -> Any:
        outside(f"{type(self._kept).__name__}.{name} was called")
        return getattr(self._kept, name)


def guarded(kept: T) -> T:
    """The same object, whose methods must not be called inside a change."""
    return cast(T, Outside(kept))
