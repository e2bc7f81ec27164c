"""Commands of hive without their start: a server that has imported everything forks a process for each.

A command that a test runs to its end is a process of its own here too, with its own environment, folder, streams and
exit code, and may be killed at any line; only the interpreter's start and the imports, nine tenths of most commands'
time, are done once. So is one that goes on beside the test. Tests of the start itself start the real program.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NoReturn

CHECKOUT = Path(__file__).resolve().parent.parent
LONGEST_REQUEST = 1 << 20


class ForkServer:
    """The other end of a server process; started at the first request, ended with the tests."""

    def __init__(self, program: Sequence[str], environment: Mapping[str, str], cwd: Path | str = CHECKOUT) -> None:
        """program: what is started, as the server of one socket whose descriptor is its last argument."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours
        self._process = subprocess.Popen(
            [*program, str(theirs.fileno())],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        atexit.register(self._end)

    def ask(self, request: Mapping[str, Any], timeout: float) -> subprocess.CompletedProcess[str]:
        """Have a process forked for a request, and wait for its end.

        timeout: seconds, after which the process is killed and subprocess.TimeoutExpired raised.
        """
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            socket.send_fds(self._socket, [json.dumps(request).encode()], [out.fileno(), err.fileno()])
            pid = int(self._socket.recv(32))
            self._socket.settimeout(timeout)
            try:
                code = int(self._socket.recv(32))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                self._socket.settimeout(None)
                self._socket.recv(32)
                raise subprocess.TimeoutExpired(str(request), timeout) from None
            self._socket.settimeout(None)
            texts = [_text(stream) for stream in (out, err)]
        return subprocess.CompletedProcess(str(request), code, *texts)

    def run(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        cwd: Path | str | None = None,
        umask: int | None = None,
        kill_at: tuple[int, Sequence[str]] | None = None,
        kill_at_step: str | None = None,
        redirected: Mapping[int, str | None] | None = None,
        encoding: str | None = None,
        timeout: float,
    ) -> subprocess.CompletedProcess[str]:
        """Run one command of hive to its end.

        kill_at: a line's number, and parts of file names: see tests/killing.py. kill_at_step: of an operation.
        redirected: streams that a shell has closed, where it is None, or led to a file. encoding: of the terminal.
        """
        from tests.house import modules

        request = {"arguments": list(arguments), "environment": dict(environment), "cwd": str(cwd or Path.cwd())}
        request |= {"kill_at": [kill_at[0], list(kill_at[1])] if kill_at else None, "kill_at_step": kill_at_step}
        request |= {"umask": umask, "redirected": dict(redirected or {}), "encoding": encoding}
        # A file that has moved would be no place to be killed at any more, and nobody would notice.
        gone = [part for part in (kill_at[1] if kill_at else ()) if not any(part in str(path) for path in modules())]
        assert not gone, f"no file of the product is called {gone}"
        return self.ask(request, timeout)

    def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        cwd: Path | str | None = None,
        umask: int | None = None,
        log: IO[bytes] | None = None,
        terminal: int | None = None,
    ) -> Started:
        """Start one command and go on.

        log: where its standard error goes, in place of a pipe. terminal: what it has as its streams, in place of them.
        """
        request = {"arguments": list(arguments), "environment": dict(environment), "cwd": str(cwd or Path.cwd())}
        request |= {"umask": umask, "kill_at": None, "beside": True, "terminal": terminal is not None}
        pipes = [os.pipe() for _ in range(3)]
        out, err, told = (end for _, end in pipes)
        streams = [out, log.fileno() if log else err, told]
        if terminal is not None:
            streams[:2] = [terminal, terminal]
        socket.send_fds(self._socket, [json.dumps(request).encode()], streams)
        for _, end in pipes:
            os.close(end)
        pid = int(self._socket.recv(32))
        return Started([str(CHECKOUT / "hive"), *arguments], pid, *(end for end, _ in pipes))

    def _end(self) -> None:
        self._socket.close()
        self._process.wait()


