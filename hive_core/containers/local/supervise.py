"""The supervisor, one small process per container: starts the program, keeps its output, stays until nothing is left.

On stdin it gets the launch as marshal (see launch.py), on descriptor 3 a pipe to tell the launcher "ok" or why not.
SIGTERM asks the program to end, SIGUSR1 kills it. Its memory is paid once per container, so it imports no json, enum,
dataclasses or signal: marshal reads what only the launcher wrote, `_signal` is the C half of signal.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import marshal
import os
import select

from hive_agent.signal_pipe import open_pipe
from hive_core.containers.local import cgroups
from hive_core.containers.local.journal_writer import JournalWriter
from hive_core.containers.local.output import CHUNK, Output
from hive_core.containers.local.record_writer import OWN, write_exit, write_run
from hive_core.containers.local.subreaper import keep
from hive_core.containers.local.tree import children_of, close_all_but, hold, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

REPORT = 3
START = 3
_TERM, _USR1, _KILL, _PIPE, _XFSZ = 15, 10, 9, 13, 25
# More than any pipe holds: what was written before everything was killed.
_MOST_CHUNKS = 64
_FAILED = {b"126": "cannot be executed", b"127": "is not there"}


def main() -> None:
    """Supervise one container from its start to its end."""
    launch = marshal.loads(_read_all(0))  # noqa: S302 - written by launch.py, through a pipe nobody else has
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    # What the launcher's shell left open is no business of an agent's.
    close_all_but(REPORT)
    os.chdir("/")
    os.umask(0o077)
    # The launcher waits for this process, so that none it started is left to it as a zombie.
    if os.fork():
        os._exit(0)
    supervisor = Supervisor(launch)
    try:
        supervisor.run()
    except BaseException as error:
        # A bug, or a full disk: whatever else fails, nothing is left running.
        supervisor.kill()
        supervisor.journal.say(f"the supervisor failed: {type(error).__name__}: {error}")
        report(f"the supervisor failed: {error}")
        raise
    # Everything is written by now, and an interpreter takes longer to tidy up than a supervisor works.
    os._exit(0)


class Supervisor:
    """One run of one container.

    launch: name, folder, instance, revision, argv, environment, workdir, groups, levels (generations of processes
    between this one and the program), notice (a line for the journal or None), input (at most 4096 bytes that the
    program finds on its standard input, and nobody else anywhere).
    """

    def __init__(self, launch: dict[str, Any]) -> None:
        self.launch = launch
        self.folder: str = launch["folder"]
        self.groups: list[str] = launch["groups"]
        self.journal = JournalWriter(f"{self.folder}/journal")
        self.child = 0
        self.lifeline = -1
        self.init = -1
        self.program = -1
        self.handshake = b""
        self.started = False
        self.out_of_memory = False

    def run(self) -> None:
        """Start, watch, end: when this returns exit.json is there and no process of the container."""
        wake, _ = open_pipe((_TERM, _USR1))
        write_run(self.folder, self.launch["instance"], self.launch["revision"], self.launch["sandbox"])
        if self.launch["notice"]:
            self.journal.say(self.launch["notice"])
        output, start = self.spawn()
        code = self.watch(output, start, wake)
        self.end(output)
        self.out_of_memory = cgroups.out_of_memory(self.groups)
        write_exit(self.folder, self.launch["instance"], code, self.out_of_memory)
        for left in cgroups.remove(self.groups):
            self.journal.say(f"the control group {left} could not be removed")
        if not self.started:
            report(self.why_not())

    def spawn(self) -> tuple[int, int]:
        """Start the sandbox; returns the pipe of its output and the one that tells how far it has come."""
        output, output_end = os.pipe()
        start, start_end = os.pipe()
        lifeline, self.lifeline = os.pipe()
        given = _filled(self.launch["input"])
        self.child = os.fork()
        if self.child == 0:
            try:
                os.close(self.lifeline)
                self.become(given, output_end, start_end, lifeline)
            except BaseException as error:  # noqa: BLE001 - the child has nobody else to tell
                os.write(output_end, f"hive: {type(error).__name__}: {error}\n".encode(errors="backslashreplace"))
            os._exit(125)
        for descriptor in (given, output_end, start_end, lifeline):
            os.close(descriptor)
        os.set_blocking(output, False)
        os.set_blocking(start, False)
        return output, start

    def become(self, given: int, output: int, start: int, lifeline: int) -> NoReturn:
        """In the child: turn into the sandbox, or into the subreaper of what runs without one."""
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (_TERM, _USR1, _PIPE, _XFSZ):
            signal.signal(number, signal.SIG_DFL)
        for descriptor, target in ((given, 0), (output, 1), (output, 2), (start, START)):
            os.dup2(descriptor, target)
        os.umask(0o022)

        def execute() -> NoReturn:
            cgroups.enter(self.groups)
            os.chdir(self.launch["workdir"])
            # Imported by this child alone, which it ends with: the supervisor stays small.
            from hive_core.containers.local.confine import confine

            confine()
            os.execvpe(self.launch["argv"][0], self.launch["argv"], self.launch["environment"])  # noqa: S606

        if self.launch["levels"] == 1:
            keep(execute, lifeline)
        execute()

    def watch(self, output: int, start: int, wake: int) -> int:
        """Follow the container until its first process has ended; returns the exit code, 128 + n for signal n."""
        child = os.pidfd_open(self.child)
        poll = select.poll()
        for descriptor in (start, wake, child):
            poll.register(descriptor, select.POLLIN)
        written = Output(output, self.journal, poll)
        while True:
            ready = {descriptor for descriptor, _event in poll.poll(written.milliseconds())}
            if output in ready:
                written.take()
            if start in ready and self.learn(start) is not None:
                poll.unregister(start)
            if wake in ready:
                self.obey(os.read(wake, 64))
            if child in ready:
                break
        while self.learn(start) is None:
            continue
        code = os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])
        os.close(child)
        # From here on the number may be another process's.
        self.child = 0
        return 128 - code if code < 0 else code

    def learn(self, start: int) -> bool | None:
        """Read on the start-up pipe: None while there is more, then whether the program runs or has run."""
        try:
            data = os.read(start, 64)
        except BlockingIOError:
            # Asked after the end, while something hostile keeps the pipe open: it will tell nothing more.
            return False
        if data:
            self.handshake = (self.handshake + data)[:64]
            return None
        if self.handshake == b"x" and not self.started:
            self.started = True
            self.find()
            report("ok")
        return self.started

    def find(self) -> None:
        """Get hold of the container's pid 1 and of the program."""
        first = self.child
        for level in range(self.launch["levels"]):
            children = children_of(first)
            if not children:
                return
            first = children[0]
            if level == 0:
                self.init = hold(first)
        self.program = hold(first)

    def obey(self, signals: bytes) -> None:
        """Do what the launcher or the machine's shutdown asks for. Before there is a program it all means kill."""
        if _USR1 in signals or self.program < 0:
            self.kill()
        elif _TERM in signals:
            send(self.program, _TERM)

    def kill(self) -> None:
        """Kill everything at once, as far as one blow can."""
        if self.lifeline >= 0:
            os.close(self.lifeline)
            self.lifeline = -1
        if self.launch["levels"] > 1 and self.child:
            if self.init < 0:
                self.find()
            send(self.init, _KILL)
            os.kill(self.child, _KILL)
        if not cgroups.kill(self.groups):
            self.journal.say("some processes could not be killed")

    def end(self, output: int) -> None:
        """Make sure that no process is left, and keep what they wrote last."""
        if self.init >= 0:
            # Pid 1 of a namespace is gone only when all the others are (pid_namespaces(7)).
            send(self.init, _KILL)
            poll = select.poll()
            poll.register(self.init, select.POLLIN)
            poll.poll(cgroups.GONE_SECONDS * 1000)
        if not cgroups.kill(self.groups):
            self.journal.say("some processes could not be killed")
        rest = select.poll()
        written = Output(output, self.journal, rest)
        for _ in range(_MOST_CHUNKS):
            if not rest.poll(0) or not written.take():
                break
        self.journal.flush()

    def why_not(self) -> str:
        """Why the program did not come to run; what the configuration is to blame for is marked as its own."""
        said = b" / ".join(line[:400] for line in self.journal.last[-3:]).decode(errors="replace")
        reason = _FAILED.get(self.handshake[1:])
        if reason:
            return f"{OWN}the program {self.launch['program']} {reason} ({said})"
        if self.out_of_memory:
            return f"{OWN}the memory it is given is too little to start it"
        return f"the sandbox could not be built: {said or 'it ended without a word'}"


def _read_all(descriptor: int) -> bytes:
    data = b""
    while more := os.read(descriptor, CHUNK):
        data += more
    return data


def _filled(data: bytes) -> int:
    """A descriptor to read these bytes from, once; they fit into any pipe, so nobody waits for a reader."""
    if not data:
        return os.open("/dev/null", os.O_RDONLY)
    given, end = os.pipe()
    os.write(end, data)
    os.close(end)
    return given


def report(text: str) -> None:
    """Tell the launcher, once; it may have been killed since, and the container runs all the same."""
    try:
        os.write(REPORT, text.encode(errors="replace"))
        null = os.open("/dev/null", os.O_RDWR)
        os.dup2(null, REPORT)
        os.close(null)
    except BrokenPipeError:
        return
