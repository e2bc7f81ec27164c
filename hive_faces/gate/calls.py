"""Running operations for the sockets' callers: each in threads of its own, so that none waits for another."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from hive_core import wire
from hive_core.caller import Identity, Role
from hive_core.context import Hive
from hive_core.errors import Invalid, Refused
from hive_core.operation import Operation
from hive_faces.gate.allowance import Allowance
from hive_faces.gate.endless import Streams
from hive_faces.gate.intake import Intake
from hive_faces.gate.turns import Turns
from hive_faces.serve import is_empty, serve_once
from hive_faces.verbs import everything

# Calls of one caller that run at once; its further ones wait, and only they. All of a caller's calls waiting for a
# lock or for a slow search are no reason for another's to wait.
THREADS = {Role.OPERATOR: 8, Role.MANAGER: 2, Role.AGENT: 2}
# Bytes of answers that one caller may leave unread before it is hung up on.
MOST_UNREAD = 64 * 1024 * 1024
# Bytes of an answer that are made, and sent, before anybody else has a turn.
SLICE = 64 * 1024

# An answer as it is sent, its line's end included, in parts of some SLICE bytes each.
Slices = list[bytes]
# Writes the result of an operation, in pieces.
Render = Callable[[Any], Iterator[str]]


class _Resting(Exception):
    """The caller's last change took long: this one is not begun yet."""


