"""A gate that ends leaves no connection open, whenever its client came."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from hive_core.context import Hive
from hive_faces.gate import gate, sockets
from hive_fleet.home import folders
from tests.hives import TestHive, eventually

pytestmark = pytest.mark.remembered
RUNS, CALLERS = 8, 12


@contextmanager
def lost() -> Iterator[list[str]]:
    """What is found to have been left open, by whoever collects what nobody holds any more."""
    gc.collect()
    found: list[str] = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield found
        gc.collect()
        found += [str(each.message) for each in warned if issubclass(each.category, ResourceWarning)]


def answered(path: Path) -> bool:
    """Whether somebody answers there."""
    with socket.socket(socket.AF_UNIX) as caller, suppress(OSError):
        caller.connect(str(path))
        caller.sendall(b'{"cmd":"list"}\n')
        return bool(caller.recv(4096))
    return False


def test_who_comes_as_it_ends_is_hung_up_on_and_not_forgotten(hive: TestHive) -> None:
    path = hive.root / "run" / "host.sock"
    hive.home.mkdir()
    with lost() as found:
        for _ in range(RUNS):
            inside = hive.inside()
            with ExitStack() as open_now:
                callers = [open_now.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(CALLERS)]
                ending = threading.Event()

                def come(mine: list[socket.socket], ending: threading.Event) -> None:
                    ending.wait()
                    for caller in mine:
                        with suppress(OSError):
                            caller.connect(str(path))

                coming = [threading.Thread(target=come, args=(callers[n::3], ending)) for n in range(3)]
                with gate.beside(inside):
                    eventually(lambda: answered(path))
                    for thread in coming:
                        thread.start()
                    ending.set()
                for thread in coming:
                    thread.join()
                # One that was forgotten is closed by this, and found.
                gc.collect()
                for caller in callers:
                    # Hung up on, or never let in.
                    with suppress(OSError):
                        assert caller.recv(4096) == b""
            inside.store.close()
    assert found == []


def test_one_that_ends_as_it_begins_to_listen_leaves_no_socket_open(
    hive: TestHive, enlist: Callable[..., Hive]
) -> None:
    inside = enlist("coder", "tester")

    async def ended_after(rounds: int) -> None:
        running = asyncio.create_task(gate.Gate(inside).run())
        for _ in range(rounds):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    with lost() as found:
        for rounds in range(1, 12):
            asyncio.run(ended_after(rounds))
        inside.store.close()
    assert found == []


def test_where_one_socket_cannot_be_made_none_of_the_others_is_left_open(
    hive: TestHive, enlist: Callable[..., Hive]
) -> None:
    names = [f"agent{number}" for number in range(6)]
    inside = enlist(*names)
    path = inside.settings.run / "host.sock"
    # A folder cannot be replaced by a socket; in which order they are made nobody says.
    (folders.ensure_sockets(inside, names[0]) / "agent.sock").mkdir()
    with socket.socket(socket.AF_UNIX) as given:
        given.bind(str(path))
        handed_over = {str(path): given}
        with lost() as found, pytest.raises(IsADirectoryError):
            sockets.listen(inside, [], handed_over)
        assert found == []
        assert handed_over == {str(path): given}
        assert given.fileno() > 0
    inside.store.close()
