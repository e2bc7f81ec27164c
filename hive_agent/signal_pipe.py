"""The numbers of signals as they arrive, in a pipe: what waits for it wakes at once, whatever Python is doing.

A handler of Python's own runs when the main thread comes back to Python. A signal that arrives just before that thread
begins to wait in the kernel is noticed only at the end of the wait, which may be never. The number that is written here
is not held up by it.

The supervisor of each container imports this: `_signal` is the C half of signal, which with enum and what that imports
takes longer than all else that a supervisor imports.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def open_pipe(numbers: Iterable[int] = ()) -> tuple[int, Callable[[], None]]:
    """A descriptor to read them from, and what ends it; for the main thread.

    numbers: signals that do nothing else from now on. Of others a handler is needed, or no number is written.
    """
    out, end = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(end, False)
    before = signal.set_wakeup_fd(end, warn_on_full_buffer=False)
    for number in numbers:
        signal.signal(number, _noted)

    def close() -> None:
        signal.set_wakeup_fd(before)
        os.close(out)
        os.close(end)

    return out, close


def _noted(_number: int, _frame: object) -> None:
    """Python wants a handler before it writes a number to the pipe."""