class Calls:
    """What runs for callers, and what each has outstanding. Belongs to the event loop's thread."""

    def __init__(self, hive: Hive) -> None:
        self.hive = hive
        self.operations = everything()
        self._threads: dict[tuple[Identity, bool], ThreadPoolExecutor] = {}
        self._inboxes: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._unread: Counter[str] = Counter()
        self._allowances: dict[Identity, Allowance] = defaultdict(Allowance)
        self._intakes: dict[Identity, Intake] = defaultdict(Intake)
        self._turns = Turns()
        self.streams = Streams()

    def intake(self, caller: Identity) -> Intake:
        """Where the caller's lines come in, over whichever of its connections."""
        return self._intakes[caller]

    async def call(
        self,
        caller: Identity,
        operation: Operation,
        raw: Mapping[str, Any],
        gone: Callable[[], bool],
        render: Render,
        *,
        strict: bool = False,
    ) -> Slices:
        """Run an operation for a caller in a thread; a parked one is called again when its inbox was written to.

        gone: whether the caller has hung up; asked in a thread. What it has sent before is done all the same, unless
        it only reads, or takes what waits for it.
        render: writes the answer, in the same thread. strict: the arguments must be of their JSON types to the letter.
        """
        arguments = operation.parse(raw, caller.role, strict=strict)
        if operation.parks is None:
            return (await self._once(caller, operation, arguments, gone, render))[1]
        end = time.monotonic() + operation.patience(arguments)
        while True:
            inbox = self._inboxes[caller.name]
            inbox.clear()
            result, answer = await self._once(caller, operation, arguments, gone, render)
            left = end - time.monotonic()
            if not is_empty(result) or left <= 0:
                return answer
            try:
                async with asyncio.timeout(left):
                    await inbox.wait()
            except TimeoutError:
                return answer

    async def _once(
        self,
        caller: Identity,
        operation: Operation,
        arguments: Mapping[str, Any],
        gone: Callable[[], bool],
        render: Render,
    ) -> tuple[Any, Slices]:
        bounded = not operation.reads and caller.role is not Role.OPERATOR

        def run(hive: Hive) -> Any:
            if bounded and self._allowances[caller].rest() > 0:
                # Another that waited beside this one was before it.
                raise _Resting
            # A call may have waited long for its thread: nothing is read, and nothing taken, for nobody.
            if (operation.reads or operation.parks) and gone():
                raise ConnectionResetError
            # Of those that change something the store has one at a time; some wait for what others hold.
            with self._turn(caller) if operation.reads else nullcontext():
                result = serve_once(hive, operation, arguments)
            if isinstance(result, Iterator):
                raise Invalid(f"{operation.name} goes on and on: that can be asked for by `op` alone, or in the shell.")
            return result

        while True:
            if bounded:
                await self._afford(caller, operation)
            try:
                return await self.in_thread(caller, run, render, reads=operation.reads)
            except _Resting:
                continue

    def _turn(self, caller: Identity) -> AbstractContextManager[None]:
        """The operator waits for nobody's turn."""
        return nullcontext() if caller.role is Role.OPERATOR else self._turns.of(caller)

    async def _afford(self, caller: Identity, operation: Operation) -> None:
        """Wait until a caller may change something again; a model is told to, who can do something else meanwhile."""
        allowance = self._allowances[caller]
        while (seconds := allowance.seconds()) > 0:
            if operation.tool and operation.parks is None:
                raise Refused(
                    f"{caller.name} has said and done too much too fast.", f"Try again in {math.ceil(seconds)} seconds."
                )
            await asyncio.sleep(seconds)
        while (rest := allowance.rest()) > 0:
            await asyncio.sleep(rest)

    async def in_thread(
        self, caller: Identity, function: Callable[[Hive], Any], render: Render, *, reads: bool = False
    ) -> tuple[Any, Slices]:
        """Run `function(hive as the caller)` in a thread of the caller's: its result, and the answer written there.

        reads: it changes nothing. The operator, who may have many rebuilds under way, looks at things beside them.
        """
        group = (caller, reads and caller.role is Role.OPERATOR)
        if group not in self._threads:
            self._threads[group] = ThreadPoolExecutor(THREADS[caller.role], thread_name_prefix=caller.name)
        acting, allowance = self.hive.acting_as(caller), self._allowances[caller]

        def run() -> tuple[Any, Slices]:
            db = acting.store.connection()
            before = db.emitted, db.worked
            try:
                result = function(acting)
            finally:
                # Here, not where the result is waited for: that ends when the caller hangs up.
                allowance.spend(db.emitted - before[0], db.worked - before[1])
            return result, self._written(caller, render(result))

        return await asyncio.get_running_loop().run_in_executor(self._threads[group], run)

    def _written(self, caller: Identity, pieces: Iterator[str]) -> Slices:
        """An answer, written in a thread of the caller's, a slice in each turn."""
        answer: Slices = []
        while not answer or len(answer[-1]) >= SLICE:
            with self._turn(caller):
                answer.append(_slice(pieces))
        answer[-1] += b"\n"
        return answer

    def wake(self, name: str) -> None:
        """Let those who are parked on this inbox look into it again."""
        self._inboxes[name].set()

    def forget(self, names: set[str]) -> None:
        """End the threads of callers that are not among these names; what runs in them runs to its end."""
        for group in [group for group in self._threads if group[0].name not in names]:
            self._threads.pop(group).shutdown(wait=False)
            caller = group[0]
            self._inboxes.pop(caller.name, None)
            self._allowances.pop(caller, None)
            self._intakes.pop(caller, None)
            self._turns.forget(caller)

    def close(self) -> None:
        """Begin nothing more."""
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)

    def may_answer(self, caller: Identity, size: int) -> bool:
        """Whether a caller reads its answers well enough for one more of so many bytes."""
        unread = self._unread[caller.name]
        return not unread or unread + size <= MOST_UNREAD

    def answering(self, caller: Identity, size: int) -> None:
        """Count bytes of answers that are being sent, or, when negative, that have been."""
        self._unread[caller.name] += size


def line(value: Any) -> Slices:
    """A short answer."""
    return document(wire.line(value))


def document(text: str) -> Slices:
    """An answer that is JSON already."""
    return [_slice(iter([f"{text}\n"]))]


def _slice(pieces: Iterator[str]) -> bytes:
    """The next pieces of an answer, to at least SLICE bytes of them; fewer are its last."""
    written = bytearray()
    for piece in pieces:
        # Half of a surrogate pair, sent back as the id of a call: written as JSON escapes it.
        written += piece.encode(errors="backslashreplace")
        if len(written) >= SLICE:
            break
    return bytes(written)
