"""The gate: the unix sockets. Who is calling is which socket the call came in by, and the peer's credentials."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from hive_core import descriptors, disk, run_folder, service_manager
from hive_core.beside import Beside
from hive_core.beside import beside as work_beside
from hive_core.caller import THE_OPERATOR, Role
from hive_core.context import Hive
from hive_core.errors import Refused
from hive_core.events import heads, newest
from hive_core.operation import OPERATOR, operation
from hive_core.signals import readable
from hive_core.store import FileIdentity
from hive_core.trouble import TROUBLES, Trouble
from hive_core.wake import SETTLED, Wake
from hive_faces.gate.calls import Calls, line
from hive_faces.gate.connection import ClientConnection, write
from hive_faces.gate.followers import Followers
from hive_faces.gate.hostwire import Answer
from hive_faces.gate.sockets import BACKLOG, Listening, Peer, check_operator, handed_over, identity_of, listen
from hive_fleet.agents import table
from hive_fleet.messages.questions import expire, next_deadline

# Connections that one caller may have open at once: an agent's may not use up what the gate can have open.
MOST_CONNECTIONS = {Role.OPERATOR: 512, Role.MANAGER: 64, Role.AGENT: 64}
# New connections of one socket that are let in before anybody else has a turn.
ADMITTED_AT_ONCE = 8
# Of asyncio's loop, until somebody whom it has let in is a client: its socket, its transport, its task.
_ROUNDS_TO_LET_IN = 4
# From Python 3.13 on asyncio takes a socket's path for its own, which it removes when the socket is closed.
_PATHS_ARE_OURS: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
# Seconds for which a thread that is at work runs before another one may. Python's own 5 ms, several times over in each
# call, are what a caller would wait for another's to be answered.
TURN = 0.0005
# Seconds between two looks at whether the sockets are still where they were made.
LOOK = 5.0


class Gate:
    """All sockets of one hive, served from one event loop; operations run in threads beside it.

    given: sockets that are bound already, by path. Raises Refused where the sockets of another hive lie.
    """

    def __init__(self, hive: Hive, given: dict[str, socket.socket] | None = None) -> None:
        run_folder.claim(hive.settings)
        self.hive = hive
        self._given = given or {}
        self._calls = Calls(hive)
        self._open: Counter[str] = Counter()
        self._followers = Followers(hive)
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._servers: dict[str, asyncio.Server] = {}
        self._seq: int | None = None
        self._admission = Trouble(hive.say, "the gate")
        self._unlistened = True
        self._places: dict[str, FileIdentity | None] = {}
        self._folders: tuple[FileIdentity | None, ...] = ()

    async def run(self) -> None:
        """Serve until cancelled; what the disk or the database refuses is told, and tried again."""
        descriptors.allow_many()
        sys.setswitchinterval(TURN)
        asyncio.get_running_loop().set_exception_handler(self._complain)
        trouble = Trouble(self.hive.say, "the gate")
        try:
            while True:
                try:
                    await self._keep_up(trouble)
                except TROUBLES as error:
                    self._unlistened = True
                    await asyncio.sleep(trouble.met(error))
        finally:
            await self._close()

    async def _keep_up(self, trouble: Trouble) -> None:
        """Do what each commit, and each deadline of a question, asks for."""
        loop = asyncio.get_running_loop()
        with Wake(self.hive.store) as wake:
            if self._seq is None:
                with self.hive.store.read() as db:
                    self._seq = newest(db)
            woken = asyncio.Event()
            woken.set()
            loop.add_reader(wake.fileno(), woken.set)
            try:
                while True:
                    await self._until_woken(woken)
                    woken.clear()
                    if wake.drain():
                        # The bell rings in a moment, unless the writer has died.
                        loop.call_later(SETTLED, woken.set)
                    await self._catch_up()
                    trouble.over()
            finally:
                loop.remove_reader(wake.fileno())

    def _complain(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Tell, once, that nobody is let in for want of descriptors: asyncio tries again each second by itself."""
        error = context.get("exception")
        if error is not None and disk.refusal(error) is not None:
            self._admission.met(error)
        else:
            loop.default_exception_handler(context)

    async def _until_woken(self, woken: asyncio.Event) -> None:
        """Wait for a commit or for the next deadline of a question."""
        left = self._seconds_left()
        # Not wait_for: that of Python 3.11 loses a cancellation that comes in the moment of what it waits for.
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK if left is None else min(left, LOOK)):
                await woken.wait()

    def _seconds_left(self) -> float | None:
        """Until the next deadline of a question; None where none has one."""
        deadline = next_deadline(self.hive)
        return None if deadline is None else max(0.0, deadline - self.hive.clock())

    async def _catch_up(self) -> None:
        """Do what has become due since the last time."""
        self._follow()
        self._notice_lost_sockets()
        await self._listen()
        if self._seconds_left() == 0.0:
            await asyncio.to_thread(expire, self.hive)

    def _follow(self) -> None:
        """Act on the events since the last time: wake receivers, and whoever follows."""
        while True:
            with self.hive.store.read() as db:
                page = heads(db, self._seq or 0)
            for seq, kind, agent in page:
                self._seq = seq
                if kind == "sent":
                    # A message is filed under whom it was sent to.
                    self._calls.wake(str(agent))
                self._unlistened |= kind in ("container_state_changed", "container_removed")
            if not page:
                return
            self._followers.wake()

    def _notice_lost_sockets(self) -> None:
        """Have sockets made anew that were removed with the folder they lie in: nobody finds them any more."""
        if self._folders == self._seen_folders():
            return
        self._folders = self._seen_folders()
        lost = [path for path, identity in self._places.items() if identity_of(path) != identity]
        if not lost:
            return
        self.hive.say(f"warning: {self.hive.settings.run} was cleared away; the sockets are made anew")
        run_folder.claim(self.hive.settings)
        for path in lost:
            del self._places[path]
            self._servers.pop(path).close()
        self._unlistened = True

    def _seen_folders(self) -> tuple[FileIdentity | None, ...]:
        """What is another when the folder of the sockets was cleared away."""
        settings = self.hive.settings
        return identity_of(str(settings.run / "host.sock")), identity_of(str(settings.sockets))

    async def _listen(self) -> None:
        """Have a socket for the operator and for every agent there is, and none for any other."""
        if not self._unlistened:
            return
        wanted = listen(self.hive, self._servers.keys(), self._given)
        for path, place in wanted.opened.items():
            self._places[path] = identity_of(path)
            # Nothing is waited for until all are held: a gate that ends meanwhile closes those it holds.
            self._servers[path] = await asyncio.start_unix_server(
                self._handler(place),
                sock=place.socket,
                backlog=ADMITTED_AT_ONCE,
                start_serving=False,
                **_PATHS_ARE_OURS,
            )
        for path, place in wanted.opened.items():
            await self._servers[path].start_serving()
            # To asyncio the backlog is also how many it lets in before it looks at anybody else.
            place.socket.listen(BACKLOG)
        for path in wanted.gone:
            self._places.pop(path)
            self._servers.pop(path).close()
        with self.hive.store.read() as db:
            self._calls.forget({THE_OPERATOR.name, *table.names(db)})
        self._unlistened = False
        self._folders = self._seen_folders()
        # Whoever connects from now on is answered; told once more it means nothing.
        service_manager.notify("READY=1")

    async def _close(self) -> None:
        # Nobody is let in any more. Who was just before is a client only some rounds of the loop later, and is lost to
        # asyncio, as an open socket, where its server is closed by then.
        for server in self._servers.values():
            for listening in server.sockets:
                asyncio.get_running_loop().remove_reader(listening)
        for _ in range(_ROUNDS_TO_LET_IN):
            await asyncio.sleep(0)
        for server in self._servers.values():
            server.close()
        # Each client's task is ended while the loop still runs, so that nothing is left to complain at its end.
        while open_now := dict(self._clients):
            for task in open_now:
                task.cancel()
            await asyncio.gather(*open_now, return_exceptions=True)
            for writer in open_now.values():
                # Also of a client that was cancelled before it began, or that does not read what is left for it.
                writer.transport.abort()
            await asyncio.sleep(0)
        self._calls.close()
        self._followers.close()

    def _handler(self, place: Listening) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            client = asyncio.get_running_loop().create_task(self._serve(place, reader, writer))
            self._clients[client] = writer
            client.add_done_callback(self._clients.pop)

        return accept

    async def _serve(self, place: Listening, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = place.identity.name
        self._open[name] += 1
        try:
            await self._admit(place, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return  # The peer has hung up, or the gate closes: nobody is left to tell.
        finally:
            self._open[name] -= 1
            writer.close()

    async def _admit(self, place: Listening, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        refusal = await self._refusal(place, writer.get_extra_info("socket"))
        if refusal is not None:
            await write(writer, line(Answer(ok=False, error=refusal)))
        else:
            await ClientConnection(self._calls, self._followers, place.identity, reader, writer).serve()

    async def _refusal(self, place: Listening, connection: Any) -> str | None:
        """Why a peer is not let in, or None where it is."""
        peer = Peer.of(connection)
        if self._open[place.identity.name] > MOST_CONNECTIONS[place.identity.role]:
            return "Too many connections are open; close some."
        if not place.admits(peer.uid):
            return "This socket is another user's."
        if place.identity.role is Role.OPERATOR:
            try:
                await asyncio.to_thread(check_operator, self.hive, connection, peer.pid)
            except Refused as refused:
                return refused.message
        return None


@contextmanager
def beside(hive: Hive, given: dict[str, socket.socket] | None = None) -> Iterator[Beside]:
    """Serve the sockets in a thread for as long as the block runs. The caller is the one gate there is.

    given: sockets that are there already, by what they are called.
    """
    with closing(asyncio.new_event_loop()) as loop:
        task = loop.create_task(Gate(hive, given).run())

        def serve() -> None:
            with suppress(asyncio.CancelledError):
                loop.run_until_complete(task)

        with work_beside("gate", serve, lambda: _cancel(loop, task)) as serving:
            yield serving


def _cancel(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    loop.call_soon_threadsafe(task.cancel)


@operation(callers=OPERATOR, group="Running", shell_only=True, endures=True)
def gate(hive: Hive) -> None:
    """Serve the sockets: the operator's, the manager's and every agent's, until Ctrl-C.

    A socket that a service manager such as systemd hands over is served as it is, with the callers that wait there.
    """
    with hive.lone("gate", "serving the sockets"), beside(hive, handed_over()) as serving:
        while not readable([serving.fileno()]):
            continue
        serving.check()
