"""A hive for a test: real processes of the real command line, over a folder of its own."""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from hive_agent import atomic
from hive_core import progress, settings, wire
from hive_core.changes import Change, InProgress
from hive_core.containers.local import choice
from hive_core.context import Hive
from hive_core.git.library import pygit2
from hive_faces.serve import serve
from hive_faces.verbs import find
from tests import forking, in_process, noticing
from tests.git import commit_here, git

CHECKOUT = Path(__file__).resolve().parent.parent
# How long a test waits for what must happen before it fails; nothing is measured with it.
PATIENCE = 60.0
PLAIN = 'runner = "command"\nsettle_seconds = 0.05\ncommand = ["sh", "-c", "echo ready; exec sleep infinity"]\n'

T = TypeVar("T")
# Whether the changes of this thread are those of an operation alone, which forgets nothing.
_looked_through = threading.local()
# The threads in which operations do a part of their work, however each came by them.
_theirs: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
_start = threading.Thread.start


def _is_looked_through() -> bool:
    return getattr(_looked_through, "now", False) or threading.current_thread() in _theirs


def _start_looked_through(thread: threading.Thread) -> None:
    if _is_looked_through():
        _theirs.add(thread)
    _start(thread)


threading.Thread.start = _start_looked_through  # type: ignore[method-assign]
noticing.install(noticing.refuse, _is_looked_through)


@contextmanager
def looking_through() -> Iterator[None]:
    """Have what the block does be an operation's, and looked through as one."""
    _looked_through.now = True
    try:
        yield
    finally:
        _looked_through.now = False


@functools.cache
def harness_under_test() -> Mapping[str, str]:
    """What has agents run the harness as it lies here; nothing where all of it is committed: that is what they run."""
    git = ["git", "-C", str(CHECKOUT), "status", "--porcelain", "--", "hive_agent"]
    if not subprocess.run(git, capture_output=True, check=False).stdout:
        return {}
    folder = Path(tempfile.mkdtemp(prefix="hive-harness-"))
    atexit.register(shutil.rmtree, folder)
    return {"HIVE_FLAKE": f"git+file://{harness_repository(folder)}?ref=main"}


def harness_repository(folder: Path) -> Path:
    """A repository with the harness as it lies here now, for a hive to be built from; HIVE_FLAKE names it."""
    shutil.copytree(CHECKOUT / "hive_agent", folder / "hive_agent", ignore=shutil.ignore_patterns("__pycache__"))
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "The harness as it is")
    return folder


@functools.cache
def sandbox_of_the_machine() -> bytes | None:
    """What a hive remembers of this machine's sandboxes once it has tried them; None where it remembers nothing."""
    with tempfile.TemporaryDirectory() as folder:
        memory = Path(folder, "sandbox.json")
        choice.choose(memory)
        return memory.read_bytes() if memory.exists() else None


def remember_sandbox(cache: Path) -> None:
    """Have a hive know the sandbox of the machine: each would try it at its first start, at the cost of another one."""
    known, memory = sandbox_of_the_machine(), cache / "sandbox.json"
    if known is not None and not memory.exists():
        # Several agents of a hive may be made at once.
        cache.mkdir(mode=0o700, exist_ok=True)
        atomic.write(memory, known)


