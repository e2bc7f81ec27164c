"""A human at one of an agent's programs: the agent's sandbox again, with a terminal of its own in between.

The program never holds the human's terminal: what it runs could push keystrokes into that one (TIOCSTI) or read what is
typed there later. It gets the inner end of a new pseudo-terminal, as its session's controlling one, and hive passes
bytes between the two until it has ended.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import NoReturn

from hive_core.containers.local import cgroups
from hive_core.containers.local.confine import confine
from hive_core.containers.local.sandbox import ARGV, Inside, Sandbox, on_the_machine, outer_environment
from hive_core.errors import Refused

_CHUNK = 65536
# What a terminal's name may be made of (terminfo(5)); anything else is not passed on.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,40}")


def enter(inside: Inside, sandbox: Sandbox, command: Sequence[str], groups: Sequence[str]) -> int:
    """Run `command` in the sandbox on this process's terminal; returns its exit code, 128 + n for signal n.

    groups: the control groups it is to be counted in. Raises Refused where standard input or output is no terminal.
    """
    if not (os.isatty(0) and os.isatty(1)):
        raise Refused("This needs a terminal, for a human to answer at.", "Run it in a shell, without a pipe.")
    name = os.environ.get("TERM", "")
    environment = {**inside.environment, "TERM": name if _NAME.fullmatch(name) else "dumb"}
    inner = replace(inside, command=tuple(command), environment=environment, terminal=True)
    bare = sandbox is Sandbox.NONE
    seen = on_the_machine(inner) if bare else inner
    outer_end, inner_end = os.openpty()
    fcntl.ioctl(inner_end, termios.TIOCSWINSZ, fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * 8))
    child = os.fork()
    if child == 0:
        _become(inner_end, ARGV[sandbox](inner), outer_environment(seen), seen.workdir if bare else "/", groups)
    os.close(inner_end)
    ended = os.pidfd_open(child)
    try:
        with _raw(), _resizing(outer_end):
            _pass_on(outer_end, ended)
    finally:
        # Also when a signal or a lost connection brings us here: the sandbox dies with its first process, and the
        # code of one that has ended already stays what it is.
        os.close(outer_end)
        signal.pidfd_send_signal(ended, signal.SIGKILL)
        os.close(ended)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


def _become(
    terminal: int, argv: Sequence[str], environment: dict[str, str], folder: str, groups: Sequence[str]
) -> NoReturn:
    """In the child: turn into the sandbox, the leader of a new session on the inner terminal."""
    try:
        os.setsid()
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
        null = os.open("/dev/null", os.O_WRONLY)
        # Descriptor 3 is where a container's start would be told; nobody listens here.
        for descriptor, target in ((terminal, 0), (terminal, 1), (terminal, 2), (null, 3)):
            os.dup2(descriptor, target)
        os.closerange(4, 1024)
        for number in (signal.SIGTERM, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.umask(0o022)
        # A user's shell may not move into a group of that user's service (cgroups(7)): its own limits bind, then.
        with suppress(PermissionError):
            cgroups.enter(groups)
        os.chdir(folder)
        confine()
        os.execvpe(argv[0], list(argv), environment)  # noqa: S606
    except BaseException as error:  # noqa: BLE001 - the child has nobody else to tell
        os.write(2, f"hive: {error}\r\n".encode(errors="backslashreplace"))
    os._exit(125)


def _pass_on(inner: int, ended: int) -> None:
    """Carry bytes both ways until the program has ended and what it wrote is through, or the human has gone."""
    sources = {0: inner, inner: 1, ended: -1}
    while True:
        ready = select.select(list(sources), [], [])[0]
        for source in set(ready) - {ended}:
            data = _read(source)
            if data:
                _write(sources[source], data)
            else:
                # The program has closed its end; or the human's terminal was hung up (what Ctrl-D types is passed on),
                # and a program that waits for a code would wait for ever.
                return
        if ended in ready and not select.select([inner], [], [], 0)[0]:
            return


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _CHUNK)
    except OSError as error:
        # Reading a pseudo-terminal whose other end is closed (pty(7)).
        if error.errno != errno.EIO:
            raise
        return b""


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


@contextmanager
def _raw() -> Iterator[None]:
    """Pass keys on as they are typed: what they mean is the inner terminal's affair."""
    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        yield
    finally:
        try:
            termios.tcsetattr(0, termios.TCSADRAIN, before)
        except termios.error as error:
            # Where the terminal was hung up there is nothing to put back.
            if error.args[0] != errno.EIO:
                raise
        sys.stdout.flush()


@contextmanager
def _resizing(inner: int) -> Iterator[None]:
    def follow(_number: int, _frame: object) -> None:
        fcntl.ioctl(inner, termios.TIOCSWINSZ, fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * 8))

    before = signal.signal(signal.SIGWINCH, follow)
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
