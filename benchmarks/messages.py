"""Messages: how fast a parked receiver is woken, and how many messages pass, beside Redis and huey.

What an acknowledgement survives: hive's, a power cut, because every commit is synced; that of Redis with
`appendfsync always`, the same; with `everysec` a killed server, while a power cut takes the last second. What huey's
SqliteHuey has accepted survives a power cut too, but it has no acknowledgement: a task is gone from the queue when it
is taken, and what dies with its worker is lost.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import redis
from huey import SqliteHuey

from benchmarks.table import Table, arguments, scratch, show, throw_away_hive
from hive_cmds import inbox, messages
from hive_core.caller import Identity, Role
from tests.clients import Client
from tests.hives import CHECKOUT, PATIENCE, TestHive, eventually

# How many messages a sample of throughput passes.
BATCH = 200
BODY = "x" * 200

Pass = Callable[[int], None]


def main() -> None:
    options = arguments((__doc__ or "").splitlines()[0], rounds=30)
    wakes = Table("from a send in another process to the parked receiver")
    passed = Table(f"send, receive, acknowledge, one after the other, {len(BODY)} bytes", "messages per s")
    with ExitStack() as held:
        folder = held.enter_context(scratch())
        hive = held.enter_context(throw_away_hive(folder / "h"))
        servers = {rule: held.enter_context(redis_server(folder / rule, rule)) for rule in ("always", "everysec")}
        host, agent = held.enter_context(gate(hive))
        waking = {
            "Redis BLPOP": redis_wake(held, servers["always"]),
            "hive, agent's socket": hive_wake(held, hive, agent),
            "huey (sqlite), 10 ms poll": huey_wake(held, SqliteHuey(filename=str(folder / "huey-w.db"))),
        }
        for _ in range(options.rounds):
            for name, wake in waking.items():
                wakes.add(name, wake() * 1000)
        passing: dict[str, Pass] = {
            "Redis stream, appendfsync always": redis_pass(servers["always"]),
            "Redis stream, appendfsync everysec": redis_pass(servers["everysec"]),
            "huey (sqlite)": huey_pass(SqliteHuey(filename=str(folder / "huey-p.db"))),
            "hive, sockets": socket_pass(host, agent),
            "hive, in Python": direct_pass(hive),
        }
        # One round is for trying the script out.
        batch = BATCH if options.rounds > 1 else BATCH // 10
        for _ in range(max(1, options.rounds // 6)):
            for name, work in passing.items():
                begin = time.perf_counter()
                work(batch)
                passed.add(name, batch / (time.perf_counter() - begin))
    show([wakes, passed], as_json=options.json)


@contextmanager
def redis_server(folder: Path, rule: str) -> Iterator[redis.Redis]:
    """A Redis of our own on a socket, that appends to a file."""
    folder.mkdir()
    program = shutil.which("redis-server")
    assert program, "redis-server is not installed (apt-get install redis-server)"
    place = folder / "s"
    argv = [
        program,
        "--port",
        "0",
        "--unixsocket",
        place,
        "--dir",
        folder,
        "--appendonly",
        "yes",
        "--appendfsync",
        rule,
    ]
    process = subprocess.Popen([*map(str, argv), "--save", ""], stdout=subprocess.DEVNULL)
    try:
        eventually(place.exists)
        with redis.Redis(unix_socket_path=str(place)) as client:
            yield client
    finally:
        process.terminate()
        process.wait(PATIENCE)


@contextmanager
def gate(hive: TestHive) -> Iterator[tuple[Client, Client]]:
    """The operator's connection and an agent's; the agent itself does not run and takes nothing."""
    hive.spawn("coder")
    hive.run("kill", "coder")
    hive.start("gate")
    run = hive.root / "run"
    eventually((run / "host.sock").exists)
    eventually((run / "agents" / "coder.sock").exists)
    with Client(run / "host.sock") as host, Client(run / "agents" / "coder.sock") as agent:
        agent.ask("recv", wait=0, limit=1000)
        agent.ask("ack")
        yield host, agent


# --- waking. The sender is another process, which says when it began.

_SENDER = """
import sys, time
sys.path.insert(0, {root!r})
{setup}
for line in sys.stdin:
    began = time.monotonic()
    {send}
    print(began, flush=True)