class Started:
    """A process that a server has forked, in the hands of a test as one of subprocess.Popen's is."""

    def __init__(self, args: list[str], pid: int, out: int, err: int, end: int) -> None:
        self.args, self.pid = args, pid
        self.stdin = None
        self.stdout, self.stderr = (os.fdopen(stream, encoding="utf-8") for stream in (out, err))
        self.returncode: int | None = None
        self._end = os.fdopen(end, "rb", buffering=0)

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._end], [], [], 0)[0]:
            self.returncode = int(self._end.read())
            self._end.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None and not select.select([self._end], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        code = self.poll()
        assert code is not None
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        deadline = None if timeout is None else time.monotonic() + timeout
        found = {stream.fileno(): b"" for stream in (self.stdout, self.stderr) if not stream.closed}
        left = set(found)
        while left:
            ready, _, _ = select.select(left, [], [], None if deadline is None else max(0, deadline - time.monotonic()))
            if not ready:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            for stream in ready:
                more = os.read(stream, 65536)
                found[stream] += more
                left -= set() if more else {stream}
        self.wait(None if deadline is None else max(0, deadline - time.monotonic()))
        out, err = (
            found.get(-1 if each.closed else each.fileno(), b"").decode() for each in (self.stdout, self.stderr)
        )
        self.stdout.close()
        self.stderr.close()
        return out, err

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _redirect(streams: Mapping[str, str | None], encoding: str | None) -> None:
    """Have the streams that an interpreter makes of what a shell has redirected: none of one that is closed."""
    for number, path in streams.items():
        os.close(int(number))
        if path is None:
            setattr(sys, ("stdin", "stdout", "stderr")[int(number)], None)
        else:
            # The lowest number that is free, which is the one that was just closed.
            os.open(path, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if encoding and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=encoding)


def _text(stream: Any) -> str:
    stream.seek(0)
    return str(stream.read().decode())


_servers: dict[int, ForkServer] = {}


def server() -> ForkServer:
    """The one server of this process for commands of hive."""
    if os.getpid() not in _servers:
        _servers[os.getpid()] = started()
    return _servers[os.getpid()]


def started(around: Sequence[str] = ()) -> ForkServer:
    """A server for commands of hive. around: the words before the program, which put it somewhere else."""
    nobody = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1"}
    # Where the libraries are, for an interpreter that has none of its own: see tests/users.py.
    nobody["PYTHONPATH"] = ":".join([str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return ForkServer([*around, sys.executable, "-m", "tests.forking"], nobody)


def serve(connection: socket.socket, be: Callable[[Mapping[str, Any]], None]) -> None:
    """Fork a process for each request that comes, one after another, until the other end is closed.

    be: what such a process does; its streams, environment and folder are the request's by then.
    """
    # What a child's collector does not go through, the child does not copy.
    gc.freeze()
    forked = _Forked(connection)
    while True:
        forked.until_asked()
        data, streams, *_ = socket.recv_fds(connection, LONGEST_REQUEST, 3)
        if not data:
            return
        request = json.loads(data)
        told = streams.pop() if request.get("beside") else None
        child = os.fork()
        if child == 0:
            forked.let_go(told)
            _become(request, streams, be)
        for stream in streams:
            os.close(stream)
        connection.send(str(child).encode())
        forked.add(child, told)


class _Forked:
    """The processes of a server, and where the exit code of each is told at its end: a pipe of its own, or the socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        # What is readable at the end of a process -> the process, and its pipe.
        self._ends: dict[int, tuple[int, int | None]] = {}
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)

    def add(self, pid: int, told: int | None) -> None:
        end = os.pidfd_open(pid)
        self._ends[end] = pid, told
        self._poll.register(end, select.POLLIN)

    def until_asked(self) -> None:
        """Wait for a request, or the end of whoever asks; tell meanwhile which processes have ended."""
        while True:
            ready = {descriptor for descriptor, _ in self._poll.poll()}
            for end in ready & self._ends.keys():
                self._tell(end)
            if self._connection.fileno() in ready:
                return

    def _tell(self, end: int) -> None:
        pid, told = self._ends.pop(end)
        self._poll.unregister(end)
        os.close(end)
        code = str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode()
        if told is None:
            self._connection.send(code)
            return
        # Whoever has not waited for it is told in vain.
        with suppress(BrokenPipeError):
            os.write(told, code)
        os.close(told)

    def let_go(self, told: int | None) -> None:
        """In a child: hold nothing of what is the server's, or another's end would never be seen."""
        pipes = [pipe for _, pipe in self._ends.values()]
        for descriptor in (*self._ends, *pipes, told):
            if descriptor is not None:
                os.close(descriptor)
        self._connection.close()


def _become(request: Mapping[str, Any], streams: Sequence[int], be: Callable[[Mapping[str, Any]], None]) -> NoReturn:
    """Be the process of a request: its streams, environment, folder and umask, and then its end as an interpreter's."""
    for descriptor, stream in zip((1, 2), streams, strict=True):
        os.dup2(stream, descriptor)
        os.close(stream)
    if request.get("terminal"):
        os.setsid()
        os.dup2(1, 0)
    _redirect(request.get("redirected") or {}, request.get("encoding"))
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["cwd"])
    if request.get("umask") is not None:
        os.umask(request["umask"])
    code = 0
    try:
        be(request)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  (what an interpreter prints as it ends)
        sys.excepthook(*sys.exc_info())
        code = 1
    # As an interpreter ends: threads that are no daemons, then what was registered for it, then its streams.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def hive(request: Mapping[str, Any]) -> None:
    """Be a command of hive."""
    from hive_faces.shell.cli import main
    from tests.killing import NO_DIFFERENCE, Killer, die_at_step

    sys.argv = [str(CHECKOUT / "hive"), *request["arguments"]]
    if request["kill_at"]:
        Killer(*request["kill_at"], os.environ.get("KILLING_WATCH"), NO_DIFFERENCE).arm()
    if request.get("kill_at_step"):
        die_at_step(request["kill_at_step"])
    main()


def import_everything() -> None:
    """Import what any command imports as it runs: once here, and not again in each of a thousand processes."""
    import sysconfig
    import tomllib  # noqa: F401

    import plumbum  # noqa: F401
    from typer import rich_utils  # noqa: F401  (the help)

    for room in ("hive_core", "hive_fleet", "hive_cmds", "hive_faces", "status_page"):
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            importlib.import_module(module.name)
    sysconfig.get_config_vars()
    # The database that every new hive begins with.
    with importlib.import_module("hive_core.store").Store(Path("/nonexistent/database")).read():
        pass


if __name__ == "__main__":
    from tests import noticing

    import_everything()
    noticing.install(noticing.refuse)
    serve(socket.socket(fileno=int(sys.argv[1])), hive)
