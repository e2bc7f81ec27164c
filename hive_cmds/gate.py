"""The gate: the unix sockets. Who is calling is which socket the call came in by, and the peer's credentials."""

from __future__ import annotations

import asyncio
import json
import select
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

from hive_cmds import hostwire, mcp, questions
from hive_cmds.events import after
from hive_cmds.hostwire import Answer
from hive_cmds.lines import Lines, LineTooLong
from hive_cmds.registry import everything, is_empty, serve_once
from hive_cmds.sockets import BACKLOG, Listening, listen, peer_uid
from hive_core import wire
from hive_core.context import Hive
from hive_core.errors import HiveError, Invalid, Refused
from hive_core.events import Event, newest
from hive_core.operation import OPERATOR, Caller, Identity, Operation, operation
from hive_core.wake import SETTLED, Wake

# Threads that run operations: the operator's never wait for those of agents.
THREADS = 8
# Connections that one caller may have open at once: an agent's may not use up what the gate can have open.
MOST_CONNECTIONS = {Caller.OPERATOR: 512, Caller.MANAGER: 64, Caller.AGENT: 64}
# Tool calls that one connection may have under way; the next line is read when one of them has ended.
MOST_CALLS = 64
# Bytes of answers that one caller may leave unread before it is hung up on.
MOST_UNREAD = 64 * 1024 * 1024
# Changes that a subscriber may be behind by before it is hung up on.
MOST_BEHIND = 1000