"""


def sender(held: ExitStack, setup: str, send: str) -> Callable[[], float]:
    """A process that sends once each time the function returned is called, which returns when it began."""
    text = _SENDER.format(root=str(CHECKOUT), setup=setup, send=send)
    process = subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    # It ends with its input.
    held.callback(process.communicate)
    assert process.stdin
    assert process.stdout
    into, out = process.stdin, process.stdout

    def once() -> float:
        into.write("\n")
        into.flush()
        return float(out.readline())

    return once


def woken(send: Callable[[], float], receive: Callable[[], object]) -> float:
    """How many seconds lie between a send and the end of a receive that was waiting for it."""
    ended: list[float] = []
    parked = threading.Event()

    def wait() -> None:
        parked.set()
        assert receive()
        ended.append(time.monotonic())

    thread = threading.Thread(target=wait)
    thread.start()
    parked.wait()
    time.sleep(0.05)  # Nobody tells when a receiver of any of these is parked; this is long for all of them.
    began = send()
    thread.join(PATIENCE)
    return ended[0] - began


def hive_wake(held: ExitStack, hive: TestHive, agent: Client) -> Callable[[], float]:
    path = hive.root / "run" / "host.sock"
    setup = f"from pathlib import Path; from tests.clients import Client; host = Client(Path({str(path)!r}))"
    send = sender(held, setup, "host.ask('send', to='coder', body='x')")

    def once() -> float:
        taken = woken(send, lambda: agent.ask("recv", wait=60)["messages"])
        agent.ask("ack")
        return taken

    return once


def redis_wake(held: ExitStack, server: redis.Redis) -> Callable[[], float]:
    path = server.connection_pool.connection_kwargs["path"]
    setup = f"import redis; server = redis.Redis(unix_socket_path={path!r})"
    send = sender(held, setup, "server.rpush('inbox', 'x')")
    return lambda: woken(send, lambda: server.blpop("inbox", timeout=60))


def huey_wake(held: ExitStack, queue: SqliteHuey) -> Callable[[], float]:
    """huey's receivers poll; its consumer begins at 100 ms, here it is 10."""
    name = queue.storage.filename
    setup = f"from huey import SqliteHuey; queue = SqliteHuey(filename={name!r})"
    send = sender(held, setup, "queue.storage.enqueue(b'x')")

    def receive() -> object:
        while (taken := queue.storage.dequeue()) is None:
            time.sleep(0.01)
        return taken

    return lambda: woken(send, receive)


# --- passing


def socket_pass(host: Client, agent: Client) -> Pass:
    def work(count: int) -> None:
        for _ in range(count):
            host.ask("send", to="coder", body=BODY)
            assert agent.ask("recv", wait=0)["messages"]
            agent.ask("ack")

    return work


def direct_pass(hive: TestHive) -> Pass:
    operator = hive.inside()
    agent = operator.acting_as(Identity(Role.AGENT, "coder"))

    def work(count: int) -> None:
        for _ in range(count):
            messages.send(operator, "coder", BODY)
            assert inbox.recv(agent, 0).messages
            inbox.ack(agent)

    return work


def redis_pass(server: redis.Redis) -> Pass:
    server.xgroup_create("stream", "readers", mkstream=True)

    def work(count: int) -> None:
        for _ in range(count):
            server.xadd("stream", {"body": BODY})
            [(_, [(number, _)])] = server.xreadgroup("readers", "me", {"stream": ">"}, count=1)
            server.xack("stream", "readers", number)

    return work


def huey_pass(queue: SqliteHuey) -> Pass:
    body = json.dumps(BODY).encode()

    def work(count: int) -> None:
        for _ in range(count):
            queue.storage.enqueue(body)
            assert queue.storage.dequeue()

    return work


if __name__ == "__main__":
    main()
