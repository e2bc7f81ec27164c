"""One client of a socket: its lines, its calls, its answers, and what is published to it."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import aclosing, suppress
from typing import Any

from hive_core import disk, wire
from hive_core.caller import Identity, Role
from hive_core.errors import HiveError, Invalid, Refused
from hive_core.moments import Moment
from hive_core.operation import Operation
from hive_faces.gate import followers, hostwire, mcp
from hive_faces.gate.calls import SLICE, Calls, Render, Slices, line
from hive_faces.gate.followers import Followers, Language
from hive_faces.gate.hostwire import Answer
from hive_faces.gate.lines import Lines, LineTooLong

# Tool calls that one connection may have under way; the next line is read when one of them has ended.
MOST_CALLS = 64
# Seconds in which a peer who follows something has to read on.
STALLED = 60.0
# The operations that give things one after the other, for as long as the peer is there; `journal` where it follows.
ENDLESS = ("attach", "journal")


class ClientConnection:
    """One client: its lines are answered in order; a model's tool calls, which name their answers, side by side."""

    def __init__(
        self,
        calls: Calls,
        followers: Followers,
        caller: Identity,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._calls, self._followers, self._caller, self._writer = calls, followers, caller, writer
        self._lines = Lines(reader)
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
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
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            # Not left to the end of the loop, which may be now.
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _finish(self) -> None:
        """Give the answers that are still due to a peer that sends no more; one that has hung up wants none."""
        with select.epoll() as hanging_up:
            # Nothing is asked for: that the peer has closed both directions is told in any case.
            hanging_up.register(self._writer.get_extra_info("socket").fileno(), 0)
            gone, loop = asyncio.Event(), asyncio.get_running_loop()
            loop.add_reader(hanging_up.fileno(), gone.set)
            waiting = asyncio.create_task(gone.wait())
            try:
                while self._tasks and not gone.is_set():
                    await asyncio.wait([*self._tasks, waiting], return_when=asyncio.FIRST_COMPLETED)
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
            self._spawn(self._mcp(request, lambda: intake.leave(sent)))
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

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Have something go on beside what is asked further, until it is done or the peer is gone."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

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
        operator = self._caller.role is Role.OPERATOR
        whole = operator and isinstance(request, dict) and "op" in request
        known = "op" if whole else "cmd"
        try:
            if not isinstance(request, dict) or not isinstance(request.get(known), str):
                raise Invalid('A request is an object with "cmd"' + (' or "op", which is a text.' if operator else "."))
            return await (self._perform_whole(request) if whole else self._perform(request))
        except HiveError as error:
            return _refusal(error, whole)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - the connection stays usable whatever a request meets
            return _refusal(self._bug(request[known], error), whole)

    async def _perform(self, request: dict[str, Any]) -> Slices:
        verb, operator = request["cmd"], self._caller.role is Role.OPERATOR
        if operator and verb == "subscribe_agent_status":
            self._spawn(self._follow(await self._followers.newest(), hostwire.STATUSES))
            return line(Answer())
        if operator and (command := hostwire.COMMANDS.get(verb)):
            return (await self._calls.in_thread(self._caller, lambda hive: command(hive, request), wire.pieces))[1]
        return await self._calls.call(
            self._caller, self._operation(verb), _arguments(request, "cmd"), self._gone, _spread, strict=operator
        )

    async def _perform_whole(self, request: dict[str, Any]) -> Slices:
        """What `op` asks for: the value of an operation as it is, or the events from somewhere on."""
        operation, raw = self._operation(request["op"]), _arguments(request, "op")
        if operation.name == "events":
            return await self._events(operation.parse(raw, self._caller.role, strict=True))
        if operation.name in ENDLESS and (operation.name != "journal" or raw.get("follow") is True):
            return await self._begin(operation, raw)
        return await self._calls.call(self._caller, operation, raw, self._gone, _whole, strict=True)

    def _operation(self, verb: str) -> Operation:
        operation = self._calls.operations.get(verb)
        if operation is None or operation.shell_only or self._caller.role not in operation.callers:
            raise Refused(f"There is no command {ascii(verb)[:80]}.")
        return operation

    async def _events(self, asked: Mapping[str, Any]) -> Slices:
        since, kinds, agents = asked.get("since"), asked.get("kind", []), asked.get("agent", [])
        language = followers.events(kinds, agents, said=asked.get("said", False))
        if isinstance(since, Moment):
            since = await self._followers.before(since.at)
        if not asked.get("follow"):
            if since is None and agents:
                since = await self._followers.before_newest_about(agents, kinds)
            return await self._followers.answer(since, language, _whole)
        begin = await self._followers.newest() if since is None else since
        # It begins when this task waits next, which is behind the answer.
        self._spawn(self._follow(begin, language))
        return line({"ok": True, "result": {"seq": begin}})

    async def _begin(self, operation: Operation, raw: Mapping[str, Any]) -> Slices:
        """Begin with a stream of what an operation gives, for as long as the peer is there; it follows the answer."""
        arguments = operation.parse(raw, self._caller.role, strict=True)
        items, answer = await self._calls.in_thread(
            self._caller, lambda hive: operation.function(hive, **arguments), lambda _: _whole({}), reads=True
        )
        self._spawn(self._stream(items))
        return answer

    async def _stream(self, items: Iterator[Any]) -> None:
        """Tell of each item of a stream, and of its end."""
        end: dict[str, Any] = {"kind": "end"}
        try:
            async with aclosing(self._calls.streams.follow(items, _written)) as stream:
                async for told in stream:
                    await self._tell(line({"kind": "heartbeat"}) if told is None else told)
        except ConnectionError:
            return  # It has hung up, or was hung up on.
        except Exception as error:  # noqa: BLE001 - whatever breaks a stream off, the peer is told
            end["error"] = str(error if isinstance(error, HiveError) else self._bug("stream", error))
        with suppress(ConnectionError):
            await self._tell(line(end))

    async def _follow(self, seq: int, language: Language) -> None:
        """Tell of everything after `seq`, as long as the peer reads."""
        try:
            await self._followers.follow(seq, language, self._tell)
        except ConnectionError:
            return  # It has hung up, or was hung up on.
        except Exception as error:  # noqa: BLE001 - whatever keeps the events from being read, the peer is told
            told = error if isinstance(error, HiveError) else self._bug("events", error)
            with suppress(ConnectionError):
                await self._tell(_refusal(told, True))
            self._writer.close()

    async def _tell(self, told: Slices) -> None:
        """Send what nobody asked for just now. A peer that has stopped reading is hung up on."""
        try:
            async with self._writing:
                await write(self._writer, told, STALLED)
        except TimeoutError:
            self._writer.transport.abort()
            raise ConnectionResetError from None


def _written(item: Any) -> Slices:
    return line(_item(item))


def _item(item: Any) -> Any:
    """A thing of a stream as it is told: with its kind."""
    if isinstance(item, str):
        return {"kind": "line", "text": item}
    shown = wire.outline(item)
    return {"kind": "line", **shown} if isinstance(shown, dict) and "kind" not in shown else shown


def _arguments(request: Mapping[str, Any], word: str) -> dict[str, Any]:
    """What a request has beside the word that names what is asked for."""
    return {name: value for name, value in request.items() if name != word}


def _refusal(error: HiveError, whole: bool) -> Slices:
    """Why something was not done. whole: with the hint by itself, as those get it who ask by `op`."""
    if not whole:
        return line(Answer(ok=False, error=str(error).replace("\n", " ")))
    hint = {} if error.hint is None else {"hint": error.hint}
    return line({"ok": False, "error": error.message, **hint})


def _whole(result: Any) -> Iterator[str]:
    """An operation's result as the answer to `op`: its value, whatever that is."""
    yield '{"ok":true,"result":'
    yield from wire.pieces(result)
    yield "}"


def _spread(result: Any) -> Iterator[str]:
    """An operation's result as an answer: an object's fields beside `ok`, anything else as `result`."""
    answer = {"version": hostwire.VERSION, "ok": True}
    shown = wire.outline(result)
    if isinstance(shown, dict):
        return wire.pieces({**shown, **answer})
    return wire.pieces(answer if shown is None else {**answer, "result": shown})


async def write(writer: asyncio.StreamWriter, answer: Slices, patience: float | None = None) -> None:
    """Send an answer a slice at a time, each when there is room for it and others had their turn.

    patience: for how many seconds there may be no room. Raises TimeoutError after that.
    Raises ConnectionResetError where the peer has hung up: asyncio complains of each further slice on our terminal.
    """
    parts = [part[begin : begin + SLICE] for part in answer for begin in range(0, len(part), SLICE)]
    for number, part in enumerate(parts):
        if number:
            await asyncio.sleep(0)
        if writer.transport.is_closing():
            raise ConnectionResetError
        writer.write(part)
        async with asyncio.timeout(patience):
            await writer.drain()
