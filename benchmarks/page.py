"""From an event to every open tab of the status page, beside gevent and aiohttp; and how soon it answers meanwhile.

Hive's events are messages that are sent over the operator's socket, synced to the disk before anybody is told; those of
the peers are lines that they pass on. No tab may miss an event or be told one twice, also of those that lose their
connection.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.table import Table, parser, scratch, show, throw_away_hive
from tests.agent.browser import Client, free_port
from tests.clients import Client as SocketClient
from tests.hives import CHECKOUT, PLAIN, eventually
from tests.status_page.near import follows

PEERS = ("gevent", "aiohttp")
# Tabs that have a stream open and never read of it, in one of the runs; seconds between two lost connections there.
STUCK, AGAIN = 50, 0.02
PER_SECOND = 100

Tell = Callable[[str], object]


def main() -> None:
    options_of = parser(__doc__ or "", rounds=300)
    options_of.add_argument("--tabs", type=int, nargs="+", help="how many tabs are open, in turn (200 1000)")
    options_of.add_argument("--seconds", type=float, default=10.0, help="how long events come (10)")
    options = options_of.parse_args()
    trying = options.rounds == 1
    seconds = 0.3 if trying else options.seconds
    tables = []
    with scratch() as folder, up(folder) as (client, tell):
        answers = Table("GET /api/state of the page")
        head = f"Authorization: Bearer {client.key}\r\n"
        for count in options.tabs or ((20,) if trying else (200, 1000)):
            table = Table(f"from an event to each of {count} tabs, {PER_SECOND} events a second")
            for name in PEERS:
                with peer(name) as (port, tell_peer):
                    run(table, name, tell_peer, {"port": port, "head": "", "tabs": count}, seconds)
            wanted = {"port": client.port, "head": head, "tabs": count}
            run(table, "hive up", tell, wanted, seconds)
            name = f"hive up, and {STUCK} that read nothing"
            run(table, name, tell, {**wanted, "stuck": STUCK, "again": AGAIN}, seconds)
            tables.append(table)
            answer(answers, "no tab is open", client, options.rounds)
            with open_tabs(wanted) as tabs:
                answer(answers, f"{count} tabs are open", client, options.rounds)
                close(tabs)
    show([*tables, answers], as_json=options.json)


@contextmanager
def up(folder: Path) -> Iterator[tuple[Client, Tell]]:
    """A hive that is up with its page: who has its link, and what sends a message."""
    with throw_away_hive(folder) as hive:
        hive.extra["HIVE_PAGE"] = "on"
        port = free_port()
        hive.home.mkdir(exist_ok=True)
        (hive.home / "hive.toml").write_text(f"[ports]\npage = {port}\n")
        hive.configure("manager", PLAIN)
        to_files = ["sh", "-c", f'exec "$@" >"{hive.root}/shown" 2>"{hive.root}/said"', "sh"]
        hive.start("up", program=[*to_files, sys.executable, str(CHECKOUT / "hive")])
        eventually(lambda: hive.forked("open").returncode == 0)
        client = Client(port, hive.run("open").stdout.strip().partition("#key=")[2])
        follows(client)
        with SocketClient(hive.root / "run" / "host.sock") as host:
            yield client, lambda text: host.ask("send", to="operator", body=text)


@contextmanager
def peer(name: str) -> Iterator[tuple[int, Tell]]:
    """A peer that serves, its port, and what has it tell something."""
    port = free_port()
    argv = [sys.executable, "-m", "benchmarks.page_peers", name, str(port)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, text=True, cwd=CHECKOUT)
    assert process.stdin is not None
    lines = process.stdin
    try:
        eventually(lambda: answers_there(port))
        yield port, lambda text: print(text, file=lines, flush=True)
    finally:
        process.kill()
        process.communicate()


def answers_there(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def open_tabs(wanted: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """So many tabs, each with its stream open."""
    argv = [sys.executable, "-m", "benchmarks.page_tabs"]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        print(json.dumps({"stuck": 0, "again": 0, "events": 0, **wanted}), file=process.stdin, flush=True)
        assert process.stdout.readline() == "open\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def close(tabs: subprocess.Popen[str]) -> dict[str, Any]:
    """What all the tabs have got, once that is all there is."""
    out, _ = tabs.communicate()
    return dict(json.loads(out))


def run(table: Table, name: str, tell: Tell, wanted: dict[str, Any], seconds: float) -> None:
    """Tell so many events to all the tabs, and add how long each took; none may be missing, and none come twice."""
    count = int(seconds * PER_SECOND)
    with open_tabs({**wanted, "events": count}) as tabs:
        begin = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, begin + number / PER_SECOND - time.monotonic()))
            tell(str(time.monotonic_ns()))
        found = close(tabs)
    wrong = [told for told in found["told"] if told != count]
    assert not wrong, f"{name}: {len(wrong)} tabs were told {min(wrong)} to {max(wrong)} of {count} events"
    assert not found["twice"], f"{name}: {found['twice']} events were told twice"
    for delay in found["delays"]:
        table.add(name, delay)


def answer(table: Table, name: str, client: Client, rounds: int) -> None:
    for _ in range(rounds):
        table.time(name, lambda: client.ask("GET", "/api/state"))


if __name__ == "__main__":
    main()
