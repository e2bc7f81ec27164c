"""The interface of a backend: build, switch, start, stop, destroy, list, journal, changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

# The users that containers run as where they have one each; the numbers belong to no account.
AGENT_USERS = range(700_000, 1_700_000)
# The units in which a container's program runs, where a container has units: an agent's and the manager's.
HARNESS_UNITS = ("hive-agent.service", "hive-manager.service")
# Seconds that a container has to end by itself when it is stopped politely: between SIGTERM and SIGKILL.
GRACE = 10.0


class Ended(NamedTuple):
    """How a container's last run ended.

    code: the exit code, 128 + n for signal n; None when nobody could learn it (its supervisor was killed, or
    the machine went down). out_of_memory: whether the limit killed a process in it. at: unix seconds; of an end that
    nobody saw, when the run began. machine_down: it ended with the machine.
    """

    code: int | None
    out_of_memory: bool
    at: float
    machine_down: bool = False

    @property
    def reason(self) -> str:
        """The kind of end: out_of_memory, machine_down, supervisor_killed, signal or exit."""
        if self.out_of_memory:
            return "out_of_memory"
        if self.code is None:
            return "machine_down" if self.machine_down else "supervisor_killed"
        return "signal" if self._signal() else "exit"

    @property
    def cause(self) -> str:
        """The end in words: 'out of memory', 'SIGKILL', 'exit code 3'."""
        words = {
            "out_of_memory": "out of memory",
            "machine_down": "the machine went down",
            "supervisor_killed": "its supervisor was killed",
        }
        return words.get(self.reason) or self._signal() or f"exit code {self.code}"

    def _signal(self) -> str | None:
        import signal

        number = (self.code or 0) - 128
        return signal.Signals(number).name if number > 0 and number in set(signal.Signals) else None


class Container(NamedTuple):
    """A container as it is now.

    instance: names this one start of it, differs after every restart; None while it is not running.
    revision: the full sha of the configuration that it runs, or would start with; None before the first switch.
    next_revision: the one that its next start would have; another than `revision` only in the middle of a switch.
    hive: the revision of hive that it was last started with; None when it never was, or that is not known.
    started_at: unix seconds. ended: how the last run ended, None while it runs or when it never ran.
    """

    name: str
    running: bool
    instance: str | None
    revision: str | None
    next_revision: str | None
    started_at: float | None
    ended: Ended | None
    hive: str | None = None


class Activity(NamedTuple):
    """What the processes of a running container are at. cpu: seconds that they have used. processes: their numbers."""

    cpu: float
    processes: frozenset[int]


class Threaded(NamedTuple):
    """What hive decides of an agent's NixOS system, whatever its configuration says."""

    port: int
    pronouns: str
    manager: bool


class Lock(NamedTuple):
    """What containers are built with besides their configurations: what the meta flake locks.

    flake: the folder of the meta flake. hive: the full sha that its lock names for the input `hive`. repositories:
    those of this machine that may hold that commit, the likeliest first. threaded: tells of an agent, by its name, what
    the flake hands into its system.
    """

    flake: Path
    hive: str
    repositories: tuple[Path, ...]
    threaded: Callable[[str], Threaded] | None = None


class View(NamedTuple):
    """What a container may see and be, decided above the backend.

    uid: the user its processes run as, None for the user hive runs as. read_write, read_only: path inside ->
    path of a folder on the machine; nothing else of hive is visible. environment: added to the configuration's own.
    lock: what says which revision of the harness runs in it. Programs are the backend's to find and to show.
    """

    uid: int | None
    read_write: Mapping[str, Path]
    read_only: Mapping[str, Path]
    environment: Mapping[str, str]
    lock: Lock | None = None


