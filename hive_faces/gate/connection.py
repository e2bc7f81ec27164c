"""One client of a socket: its lines, its calls, its answers, and what is published to it."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from hive_core import disk, wire
from hive_core.errors import HiveError, Invalid, Refused
from hive_core.operation import Identity, Operation, Role
from hive_faces.gate import hostwire, mcp
from hive_faces.gate.calls import SLICE, Calls, Render, Slices, line
from hive_faces.gate.hostwire import Answer
from hive_faces.gate.lines import Lines, LineTooLong

# Tool calls that one connection may have under way; the next line is read when one of them has ended.
MOST_CALLS = 64
# Changes that a subscriber may be behind by before it is hung up on.
MOST_BEHIND = 1000


class Subscriber:
    """Who is told of every change: its lines that are yet to be sent, and how to be rid of it."""

    def __init__(self, hang_up: Callable[[], None]) -> None:
        self.queue: asyncio.Queue[Slices] = asyncio.Queue()
        self._hang_up = hang_up

    def tell(self, answer: Slices) -> None:
        """Have a line sent. One that never reads is hung up on: every change would be kept for it."""
        if self.queue.qsize() >= MOST_BEHIND:
            self._hang_up()
        self.queue.put_nowait(answer)


class Connection:
    """One client: its lines are answered in order; a model's tool calls, which name their answers, side by side."""

    def __init__(
        self,
        calls: Calls,
        subscribers: set[Subscriber],
        caller: Identity,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._calls, self._subscribers, self._caller, self._writer = calls, subscribers, caller, writer
        self._lines = Lines(reader)
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._due: set[asyncio.Task[None]] = set()
        # Whether the peer speaks JSON-RPC, and whether it said that it speaks nothing else.
        self._rpc = self._rpc_alone = False
        self._room = asyncio.Semaphore(MOST_CALLS)

    async def serve(self) -> None:
        """Answer until the peer hangs up."""
        try:
            while True:
                try:
                    request = await self._lines.next()
                except LineTooLong as error:
                    await self._answer(self._unreadable(str(error)))
                    continue
                if request is None:
                    return await self._finish()
                await self._one(request)
        finally:
            for task in self._tasks:
                task.cancel()

    async def _finish(self) -> None:
        """Give the answers that are still due to a peer that sends no more; one that has hung up wants none."""
        with select.epoll() as hanging_up:
            # Nothing is asked for: that the peer has closed both directions is told in any case.
            hanging_up.register(self._writer.get_extra_info("socket").fileno(), 0)
            gone, loop = asyncio.Event(), asyncio.get_running_loop()
            loop.add_reader(hanging_up.fileno(), gone.set)
            waiting = asyncio.create_task(gone.wait())
            try:
                while self._due and not gone.is_set():
                    await asyncio.wait([*self._due, waiting], return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
                loop.remove_reader(hanging_up.fileno())

    def _unreadable(self, text: str) -> Slices:
        """What to answer to a line that is no document, in the peer's language."""
        return mcp.error(None, mcp.PARSE_ERROR, text) if self._rpc else line(Answer(ok=False, error=text))

    def _gone(self) -> bool:
        """Whether the peer has closed both directions: one that only sends no more may still want its answers."""
        descriptor = self._writer.get_extra_info("socket").fileno()
        if descriptor < 0:
            return True
        poll = select.poll()
        poll.register(descriptor, 0)
        return any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))

    async def _answer(self, answer: Slices) -> None:
        """Send an answer, and wait until the peer has read it, or nearly all of it.

        Hangs up on a caller that has others make answers and reads none: they would all be kept for it.
        """
        size = sum(map(len, answer))
        if not self._calls.may_answer(self._caller, size):
            self._writer.transport.abort()
            raise ConnectionResetError
        self._calls.answering(self._caller, size)
        try:
            async with self._writing:
                await write(self._writer, answer)
        finally:
            self._calls.answering(self._caller, -size)

    async def _one(self, sent: bytes) -> None:
        intake = self._calls.intake(self._caller)
        try:
            request = await intake.take(sent)
        except (ValueError, RecursionError):
            await self._answer(self._unreadable("That line is no JSON document."))
            return
        if self._is_rpc(request):
            await self._room.acquire()
            task = self._spawn(self._mcp(request, lambda: intake.leave(sent)))
            self._due.add(task)
            task.add_done_callback(self._due.discard)
            return
        try:
            if not self._rpc_alone:
                await self._answer(await self._answer_to(request))
        finally:
            await intake.leave(sent)

    def _is_rpc(self, request: Any) -> bool:
        """Whether a line is answered in JSON-RPC: when it is that, or none of hive's own where that is spoken."""
        if self._caller.role is Role.OPERATOR:
            return False
        if self._rpc_alone:
            return True
        first = request[0] if isinstance(request, list) and request else request
        own = isinstance(first, dict) and "cmd" in first and "jsonrpc" not in first
        self._rpc = self._rpc or (isinstance(first, dict) and "jsonrpc" in first)
        if own and first["cmd"] == "mcp":
            # A bridge says what it is, and is not answered; its JSON-RPC lines follow.
            self._rpc = self._rpc_alone = True
            return False
        return self._rpc and not own

    def _spawn(self, coroutine: Any) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _mcp(self, request: Any, leave: Callable[[], Awaitable[None]]) -> None:
        async def call(operation: Operation, arguments: Mapping[str, Any], render: Render) -> Slices:
            try:
                return await self._calls.call(self._caller, operation, arguments, self._gone, render)
            except (HiveError, ConnectionError):
                raise
            except Exception as error:
                raise self._bug(operation.name, error) from error

        try:
            answer = await self._reply(request, call)
            if answer is not None:
                await self._answer(answer)
        except ConnectionError:
            return  # The peer has hung up, or was hung up on.
        finally:
            self._room.release()
            await leave()

    async def _reply(self, request: Any, call: mcp.Call) -> Slices | None:
        try:
            return await mcp.reply(request, self._caller.role, call)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - every line is answered, whatever it meets
            return mcp.error(None, mcp.INTERNAL_ERROR, str(self._bug("mcp", error)))

    def _bug(self, verb: str, error: Exception) -> HiveError:
        """What to tell of a failure that nobody foresaw; the operator's terminal is told more."""
        self._calls.hive.say(f"warning: {ascii(verb)[:80]} of {self._caller.name} failed: {error!r:.400}")
        of_the_disk = disk.refusal(error)
        if of_the_disk is not None:
            return of_the_disk
        return HiveError(f"hive failed at this: {type(error).__name__}.", "The operator's terminal shows more.")

    async def _answer_to(self, request: Any) -> Slices:
        """The answer to one request; whatever is wrong with it becomes a sentence."""
        try:
            if not isinstance(request, dict) or not isinstance(request.get("cmd"), str):
                raise Invalid('A request is an object with "cmd".')
            return await self._perform(request)
        except HiveError as error:
            return line(Answer(ok=False, error=str(error).replace("\n", " ")))
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - the connection stays usable whatever a request meets
            return line(Answer(ok=False, error=str(self._bug(request["cmd"], error)).replace("\n", " ")))

    async def _perform(self, request: dict[str, Any]) -> Slices:
        verb, operator = request["cmd"], self._caller.role is Role.OPERATOR
        if operator and verb == "subscribe_agent_status":
            self._spawn(self._publish(Subscriber(self._writer.transport.abort)))
            return line(Answer())
        if operator and (command := hostwire.COMMANDS.get(verb)):
            return (await self._calls.in_thread(self._caller, lambda hive: command(hive, request), wire.pieces))[1]
        operation = self._calls.operations.get(verb)
        if operation is None or operation.shell_only or self._caller.role not in operation.callers:
            raise Refused(f"There is no command {ascii(verb)[:80]}.")
        raw = {name: value for name, value in request.items() if name != "cmd"}
        return await self._calls.call(self._caller, operation, raw, self._gone, _spread, strict=operator)

    async def _publish(self, subscriber: Subscriber) -> None:
        self._subscribers.add(subscriber)
        try:
            while True:
                answer = await subscriber.queue.get()
                async with self._writing:
                    await write(self._writer, answer)
        except ConnectionError:
            return  # It has hung up, or was hung up on.
        finally:
            self._subscribers.discard(subscriber)


def _spread(result: Any) -> Iterator[str]:
    """An operation's result as an answer: an object's fields beside `ok`, anything else as `result`."""
    answer = {"version": hostwire.VERSION, "ok": True}
    shown = wire.outline(result)
    if isinstance(shown, dict):
        return wire.pieces({**shown, **answer})
    return wire.pieces(answer if shown is None else {**answer, "result": shown})


async def write(writer: asyncio.StreamWriter, answer: Slices) -> None:
    """Send an answer a slice at a time, each when there is room for it and others had their turn.

    Raises ConnectionResetError where the peer has hung up: asyncio complains of each further slice on our terminal.
    """
    parts = [part[begin : begin + SLICE] for part in answer for begin in range(0, len(part), SLICE)]
    for number, part in enumerate(parts):
        if number:
            await asyncio.sleep(0)
        if writer.transport.is_closing():
            raise ConnectionResetError
        writer.write(part)
        await writer.drain()
