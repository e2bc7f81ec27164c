"""A program in a process group of its own, which is read line by line and dies with the harness."""

from __future__ import annotations

import ctypes
import os
import select
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from hive_agent.clis import CLIS
from hive_agent.errors import AgentError
from hive_agent.lines import LineBuffer
from hive_agent.waits import Poke

LONGEST_OUTPUT_LINE = 64 * 1024 * 1024
_PR_SET_PDEATHSIG = 1  # prctl(2)
GRACE_SECONDS = 3.0


def find(program: str, environment: Mapping[str, str]) -> str:
    """The path of a program on the environment's PATH. Raises AgentError."""
    if "/" in program:
        # Path.is_file() raises for what cannot be looked at.
        found = program if os.path.isfile(program) and os.access(program, os.X_OK) else None  # noqa: PTH113
    else:
        # Loads what unpacks archives, and hive names its CLIs by their paths.
        import shutil

        found = shutil.which(program, path=environment.get("PATH"))
    if found is None:
        raise AgentError(
            f"{program} is not on the PATH of this container.",
            "`hive doctor` says whether hive finds it; restart the agent when it does.",
        )
    return found


def find_cli(name: str, environment: Mapping[str, str]) -> str:
    """The path of a CLI's program: where hive said it is, or on the PATH. Raises AgentError."""
    return find(environment.get(CLIS[name].variable) or name, environment)


def how_it_ended(program: str, code: int) -> str:
    """A sentence's worth of an exit code as subprocess gives it, where -n is signal n."""
    if code >= 0:
        return f"{program} ended with code {code}"
    known = {number.value: number.name for number in signal.Signals}
    return f"{program} was killed by {known.get(-code, f'signal {-code}')}"


class Child:
    """A running program. poke: what wakes `lines` so that its reader can do something else.

    The leader of its group is killed when the harness dies by whatever means; what it started itself goes with the
    container, or with `kill`.
    """

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], folder: Path, poke: Poke) -> None:
        try:
            self._process = subprocess.Popen(
                argv,
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
                preexec_fn=_dying_with_parent(),  # noqa: PLW1509 - it calls one function of the C library
            )
        except OSError as error:
            raise AgentError(f"{argv[0]} cannot be started: {error.strerror}.") from error
        # Readable from its end on, and unlike wait(2) it leaves the process's number taken, so that signals
        # to its group can hit no other.
        self._ended = os.pidfd_open(self._process.pid)
        self._poke = poke
        self._to_write = bytearray()
        self._end_input = False
        self._deadline: float | None = None
        self._lines: deque[tuple[str, bytes]] = deque()
        self._open: dict[str, tuple[IO[bytes], LineBuffer]] = {}
        for name, stream in (("stdout", self._process.stdout), ("stderr", self._process.stderr)):
            assert stream is not None
            os.set_blocking(stream.fileno(), False)
            self._open[name] = (stream, LineBuffer(LONGEST_OUTPUT_LINE))
        assert self._process.stdin is not None
        self._stdin = self._process.stdin
        os.set_blocking(self._stdin.fileno(), False)

    @property
    def alive(self) -> bool:
        return self._process.returncode is None and not select.select([self._ended], [], [], 0)[0]

    def write(self, data: bytes, *, last: bool = False) -> None:
        """Have data written to its standard input while `lines` runs; with `last` the input then ends."""
        self._to_write += data
        self._end_input = self._end_input or last

    def remind(self, seconds: float | None) -> None:
        """Have `lines` yield ('late', b'') once, in so many seconds; None takes that back."""
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def lines(self) -> Iterator[tuple[str, bytes]]:
        """Yield ('stdout' or 'stderr', a line without its end) until it ended, and ('poke', b'') for each poke.

        A reader may leave before the end and come back: nothing is lost.
        Raises AgentError for a line that is longer than 64 MiB.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(self._poke, selectors.EVENT_READ, "poke")
            selector.register(self._ended, selectors.EVENT_READ, "ended")
            for name, (stream, _) in self._open.items():
                selector.register(stream, selectors.EVENT_READ, name)
            ended = False
            while self._lines or not ended:
                while self._lines:
                    yield self._lines.popleft()
                self._feed(selector)
                ready = selector.select(self._patience())
                for key, _ in ready:
                    ended = self._handle(str(key.data), selector) or ended

    def _patience(self) -> float | None:
        """Seconds until the reminder, None without one; one that is due is given."""
        if self._deadline is None:
            return None
        left = self._deadline - time.monotonic()
        if left > 0:
            return left
        self._deadline = None
        self._lines.append(("late", b""))
        return 0.0

    def _handle(self, name: str, selector: selectors.BaseSelector) -> bool:
        """Take what came from one descriptor; True when the program has ended and everything was read."""
        if name == "poke":
            self._poke.drain()
            self._lines.append(("poke", b""))
        elif name in self._open:
            self._read(name, selector)
        elif name == "ended":
            # What it started may hold its outputs open for ever: what is in them now is all there will be.
            for output in list(self._open):
                while output in self._open and self._read(output, selector):
                    continue
            return True
        return False

    def _feed(self, selector: selectors.BaseSelector) -> None:
        """Write what it takes without waiting, and have the rest waited for."""
        if self._stdin.closed:
            return
        try:
            while self._to_write:
                del self._to_write[: os.write(self._stdin.fileno(), self._to_write)]
        except BlockingIOError:
            if self._stdin.fileno() not in selector.get_map():
                selector.register(self._stdin, selectors.EVENT_WRITE, "stdin")
            return
        except BrokenPipeError:
            # It ended, or reads no further: what it has to say of that comes by its outputs.
            self._to_write.clear()
        if self._stdin.fileno() in selector.get_map():
            selector.unregister(self._stdin)
        if self._end_input:
            self._stdin.close()

    def _read(self, name: str, selector: selectors.BaseSelector) -> bool:
        """Take what is there from one output; False when there is nothing."""
        stream, buffer = self._open[name]
        try:
            data = os.read(stream.fileno(), 65536)
        except BlockingIOError:
            return False
        if not data:
            selector.unregister(stream)
            del self._open[name]
            stream.close()
        try:
            self._lines.extend((name, line) for line in buffer.feed(data))
        except ValueError as error:
            raise AgentError(f"The program wrote a line longer than {LONGEST_OUTPUT_LINE} bytes.") from error
        # A last line may lack its end.
        if not data and (rest := buffer.take_rest()):
            self._lines.append((name, rest))
        return bool(data)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its process group; `lines` goes on until it ended."""
        if self._process.returncode is None:
            os.killpg(self._process.pid, number)

    def end(self) -> int:
        """End its process group and return the exit code, or minus the signal's number.

        SIGTERM first, when it runs; SIGKILL for what is left as soon as its leader ended or 3 seconds are over.
        """
        if self._process.returncode is not None:
            return self._process.returncode
        if self.alive:
            self.signal(signal.SIGTERM)
            select.select([self._ended], [], [], GRACE_SECONDS)
        self.signal(signal.SIGKILL)
        code = self._process.wait()
        os.close(self._ended)
        for stream in (self._stdin, *(stream for stream, _ in self._open.values())):
            stream.close()
        return code

    def finish(self) -> int:
        """As `end`, but one that is about to end by itself is given 3 seconds to do so."""
        if self._process.returncode is None:
            select.select([self._ended], [], [], GRACE_SECONDS)
        return self.end()


def _dying_with_parent() -> Callable[[], None]:
    # Loaded before the fork: nothing but the call itself happens in the child.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: None if prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) == 0 else os._exit(126)