@dataclass
class TestHive:
    """A hive's folder, and every way of talking to it. umask: of whoever calls its commands, where it is about that."""

    __test__ = False

    root: Path
    extra: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)
    umask: int | None = None

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root / "nobody"),
            "HIVE_HOME": str(self.home),
            "HIVE_RUN": str(self.root / "run"),
            # Many hives are up at once in the tests, and there is one port for the status page.
            "HIVE_PAGE": "off",
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "t",
            "GIT_AUTHOR_EMAIL": "t@t",
            "GIT_COMMITTER_NAME": "t",
            "GIT_COMMITTER_EMAIL": "t@t",
            **harness_under_test(),
            **self.extra,
        }

    def start(self, *arguments: str, program: list[str] | None = None, **options: Any) -> subprocess.Popen[str]:
        """Start a command and go on. What goes into its start (a program, options) has the real program started."""
        if not (program or options or self._about_the_start(options)):
            begun = cast(subprocess.Popen[str], forking.server().start(arguments, self.environment, umask=self.umask))
            self.started.append(begun)
            return begun
        argv = [*(program or [sys.executable, str(CHECKOUT / "hive")]), *arguments]
        process = subprocess.Popen(
            argv,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        self.started.append(process)
        return process

    def run(self, *arguments: str, code: int = 0, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, in this process where it needs none of its own, and check its exit code."""
        if self._about_the_start(options):
            done = self.started_anew(*arguments, **options)
        elif self.umask is not None or in_process.needs_its_own(arguments):
            done = self.forked(*arguments)
        else:
            with looking_through():
                done = in_process.run(arguments, self.environment, timeout=PATIENCE)
        out, err = done.stdout, done.stderr
        assert is_code(done.returncode, code, arguments), f"{arguments}: {done.returncode}\n{out}\n{err}"
        return done

    def _about_the_start(self, options: Mapping[str, Any]) -> bool:
        """Whether a command depends on how its interpreter is started."""
        # One that was imported knows where git is: a PATH may have more than ours, and not less.
        less = not self.environment["PATH"].endswith(os.environ["PATH"])
        return bool(options) or less or any(name.startswith(("PYTHON", "LC_", "LANG")) for name in self.extra)

    def started_anew(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run the real program to its end."""
        options.setdefault("program", [sys.executable, str(CHECKOUT / "hive")])
        process = self.start(*arguments, **options)
        out, err = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def forked(self, *arguments: str, **how: Any) -> subprocess.CompletedProcess[str]:
        """Run a command to its end in a process that has everything imported.

        how: where it is to be killed, or what its streams and its folder are, as in tests/forking.py.
        """
        return forking.server().run(arguments, self.environment, umask=self.umask, timeout=PATIENCE, **how)

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)

    def asked(self, verb: str, **arguments: Any) -> Any:
        """What an operation gives, as `--json` prints it, in this process."""
        inside, operation = self.inside(), find(verb)
        assert operation
        with looking_through(), closing(inside.store):
            result = serve(inside, operation, operation.parse(arguments))
            return wire.plain(list(result) if isinstance(result, Iterator) else result)

    def agent(self, name: str) -> dict[str, Any]:
        rows: list[dict[str, Any]] = self.asked("list")
        return next(row for row in rows if row["name"] == name)

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """Every event there was, oldest first; only of these kinds where any are named."""
        found: list[dict[str, Any]] = self.asked("events", since=0, kind=list(kinds))
        return found

    def inbox(self, name: str) -> list[str]:
        """What was ever sent to somebody by the system, oldest first."""
        with self.inside().store.read() as db:
            query = "select body from messages where recipient = ? and sender = 'system' order by id"
            return [row["body"] for row in db.execute(query, (name,))]

    def git(self, where: str, *arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.home / where), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def propose(self, name: str, toml: str, *, files: Mapping[str, str] | None = None) -> str:
        """Commit a configuration to the operator's clone of an agent's repository, as the operator does; its sha."""
        config = self.home / "agents" / name / "config"
        for path, text in {"agent.toml": toml, **(files or {})}.items():
            (config / path).parent.mkdir(parents=True, exist_ok=True)
            (config / path).write_text(text)
        return commit_here(config)

    def request(self, name: str, toml: str, **more: Any) -> int:
        """Propose a configuration and request it; the request's id."""
        return int(self.json("request-commit", name, self.propose(name, toml, **more))["id"])

    def spawn(self, name: str, toml: str = PLAIN) -> None:
        """Make an agent with a configuration that was written before it."""
        self.configure(name, toml)
        self.run("spawn", name)

    def configure(self, name: str, toml: str) -> None:
        """Write the configuration of an agent that is yet to be made, as an operator may."""
        config = self.home / "agents" / name / "config"
        config.mkdir(parents=True)
        pygit2.init_repository(str(config), initial_head="main")
        self.propose(name, toml)
        if "HIVE_BACKEND" not in self.extra:
            remember_sandbox(self.home / "cache")

    def inside(self) -> Hive:
        """The same hive, for a test that calls an operation in Python."""
        return Hive.open(settings.from_environment(self.environment))

    def instance(self, name: str) -> str | None:
        """What names the present start of an agent's container."""
        container = self.inside().host.container(name)
        return container.instance if container is not None else None

    def pid(self, name: str) -> int:
        """The pid of the agent's supervisor."""
        return int(json.loads((self.home / "containers" / name / "run.json").read_text())["supervisor"]["pid"])

    def close(self) -> None:
        """End every process and agent that this hive started."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.communicate()
        host = self.inside().host

        def destroy(name: str) -> None:
            if "HIVE_BACKEND" not in self.extra:
                # At once: a harness would look for the gate, which has just ended, to say that it ends.
                host.end(name, grace=0)
            host.destroy(name)

        with ThreadPoolExecutor(max_workers=8) as pool:
            # Ending one is mostly waiting for it.
            list(pool.map(destroy, host.containers()))


def is_code(found: int, wanted: int, command: Sequence[str]) -> bool:
    """Whether a command has ended as it should. The doctor's 1 says what the machine lacks, which may be anything."""
    return found == wanted or (found == 1 and wanted == 0 and "doctor" in command)


@contextmanager
def at_work(hive: Hive, agent: str, change: Change, **plan: Any) -> Iterator[InProgress]:
    """Be the one operation on an agent, which does what the block does."""
    with progress.held(hive, agent, change.kind), progress.recorded(hive, agent, change, plan) as doing:
        yield doing


def eventually(what: Callable[[], T], *, wait_on: int | None = None, pause: float = 0.02) -> T:
    """Look until `what` is true, and return it; fail when it never is.

    wait_on: a file descriptor that becomes readable when it is worth looking again.
    pause: seconds between two looks; longer where a look is a program's start.
    """
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        select.select([wait_on] if wait_on is not None else [], [], [], pause)
    raise AssertionError("what should have happened did not")


def line_of(process: subprocess.Popen[str]) -> str:
    """The next line that a process writes to its standard output; fails when there is none in time."""
    assert process.stdout is not None
    found: list[str] = []
    # In a thread, not by select: a line may lie in the buffer of this end already.
    reader = threading.Thread(target=lambda: found.append(process.stdout.readline()), daemon=True)  # type: ignore[union-attr]
    reader.start()
    reader.join(PATIENCE)
    assert found, "nothing was written"
    return found[0]


def asleep(process: subprocess.Popen[str]) -> None:
    """Wait until a process waits in the kernel: an interrupt a moment before may go unnoticed until the wait's end."""
    stat = Path(f"/proc/{process.pid}/stat")
    eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == "S")


def interrupt(process: subprocess.Popen[str]) -> int:
    """Press Ctrl-C."""
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    return process.returncode
