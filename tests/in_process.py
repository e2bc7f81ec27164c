"""A command of hive in the process of its test: all that it does, its words and its exit code, but no process.

That takes a seventh of what a fork does. A command that has its own way with its process is forked all the same
(`needs_its_own`), and so is whatever goes on beside the test or is killed: see tests/forking.py.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from types import FrameType

from hive_faces.shell import cli
from hive_faces.verbs import ALIASES, of_command

# What nobody asks for at a socket, and is no more than work all the same.
_WORK = ("backup", "restore", "vacuum", "install_service")


class _TookTooLong(BaseException):
    """Not an error, which hive would report as a bug of its own."""


def needs_its_own(arguments: Sequence[str]) -> bool:
    """Whether a command needs a process of its own: it has signals, streams or a terminal to itself, or is a page of help.

    Only the main thread can be told that a command takes too long.
    """
    verb = next(iter(arguments), "")
    operation = of_command(ALIASES.get(verb, verb))
    # A look of the watch, of which there is only one.
    once = "--once" in arguments
    lives = operation is None or operation.parks is not None or (operation.shell_only and operation.name not in _WORK)
    return (
        (lives and not once)
        or bool({"--help", "-h"} & {*arguments})
        or threading.current_thread() is not threading.main_thread()
    )


def run(
    arguments: Sequence[str], environment: Mapping[str, str], *, timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run one command of hive to its end, with an environment, mask and streams of its own.

    timeout: seconds, after which it is broken off, and subprocess.TimeoutExpired raised.
    """
    out, err = _stream(), _stream()
    with ExitStack() as its_own:
        for each in (_mask(0o022), _environment(environment), _no_input(), redirect_stdout(out), redirect_stderr(err)):
            its_own.enter_context(each)
        with _ended_after(timeout, ["hive", *arguments]):
            code = cli.run(arguments)
    texts = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
    return subprocess.CompletedProcess(["hive", *arguments], int(code), *texts)


def _stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace", write_through=True)


@contextmanager
def _mask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def _environment(environment: Mapping[str, str]) -> Iterator[None]:
    # Where temporary files go is looked for once in a process; each command is told by its own TMPDIR.
    before, temporary = dict(os.environ), tempfile.tempdir
    _become(environment)
    tempfile.tempdir = None
    try:
        yield
    finally:
        _become(before)
        tempfile.tempdir = temporary


def _become(environment: Mapping[str, str]) -> None:
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)


@contextmanager
def _no_input() -> Iterator[None]:
    before = sys.stdin
    with open(os.devnull, encoding="utf-8") as nothing:
        sys.stdin = nothing
        try:
            yield
        finally:
            sys.stdin = before


@contextmanager
def _ended_after(seconds: float, command: Sequence[str]) -> Iterator[None]:
    def end(_number: int, _frame: FrameType | None) -> None:
        raise _TookTooLong

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _TookTooLong:
        raise subprocess.TimeoutExpired(list(command), seconds) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
