"""Where containers are started: in the process that keeps the fleet, whoever asks for it, and wherever they typed it.

What is started inherits from whoever starts it: its control group, hence every limit on it, its limits on resources,
what it sees of the machine. So a command hands what is to be started to the `hive up` that runs, by a socket in
$HIVE_RUN that is for hive's own user alone. Where none runs it starts it itself.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hive_core import run_folder
from hive_core.containers.config import Limits
from hive_core.containers.local import cgroups, limits, records
from hive_core.containers.local.launch import START_SECONDS, launch
from hive_core.containers.local.membership import container_of
from hive_core.errors import BuildFailed, HiveError
from hive_core.settings import Settings
from hive_core.unix_socket import connected

SOCKET = "launch.sock"
# Seconds between two looks at whether the socket is still where it was made.
_LOOK = 5.0
# More than any command line: the kernel takes 2 MiB.
_LONGEST = 4 << 20
_ERRORS = {"BuildFailed": BuildFailed, "HiveError": HiveError}
_NOT_ASKED = "the hive that is up could not be asked to start this, so it is not bounded as that is"


def start(settings: Settings, order: dict[str, Any]) -> None:
    """Have a container started, by the process that keeps the fleet if there is one.

    order: folder (of the container), group and limits (memory, processes, cpu) of its control group, own (processes of
    the sandbox's), values (see supervise.Supervisor). Raises what `launch` does, and HiveError for limits.
    """
    try:
        connection = connected(settings.run / SOCKET)
    except (FileNotFoundError, ConnectionRefusedError):
        carry_out(order)
        return
    except OSError as error:
        order["values"]["notice"] = " ".join(filter(None, [f"{_NOT_ASKED} ({error.strerror}).", _notice(order)]))
        carry_out(order)
        return
    with connection:
        _handed_over(connection, order)


def carry_out(order: dict[str, Any]) -> None:
    """Make the control group and start the supervisor, as a child of this process."""
    values = order["values"]
    folders, notice = limits.create(order["group"], Limits(*order["limits"]), order["own"])
    records.replace(Path(order["folder"]) / "groups.json", folders)
    launch({**values, "groups": folders, "notice": " ".join(filter(None, [_notice(order), notice])) or None})


def _notice(order: Mapping[str, Any]) -> str | None:
    found: str | None = order["values"]["notice"]
    return found


def _handed_over(connection: socket.socket, order: Mapping[str, Any]) -> None:
    """Ask, and wait for what becomes of it. Raises as `start` does."""
    name = order["values"]["name"]
    connection.settimeout(2 * START_SECONDS)
    try:
        connection.sendall(json.dumps(order).encode())
        connection.shutdown(socket.SHUT_WR)
        answer = json.loads(_all_of(connection) or b"{}")
    except OSError as error:
        raise HiveError(f"{name} could not be started: {error}, asked of the hive that is up.", "Try again.") from error
    if not answer:
        raise HiveError(f"{name} could not be started: the hive that was up has ended.", "Try again.")
    if answer["error"] is not None:
        raise _ERRORS[answer["error"]](answer["message"], answer["hint"])


@contextmanager
def serving(settings: Settings) -> Iterator[str | None]:
    """Start what others ask for, in threads, for as long as the block runs; from a leaf of the service's group.

    The block is given a sentence where agents will not be in that group.
    """
    notice = cgroups.move_into_leaf()
    server = _Server(settings)
    try:
        yield notice
    finally:
        server.close()


class _Server:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._end, self._ending = os.pipe2(os.O_CLOEXEC)
        self._listening, self._identity = _bind(settings)
        self._thread = threading.Thread(target=self._serve, name="launcher")
        self._thread.start()

    def close(self) -> None:
        os.close(self._ending)
        self._thread.join()
        os.close(self._end)
        self._listening.close()

    def _serve(self) -> None:
        while True:
            ready = select.select([self._listening.fileno(), self._end], [], [], _LOOK)[0]
            if self._end in ready:
                return
            # What the machine refuses for a moment is tried again: a client waits in the queue of the socket.
            with suppress(OSError, HiveError):
                if ready:
                    connection = self._listening.accept()[0]
                    threading.Thread(target=self._answer, args=(connection,), name="launch", daemon=True).start()
                elif _identity(self._settings) != self._identity:
                    self._listening.close()
                    self._listening, self._identity = _bind(self._settings)

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(START_SECONDS)
            if not self._may_ask(connection):
                return
            order = _read_order(connection)
            if order is not None:
                connection.sendall(json.dumps(_outcome(order)).encode())

    def _may_ask(self, connection: socket.socket) -> bool:
        """Whether it is hive's own user, outside of every container: where hive is no root, agents are that user."""
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid, uid, _gid = struct.unpack("3i", credentials)
        return uid == os.geteuid() and (pid == 0 or container_of(pid, self._settings.containers) is None)


def _read_order(connection: socket.socket) -> dict[str, Any] | None:
    """What is to be started; None of who only looked whether somebody is here, or was killed as it asked."""
    try:
        order: dict[str, Any] = json.loads(_all_of(connection))
    except ValueError:
        return None
    return order


def _outcome(order: dict[str, Any]) -> dict[str, Any]:
    try:
        carry_out(order)
    except (HiveError, OSError) as error:
        known = error if isinstance(error, HiveError) else HiveError(f"It could not be started: {error}.", "")
        kind = "BuildFailed" if isinstance(known, BuildFailed) else "HiveError"
        return {"error": kind, "message": known.message, "hint": known.hint}
    return {"error": None}


def _all_of(connection: socket.socket) -> bytes:
    data = b""
    while len(data) <= _LONGEST and (more := connection.recv(65536)):
        data += more
    return data


def _bind(settings: Settings) -> tuple[socket.socket, tuple[int, int] | None]:
    """Listen in the run folder; the socket appears there when it is listened on, and for hive's own user alone."""
    run_folder.claim(settings)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = os.open(settings.run, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    beside = f".{SOCKET}.new"
    try:
        (settings.run / beside).unlink(missing_ok=True)
        # By way of the folder's descriptor: the address of a socket may be 107 bytes long, a path may be more.
        listening.bind(f"/proc/self/fd/{folder}/{beside}")
        os.chmod(beside, 0o600, dir_fd=folder)
        listening.listen(128)
        os.rename(beside, SOCKET, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        listening.close()
        raise
    finally:
        os.close(folder)
    return listening, _identity(settings)


def _identity(settings: Settings) -> tuple[int, int] | None:
    try:
        status = (settings.run / SOCKET).lstat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
