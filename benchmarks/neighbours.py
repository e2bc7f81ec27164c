"""What a quiet agent's calls cost while others ask for all they can; beside Redis, whose clients share a loop, too."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import redis

from benchmarks.messages import redis_server
from benchmarks.table import Table, arguments, scratch, show, throw_away_hive
from hive_fleet.messages import messages
from tests.clients import Client
from tests.hives import TestHive, eventually

BODY = "x" * 1024
NOISY = [f"noisy{number}" for number in range(11)]

# Asks over so many connections for as long as it lives, each connection anew when its answer has come to its end. It
# says so when the first has come: from then on it presses on others.
_NOISE = """
import json, os, select, socket, sys
path, count, request, ending = json.loads(sys.stdin.readline())
request, ending = request.encode(), ending.encode()
poll, clients, tails, told = select.epoll(), {}, {}, False
for _ in range(count):
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    client.sendall(request)
    clients[client.fileno()] = client
    poll.register(client, select.EPOLLIN)
while True:
    for fd, _ in poll.poll():
        data = clients[fd].recv(1 << 20)
        if not data:
            sys.exit("hung up on")
        tails[fd] = (tails.get(fd, b"") + data)[-len(ending):]
        if tails[fd] == ending:
            tails[fd] = b""
            told = told or print("answered", flush=True) is None
            clients[fd].sendall(request)
"""


def main() -> None:
    # Messages that wait in a noisy agent's inbox: one answer is some 1.2 MB. And who reads them.
    options = arguments(__doc__ or "", rounds=200, waiting=1000, connections=30)
    load = options.waiting, options.connections
    with ExitStack() as held:
        folder = held.enter_context(scratch())
        (folder / "redis").mkdir()
        server = held.enter_context(redis_server(folder / "redis" / "r", "everysec"))
        hive = held.enter_context(throw_away_hive(folder / "h"))
        tables = [beside_redis(server, options.rounds, *load), *beside_hive(hive, options.rounds, *load)]
    show(tables, as_json=options.json)


def beside_redis(server: redis.Redis, rounds: int, waiting: int, connections: int) -> Table:
    table = Table("Redis: the first element of a list")
    server.rpush("inbox", *[BODY] * waiting)
    server.rpush("quiet", "x")
    socket = server.connection_pool.connection_kwargs["path"]
    request = f"LRANGE inbox 0 {waiting - 1}\r\nECHO done\r\n"
    measure(table, rounds, {"alone": []}, lambda: server.lindex("quiet", 0))
    noise = {f"beside {connections} connections that read {waiting}": [(socket, connections, request, "done\r\n")]}
    measure(table, rounds, noise, lambda: server.lindex("quiet", 0))
    return table


def beside_hive(hive: TestHive, rounds: int, waiting: int, connections: int) -> Iterator[Table]:
    run = fleet(hive, waiting)
    sockets = [str(run / "agents" / f"{name}.sock") for name in NOISY]
    many = json.dumps({"cmd": "recent", "limit": waiting})
    tool = call("tools/call", name="recent", arguments={"limit": waiting})
    taken = f"{json.dumps({'cmd': 'recv', 'wait': 0, 'limit': waiting})}\n{json.dumps({'cmd': 'nack'})}"
    kinds: dict[str, list[tuple[str, int, str, str]]] = {
        "alone": [],
        f"beside {connections} connections that read {waiting}": ask(sockets[:1], connections, many),
        "... as a tool": ask(sockets[1:2], connections, tool),
        "... that take them, and put them back": ask(sockets[2:3], connections, taken),
        "... that search": ask(sockets[3:4], connections, json.dumps({"cmd": "search", "words": "x*"})),
        "... that list tools": ask(sockets[4:5], connections, call("tools/list")),
        "... that send a megabyte of brackets": ask(sockets[5:6], connections, call("ping", junk=[{}] * 240_000)),
        f"beside 5 agents with {connections} that read {waiting}": ask(sockets[6:], connections, many),
    }
    with Client(run / "agents" / "quiet.sock") as quiet, Client(run / "host.sock") as host:
        calls: dict[str, Callable[[], object]] = {
            "hive: an agent reads its newest message": lambda: quiet.ask("recent", limit=1)["messages"],
            "hive: the operator writes to an agent": lambda: host.ask("send", to="quiet", body="x")["ids"],
        }
        for title, work in calls.items():
            table = Table(title)
            measure(table, rounds, kinds, work)
            yield table


def fleet(hive: TestHive, waiting: int) -> Path:
    """Serve the sockets of agents that do not run, some of them with much in their inboxes."""
    with hive.inside().store.write() as db:
        for name in (*NOISY, "quiet"):
            db.execute("insert into agents (name, desired, created_at) values (?, 'stopped', 0)", (name,))
        for name in NOISY:
            for _ in range(waiting):
                messages.post(db, "operator", name, BODY)
        messages.post(db, "operator", "quiet", "x")
    hive.start("gate")
    run = hive.root / "run"
    eventually(lambda: all((run / "agents" / f"{name}.sock").exists() for name in (*NOISY, "quiet")))
    return run


def call(method: str, **params: object) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})


def ask(sockets: list[str], connections: int, request: str) -> list[tuple[str, int, str, str]]:
    return [(path, connections, request + "\n", "}\n") for path in sockets]


def measure(
    table: Table,
    rounds: int,
    kinds: Mapping[str, list[tuple[str, int, str, str]]],
    work: Callable[[], object],
) -> None:
    """Time so many calls beside each kind of noise."""
    for name, noise in kinds.items():
        with making(noise):
            for _ in range(rounds):
                table.time(name, lambda: _true(work()))
                time.sleep(0.002)


@contextmanager
def making(noise: list[tuple[str, int, str, str]]) -> Iterator[None]:
    """Have it noisy for as long as the block runs."""
    argv = [sys.executable, "-c", _NOISE]
    processes = [subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in noise]
    try:
        for process, each in zip(processes, noise, strict=True):
            assert process.stdin
            process.stdin.write(json.dumps(each) + "\n")
            process.stdin.flush()
        for process in processes:
            assert process.stdout
            assert process.stdout.readline()
        yield
        assert all(process.poll() is None for process in processes), "the noise was hung up on"
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def _true(value: object) -> None:
    assert value


if __name__ == "__main__":
    main()