class Gate:
    """All sockets of one hive, served from one event loop; operations run in threads beside it."""

    def __init__(self, hive: Hive) -> None:
        self.hive = hive
        self.operations = everything()
        self._pools = {True: ThreadPoolExecutor(THREADS), False: ThreadPoolExecutor(THREADS)}
        self._turns: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(2))
        self._open: Counter[str] = Counter()
        self._unread: Counter[str] = Counter()
        self._inboxes: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._subscribers: set[_Subscriber] = set()
        self._clients: set[asyncio.Task[Any]] = set()
        self._servers: dict[str, asyncio.Server] = {}
        self._seq = 0

    async def run(self) -> None:
        """Serve until cancelled."""
        _allow_many_descriptors()
        loop = asyncio.get_running_loop()
        with Wake(self.hive.store) as wake:
            with self.hive.store.read() as db:
                self._seq = newest(db)
            await self._listen()
            woken = asyncio.Event()
            loop.add_reader(wake.fileno(), woken.set)
            try:
                while True:
                    await self._until_woken(woken)
                    woken.clear()
                    if wake.drain():
                        # The bell rings in a moment, unless the writer has died.
                        loop.call_later(SETTLED, woken.set)
                    await self._catch_up()
            finally:
                loop.remove_reader(wake.fileno())
                await self._close()

    async def _until_woken(self, woken: asyncio.Event) -> None:
        """Wait for a commit or for the next deadline of a question."""
        deadline = questions.next_deadline(self.hive)
        seconds = None if deadline is None else max(0.0, deadline - self.hive.clock())
        try:
            await asyncio.wait_for(woken.wait(), seconds)
        except TimeoutError:
            await asyncio.get_running_loop().run_in_executor(self._pools[True], questions.expire, self.hive)

    async def _catch_up(self) -> None:
        """Act on the events since the last time: wake receivers, tell subscribers, open and close sockets."""
        for event in after(self.hive, self._seq, []):
            self._seq = event.seq
            if event.kind == "sent":
                self._inboxes[event.data["to"]].set()
            elif event.kind in ("container_state_changed", "container_removed"):
                self._tell_subscribers(event)
                await self._listen()

    def _tell_subscribers(self, event: Event) -> None:
        if event.kind == "container_state_changed":
            row = {name: event.data["container"].get(name) for name in hostwire.AgentStatus.__dataclass_fields__}
            line = wire.line(Answer(agent_statuses=[hostwire.AgentStatus(**row)]))
            for publishing in list(self._subscribers):
                if publishing.queue.qsize() >= MOST_BEHIND:
                    # One that never reads would have the gate keep every change for it.
                    publishing.hang_up()
                publishing.queue.put_nowait(line)

    async def _listen(self) -> None:
        """Have a socket for the operator and for every agent there is, and none for any other."""
        wanted = listen(self.hive, known=self._servers.keys())
        for path, place in wanted.opened.items():
            self._servers[path] = await asyncio.start_unix_server(
                self._handler(place), sock=place.socket, backlog=BACKLOG
            )
        for path in wanted.gone:
            self._servers.pop(path).close()

    async def _close(self) -> None:
        for server in self._servers.values():
            server.close()
        # Each client's task is ended while the loop still runs, so that nothing is left to complain at its end.
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    def _handler(self, place: Listening) -> Any:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            name = place.identity.name
            self._open[name] += 1
            client = asyncio.current_task()
            assert client is not None
            self._clients.add(client)
            try:
                await self._admit(place, reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                return  # The peer has hung up, or the gate closes: nobody is left to tell.
            finally:
                self._clients.discard(client)
                self._open[name] -= 1
                writer.close()

        return handle

    async def _admit(self, place: Listening, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open[place.identity.name] > MOST_CONNECTIONS[place.identity.caller]:
            await _write(writer, wire.line(Answer(ok=False, error="Too many connections are open; close some.")))
        elif not place.admits(peer_uid(writer.get_extra_info("socket"))):
            await _write(writer, wire.line(Answer(ok=False, error="This socket is another user's.")))
        else:
            connection = _Connection(self, place.identity, reader, writer)
            await connection.serve()

    # --- calls

    async def call(
        self, caller: Identity, operation: Operation, raw: Mapping[str, Any], gone: Callable[[], bool]
    ) -> Any:
        """Run an operation for a caller in a thread; a parked one is called again when its inbox was written to.

        gone: whether the caller has hung up: what waits for it is not taken out of its inbox for nobody.
        """
        arguments = operation.parse(raw)
        if operation.parks is None:
            return await self._in_thread(caller, operation, arguments)
        end = time.monotonic() + operation.patience(arguments)
        while True:
            inbox = self._inboxes[caller.name]
            inbox.clear()
            if gone():
                raise ConnectionResetError
            result = await self._in_thread(caller, operation, arguments)
            left = end - time.monotonic()
            if not is_empty(result) or left <= 0:
                return result
            try:
                await asyncio.wait_for(inbox.wait(), left)
            except TimeoutError:
                return result

    async def _in_thread(self, caller: Identity, operation: Operation, arguments: Mapping[str, Any]) -> Any:
        result = await self.in_thread(caller, serve_once, operation, arguments)
        if isinstance(result, Iterator):
            raise Invalid(f"{operation.name} can be followed in the shell only.")
        return result

    async def in_thread(self, caller: Identity, function: Any, *arguments: Any) -> Any:
        """Run `function(hive as the caller, *arguments)` in a thread; an agent has two at a time at the most."""
        acting = self.hive.acting_as(caller)
        operator = caller.caller is Caller.OPERATOR
        loop = asyncio.get_running_loop()
        if operator:
            return await loop.run_in_executor(self._pools[True], function, acting, *arguments)
        async with self._turns[caller.name]:
            return await loop.run_in_executor(self._pools[False], function, acting, *arguments)

    def subscribe(self, hang_up: Callable[[], None]) -> _Subscriber:
        subscriber = _Subscriber(hang_up)
        self._subscribers.add(subscriber)
        return subscriber

    def unsubscribe(self, subscriber: _Subscriber) -> None:
        self._subscribers.discard(subscriber)

    async def answer(self, caller: Identity, writer: asyncio.StreamWriter, line: str) -> None:
        """Send a line, and wait until the peer has read it, or nearly all of it.

        Hangs up on a caller that has others make answers and reads none: they would all be kept for it.
        """
        size = len(line)
        if self._unread[caller.name] and self._unread[caller.name] + size > MOST_UNREAD:
            writer.transport.abort()
            raise ConnectionResetError
        self._unread[caller.name] += size
        try:
            await _write(writer, line)
        finally:
            self._unread[caller.name] -= size


class _Subscriber:
    """Who is told of every change: its lines that are yet to be sent, and how to be rid of it."""

    def __init__(self, hang_up: Callable[[], None]) -> None:
        self.queue: asyncio.Queue[str] = asyncio.Queue()
        self.hang_up = hang_up


class _Connection:
    """One client: its lines are answered in order; a model's tool calls, which name their answers, side by side."""

    def __init__(
        self, gate: Gate, caller: Identity, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.gate, self.caller, self.writer = gate, caller, writer
        self.lines = Lines(reader)
        self.tasks: set[asyncio.Task[None]] = set()
        self.calls = asyncio.Semaphore(MOST_CALLS)

    async def serve(self) -> None:
        try:
            while True:
                try:
                    line = await self.lines.next()
                except LineTooLong as error:
                    await self.answer(Answer(ok=False, error=str(error)))
                    continue
                if line is None:
                    return
                await self._one(line)
        finally:
            for task in self.tasks:
                task.cancel()

    def gone(self) -> bool:
        """Whether the peer has closed both directions: one that only sends no more may still want its answers."""
        poll = select.poll()
        poll.register(self.writer.get_extra_info("socket").fileno(), 0)
        return any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))

    async def answer(self, value: Any) -> None:
        await self.gate.answer(self.caller, self.writer, wire.line(value))

    async def _one(self, line: bytes) -> None:
        try:
            request = json.loads(line, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            await self.answer(Answer(ok=False, error="That line is no JSON document."))
            return
        if isinstance(request, dict) and "jsonrpc" in request and self.caller.caller is not Caller.OPERATOR:
            await self.calls.acquire()
            self._spawn(self._mcp(request))
        elif isinstance(request, dict) and request.get("cmd") == "mcp":
            return  # A bridge says what it is; its JSON-RPC lines follow.
        else:
            await self.answer(await self._answer_to(request))

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _mcp(self, request: Any) -> None:
        offered = mcp.tools(self.gate.operations, self.caller)

        async def call(operation: Operation, arguments: Mapping[str, Any]) -> Any:
            try:
                return await self.gate.call(self.caller, operation, arguments, self.gone)
            except (HiveError, ConnectionError):
                raise
            except Exception as error:
                raise self._bug(operation.name, error) from error

        try:
            answer = await mcp.reply(request, offered, call)
            if answer is not None:
                await self.answer(answer)
        except ConnectionError:
            return  # The peer has hung up, or was hung up on.
        finally:
            self.calls.release()

    def _bug(self, verb: str, error: Exception) -> HiveError:
        """What to tell of a failure that nobody foresaw; the operator's terminal is told more."""
        self.gate.hive.say(f"warning: {ascii(verb)[:80]} of {self.caller.name} failed: {error!r:.400}")
        return HiveError(f"hive failed at this: {type(error).__name__}.", "The operator's terminal shows more.")

    async def _answer_to(self, request: Any) -> Any:
        """The answer to one request; whatever is wrong with it becomes a sentence."""
        try:
            if not isinstance(request, dict) or not isinstance(request.get("cmd"), str):
                raise Invalid('A request is an object with "cmd".')
            return await self._perform(request)
        except HiveError as error:
            return Answer(ok=False, error=str(error).replace("\n", " "))
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - the connection stays usable whatever a request meets
            return Answer(ok=False, error=str(self._bug(request["cmd"], error)).replace("\n", " "))

    async def _perform(self, request: dict[str, Any]) -> Any:
        verb, operator = request["cmd"], self.caller.caller is Caller.OPERATOR
        if operator and verb == "subscribe_agent_status":
            self._spawn(self._publish(self.gate.subscribe(self.writer.transport.abort)))
            return Answer()
        if operator and verb in hostwire.COMMANDS:
            return await self.gate.in_thread(self.caller, hostwire.COMMANDS[verb], request)
        operation = self.gate.operations.get(verb)
        if operation is None or operation.shell_only or self.caller.caller not in operation.callers:
            raise Refused(f"There is no command {ascii(verb)[:80]}.")
        raw = {name: value for name, value in request.items() if name != "cmd"}
        return _spread(await self.gate.call(self.caller, operation, raw, self.gone))

    async def _publish(self, subscriber: _Subscriber) -> None:
        try:
            while True:
                await _write(self.writer, await subscriber.queue.get())
        except ConnectionError:
            return  # It has hung up, or was hung up on.
        finally:
            self.gate.unsubscribe(subscriber)


def _refuse_constant(text: str) -> Any:
    """NaN and Infinity are Python's, not JSON's: sent back, they would be no answer."""
    raise ValueError(text)


def _allow_many_descriptors() -> None:
    """Have as many files open as the machine lets us: each connection is one."""
    import resource

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _spread(result: Any) -> dict[str, Any]:
    """An operation's result as an answer: an object's fields beside `ok`, anything else as `result`."""
    answer = {"version": hostwire.VERSION, "ok": True}
    plain = wire.plain(result)
    if isinstance(plain, dict):
        return {**plain, **answer}
    return answer if plain is None else {**answer, "result": plain}


async def _write(writer: asyncio.StreamWriter, line: str) -> None:
    # Half of a surrogate pair, sent back as the id of a call: written as JSON escapes it.
    writer.write(line.encode(errors="backslashreplace") + b"\n")
    await writer.drain()


@contextmanager
def beside(hive: Hive) -> Iterator[None]:
    """Serve the sockets in a thread for as long as the block runs. The caller is the one gate there is."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(Gate(hive).run())

    def serve() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(task)

    thread = threading.Thread(target=serve, name="gate")
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()


@operation(callers=OPERATOR, group="Running", shell_only=True)
def gate(hive: Hive) -> None:
    """Serve the sockets: the operator's, the manager's and every agent's, until Ctrl-C."""
    with hive.lone("gate", "serving the sockets"):
        asyncio.run(Gate(hive).run())