class Host(Protocol):
    """A backend. Names were checked by whoever calls; the caller holds the agent's lock for every change but
    `end`."""

    def build(self, name: str, repository: Path, revision: str, lock: Lock | None) -> None:
        """Make `revision` of the applied repository, and the harness that `lock` names, ready to be switched to.

        Running things stay as they are. Raises BuildFailed naming file, key and line, HiveError when there is no such
        harness, or a program that it would be shown must not be. Idempotent.
        """

    def build_together(self, builds: Mapping[str, tuple[Path, str]], lock: Lock) -> None:
        """Do of several builds what is quicker done at once: agent -> repository and revision.

        Only ever a head start: each is built by itself afterwards, which says what is wrong with it.
        """

    def configuration_of(
        self, name: str, repository: Path, revision: str, lock: Callable[[], Lock]
    ) -> Mapping[str, frozenset[str]] | None:
        """What the agent's system has at a revision that nobody may have approved: by topic, as packages or ports.

        None where the backend evaluates no system. It may take a minute; nothing is built, and no lock has to be held.
        Raises BuildFailed for one that cannot be evaluated, HiveError for a machine that cannot.
        """

    def switch(self, name: str, revision: str, view: View, *, run: bool) -> None:
        """Make a built revision the one the container has; (re)start it when `run`, else leave it stopped.

        Raises BuildFailed when it cannot be started and the configuration is to blame, HiveError when the machine is;
        the caller switches back. Idempotent.
        """

    def start(self, name: str, view: View) -> None:
        """Start the container with the revision it has; nothing happens when it runs.

        Raises HiveError when it cannot be started.
        """

    def stop(self, name: str, *, grace: float) -> None:
        """Stop it: SIGTERM, after `grace` seconds SIGKILL; at once with grace 0. Nothing happens when it is stopped."""

    def end(self, name: str, *, grace: float) -> None:
        """As `stop`, for a caller who does not hold the agent's lock: what runs now ends, nothing is cleared away."""

    def destroy(self, name: str) -> None:
        """Stop and forget the container, its builds and its journal. Absent is fine."""

    def containers(self) -> dict[str, Container]:
        """Every container, by name."""

    def container(self, name: str) -> Container | None:
        """This one alone, None where there is none; costs the same however many others there are."""

    def activity(self, name: str) -> Activity | None:
        """What its processes are at; None while it does not run. Between two looks at one that works, this differs."""

    def journal(self, name: str, lines: int, units: Sequence[str] = (), *, since: float = 0.0) -> list[str]:
        """The last `lines` lines of its journal, oldest first: time, space, what was written.

        units: only what these wrote; without any all that there is, which may be of the container's own doing.
        since: only those that were written then or later, in unix seconds.
        """

    def follow_journal(self, name: str, lines: int, units: Sequence[str] = ()) -> Iterator[str]:
        """As `journal`, then every further line as it comes, for ever."""

    def capabilities(self) -> list[tuple[str, bool | None, str]]:
        """What this backend finds of the machine, for `hive doctor`: (what, whether it will do, in words).

        None for what is missing, and is not needed.
        """

    def cli(self, name: str) -> str | None:
        """The path of an agents' CLI as a container finds it; None where it is not installed.

        Raises Refused for one that no container may be shown.
        """

    def users(self) -> range | None:
        """The users that containers run as, one each; None where all of them run as the user that hive runs as."""

    def page_host(self, name: str) -> str:
        """The address of the machine where the container's ports are reached."""

    def port_in_use(self, port: int) -> bool:
        """Whether anybody serves this port already where a new container would serve it."""

    def listeners(self, ports: Iterable[int]) -> Mapping[int, set[int]]:
        """The users whose processes listen on these TCP ports, by port, where containers share their ports with others.

        Ports on which nobody listens are left out.
        """

    def page_key(self, name: str) -> str | None:
        """The key of the agent's page, which the harness is given on its standard input; another at every start.

        None when it is not running. Whoever has it can do all that the page can; only the operator is given it.
        """

    def enter(self, name: str, view: View, command: Sequence[str]) -> int:
        """Run a command as the agent, in a sandbox of its own like the container's, on the caller's terminal.

        For a human who has to talk to one of the agent's programs. Returns its exit code, 128 + n for signal n.
        Raises Refused where there is no terminal.
        """

    def errand(self, name: str, view: View, source: str, arguments: Sequence[str], *, seconds: float) -> str:
        """Run a Python program of hive's as the agent, in a sandbox of its own that shows what `view` does; its output.

        source: the program's text, which may need the standard library alone. It is bounded: in time by `seconds`, in
        memory, and in what it may say. For whatever has to be read or changed that the agent has written.
        Raises HiveError with the reason where it does not end well.
        """

    def leftovers(self, name: str, *, dry: bool) -> int:
        """Remove what the container keeps and needs no more: builds other than the one it runs and the one it has, and
        what was cut off half-made or half-removed; returns how many bytes, with `dry` without removing any.

        No operation on it is half-done. A rollback needs none of it: it builds anew.
        """

    def shared_leftovers(self, lock: Lock, *, dry: bool) -> int:
        """The same for what containers share: harnesses that `lock` does not name and none was started with."""

    def usage(self, name: str) -> Mapping[str, int]:
        """How many bytes of the disk the container takes up, by what it is: builds, journal."""

    def launching(self) -> AbstractContextManager[str | None]:
        """Be where containers are started for as long as the block runs, whoever has them started from wherever.

        For the process that keeps the fleet: what is started inherits its limits. Called once, before it has threads.
        The block is given a sentence where that is not so.
        """

    def severed(self, name: str) -> bool:
        """Whether a running container still holds the folder of its socket though that was removed from the machine.

        Nothing that is made in its place is seen inside before the container is started again.
        """

    def container_of(self, pid: int) -> str | None:
        """The name of the container that a process of this machine runs in, None for one that runs in none.

        The caller holds a descriptor of the process, and looks afterwards whether it still runs.
        """

    def exits(self, names: Sequence[str]) -> Mapping[str, int]:
        """For each running container of `names` a file descriptor that becomes readable when it ends.

        The caller closes them. A container that ended meanwhile is left out.
        """
