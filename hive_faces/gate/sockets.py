"""Where the gate listens: one socket for the operator, one for each agent; made with the right owner, or not at all."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hive_agent import MANAGER
from hive_core import shared_folder
from hive_core.caller import THE_OPERATOR, Identity, Role
from hive_core.containers.base import AGENT_USERS
from hive_core.context import Hive
from hive_core.errors import Refused
from hive_core.store import FileIdentity
from hive_fleet.agents import table
from hive_fleet.home import folders

_SO_PEERPIDFD = 77
_ENDED = "Whoever connected has ended, so nobody can tell who it was; wait for the answer."
# Clients that may be waiting to be let in; as many connections as one caller may have fit.
BACKLOG = 1024


class _Connection(Protocol):
    """A socket, or what asyncio lets one see of it."""

    def getsockopt(self, *option: int) -> Any: ...


@dataclass(frozen=True, slots=True)
class Listening:
    """One socket that is listened on.

    uid: the agent's user; None for the operator's socket, and where all agents are the user that hive runs as.
    """

    socket: socket.socket
    identity: Identity
    uid: int | None

    def admits(self, uid: int) -> bool:
        """Whether a peer of this user is who the socket is for.

        The operator's socket is guarded by its file mode (0660); no agent's user gets in even where the file
        was opened to it.
        """
        if uid == os.geteuid():
            return True
        if self.identity.role is Role.OPERATOR:
            return uid < AGENT_USERS.start
        return self.uid is not None and uid == self.uid


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of a connection: the process that made it, as the kernel says (unix(7)).

    pid: 0 for one that is in none of the pid namespaces below this process's.
    """

    pid: int
    uid: int

    @classmethod
    def of(cls, connection: _Connection) -> Peer:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid, uid, _gid = struct.unpack("3i", credentials)
        return cls(pid, uid)


def check_operator(hive: Hive, connection: _Connection, pid: int) -> None:
    """Raise Refused for a peer of the operator's socket that runs in an agent's container, whatever user it is.

    The socket is shown to no agent. This is the wall behind that one.
    """
    # Containers are in namespaces below ours, so who is in none of those is in no container.
    if pid == 0:
        return
    try:
        held = _hold(connection, pid)
    except ProcessLookupError:
        raise Refused(_ENDED) from None
    try:
        container = hive.host.container_of(pid)
        poll = select.poll()
        poll.register(held, select.POLLIN)
        if poll.poll(0):
            raise Refused(_ENDED)
    finally:
        os.close(held)
    if container is not None:
        hive.say(f"warning: a program of {container} reached for the operator's socket, and was refused")
        raise Refused("This socket is the operator's; programs in an agent's container are refused.")


def _hold(connection: _Connection, pid: int) -> int:
    """A descriptor of the process that connected."""
    try:
        return int(connection.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD))
    except OSError as error:
        if error.errno != errno.ENOPROTOOPT:
            raise ProcessLookupError from error
        # Before Linux 6.5. The number could have passed to another since it connected, a moment ago.
        return os.pidfd_open(pid)


@dataclass(slots=True)
class SocketsChange:
    """What is newly listened on, and what no longer is; by path."""

    opened: dict[str, Listening] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)


def handed_over() -> dict[str, socket.socket]:
    """The sockets that a service manager bound for this process and listens on already, by path; taken once.

    As sd_listen_fds(3) says: from descriptor 3 on, so many as `$LISTEN_FDS`, meant for the process `$LISTEN_PID`.
    """
    meant_for, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    if meant_for != str(os.getpid()) or not count.isdecimal():
        return {}
    found: dict[str, socket.socket] = {}
    for descriptor in range(3, 3 + int(count)):
        os.set_inheritable(descriptor, False)
        given = socket.socket(fileno=descriptor)
        given.setblocking(False)
        found[str(given.getsockname())] = given
    return found


def listen(hive: Hive, known: Collection[str], given: dict[str, socket.socket]) -> SocketsChange:
    """Make the sockets that should be there and are not in `known`; say which of `known` should not be.

    given: sockets that are bound already, by path; those that are used are taken out.
    """
    with hive.store.read() as db:
        users = table.users(db)
    wanted: dict[str, tuple[Identity, int | None]] = {str(hive.settings.run / "host.sock"): (THE_OPERATOR, None)}
    for name, uid in users.items():
        caller = Role.MANAGER if name == MANAGER else Role.AGENT
        path = folders.ensure_sockets(hive, name) / "agent.sock"
        wanted[str(path)] = (Identity(caller, name), uid)
    change = SocketsChange(gone=[path for path in known if path not in wanted])
    for closed in change.gone:
        (hive.settings.run / "agents" / f"{Path(closed).parent.name}.sock").unlink(missing_ok=True)
    with ExitStack() as opened:
        for place in wanted.keys() - set(known):
            identity, uid = wanted[place]
            mode = 0o660 if uid is None else 0o600
            if place in given:
                bound = given.pop(place)
                opened.callback(given.__setitem__, place, bound)
            else:
                bound = opened.enter_context(_bind(Path(place), uid))
            # Also of one that was handed over: a service manager's own default is open to everybody.
            Path(place).chmod(mode)
            change.opened[place] = Listening(bound, identity, uid)
            _link(hive, identity)
        # What fails at one of them, on a full disk say, leaves none of the others open.
        opened.pop_all()
    return change


def identity_of(path: str) -> FileIdentity | None:
    """Which file this is the path of; None where there is none."""
    try:
        status = Path(path).lstat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _bind(path: Path, uid: int | None) -> socket.socket:
    """Bind a socket that nobody can connect to yet, in place of whatever lies there; the folder is hive's own.

    It is made beside its place: a socket that is there is listened on, also when whoever makes it is slow, or killed.
    """
    shared_folder.make(path.parent)
    beside = f".{path.name}.new"
    (path.parent / beside).unlink(missing_ok=True)
    with ExitStack() as unfinished:
        bound = unfinished.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        _put_in_place(bound, path, beside, uid)
        bound.setblocking(False)
        unfinished.pop_all()
    return bound


def _put_in_place(bound: socket.socket, path: Path, beside: str, uid: int | None) -> None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # By way of the folder's descriptor: the address of a socket may be 107 bytes long, a path may be more.
        bound.bind(f"/proc/self/fd/{folder}/{beside}")
        # Before it is listened on nobody gets in. The umask, which could have made it so, is every thread's.
        os.chmod(beside, 0, dir_fd=folder)
        if uid is not None:
            os.chown(beside, uid, uid, dir_fd=folder)
        bound.listen(BACKLOG)
        os.rename(beside, path.name, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        os.close(folder)


def _link(hive: Hive, identity: Identity) -> None:
    """The names that the sockets of containers have beside their folders: manager.sock, agents/<name>.sock."""
    if identity.role is Role.OPERATOR:
        return
    run = hive.settings.run
    shared_folder.make(run / "agents")
    places = {run / "agents" / f"{identity.name}.sock": f"../sockets/{identity.name}/agent.sock"}
    if identity.role is Role.MANAGER:
        places[run / "manager.sock"] = f"sockets/{identity.name}/agent.sock"
    for link, target in places.items():
        if not link.is_symlink():
            link.symlink_to(target)
