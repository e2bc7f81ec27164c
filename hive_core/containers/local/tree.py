"""The processes below this one, held by descriptor; imported by every supervisor, so it costs no import beyond os."""

# pathlib and what it imports would be paid once per container.
# ruff: noqa: PTH123, PTH208

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import os


def below(pid: int, most: int | None = None) -> list[int]:
    """Every descendant of a process, parents first; of more than `most` only the first that are found."""
    found = children_of(pid)
    for child in found:
        if most is not None and len(found) >= most:
            break
        found += children_of(child)
    return found


def children_of(pid: int) -> list[int]:
    """The children of a single-threaded process, oldest first (proc(5), /proc/PID/task/TID/children)."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def hold(pid: int) -> int:
    """A descriptor of the process, or -1 when it is gone."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return -1


def send(process: int, number: int) -> None:
    """Send a signal to a held process; one that is gone, or was never there, is past it."""
    try:
        if process >= 0:
            signal.pidfd_send_signal(process, number)
    except ProcessLookupError:
        return


def close_all_but(*keep: int) -> None:
    """Close every descriptor above 2 but these."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in keep:
            try:
                os.close(int(name))
            except OSError:
                continue  # the one that listed them
