"""Web ports: hashed from the name, written down, sticky, and never two the same while there are others.

The agent is called `porter` here, as nowhere else: agents of other tests, at the same time, serve the ports of theirs.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from hive_core.containers.local.listeners import listeners
from hive_fleet.checkup import agents
from hive_fleet.checkup.finding import Finding
from hive_fleet.home import ports
from tests.agent.browser import free_port
from tests.hives import TestHive, eventually
from tests.needs import needs_root

pytestmark = pytest.mark.remembered
RUNNING = pytest.mark.remembered(False)
# FNV-1a, 32 bit: from 2166136261, for each byte (hash ^ byte) * 16777619. These two hashes are test vectors of its
# authors (www.isthe.com/chongo/tech/comp/fnv).
BY_HAND = {"a": 8100 + 0xE40C292C % 900, "foobar": 8100 + 0xBF9CF968 % 900}

PORTS = ports.Ports(manager=8000, page=7000, first=8100, count=900)


@pytest.mark.parametrize(("name", "port"), BY_HAND.items())
def test_a_port_is_the_names_fnv_1a_hash_in_the_agents_range(name: str, port: int) -> None:
    assert ports.hashed(name, PORTS) == port


def test_the_first_step_of_the_hash_by_hand() -> None:
    # 0x811c9dc5 ^ 0x61 = 0x811c9da4; times 0x01000193, the lowest 32 bits = 0xe40c292c = 3826002220; % 900 = 520.
    assert ports.hashed("a", PORTS) == 8620


def test_every_port_is_in_the_range_and_every_port_can_be_had() -> None:
    found = {ports.hashed(f"agent{number}", PORTS) for number in range(20_000)}
    assert found == set(range(8100, 9000))


def test_the_managers_port_is_fixed() -> None:
    assert ports.hashed("manager", PORTS) == 8000


def port_file(hive: TestHive, name: str) -> Path:
    return hive.home / "agents" / name / "port"


def prepare(hive: TestHive, name: str, text: str) -> None:
    """Somebody who is no agent now, with a port of their own."""
    port_file(hive, name).parent.mkdir(parents=True)
    port_file(hive, name).write_text(text)


def url(port: int) -> str:
    return f"http://127.0.0.1:{port}/"


def shown(hive: TestHive) -> str:
    """Where a page of the agent would be, by its port."""
    return url(ports.of(hive.inside(), "porter"))


def alike(count: int) -> list[str]:
    """Names that hash to the port of `porter`."""
    return names_at(ports.hashed("porter", PORTS), count)


def names_at(port: int, count: int) -> list[str]:
    """The first names of their kind that hash to a port."""
    names = (f"agent{number}" for number in range(100_000))
    return list(islice((name for name in names if ports.hashed(name, PORTS) == port), count))


def test_a_new_agents_port_is_written_down_and_shown(hive: TestHive) -> None:
    hive.spawn("porter")
    assert port_file(hive, "porter").read_text() == f"{ports.hashed('porter', PORTS)}\n"
    assert shown(hive) == url(ports.hashed("porter", PORTS))


def test_a_port_that_is_written_down_wins_and_stays(hive: TestHive) -> None:
    hive.spawn("porter")
    port_file(hive, "porter").write_text("8999\n")
    for verb in ("restart", "rebuild", "stop", "start"):
        hive.run(verb, "porter")
        assert shown(hive) == url(8999)
    hive.run("destroy", "porter", "--yes")
    hive.run("spawn", "porter")
    assert shown(hive) == url(8999)


def test_a_byte_order_mark_before_the_number_is_no_part_of_it(hive: TestHive) -> None:
    port_file(hive, "porter").parent.mkdir(parents=True)
    port_file(hive, "porter").write_bytes(b"\xef\xbb\xbf8999\r\n")
    hive.spawn("porter")
    assert shown(hive) == url(8999)


@RUNNING
def test_the_agent_itself_is_told_its_port(hive: TestHive) -> None:
    prepare(hive, "porter", "8765")
    hive.spawn("porter", 'runner = "command"\ncommand = ["sh", "-c", "echo port $HIVE_PORT; exec sleep infinity"]\n')
    hive.run("stop", "porter")
    assert "port 8765" in hive.run("journal", "porter").stdout


def test_an_agent_that_was_deployed_without_a_port_keeps_the_bare_hash_and_it_is_written_down(hive: TestHive) -> None:
    hive.spawn("porter")
    first, second = alike(2)
    prepare(hive, first, f"{ports.hashed('porter', PORTS)}\n")
    hive.run("stop", "porter")
    port_file(hive, "porter").unlink()
    assert shown(hive) == url(ports.hashed("porter", PORTS))
    hive.run("start", "porter")
    assert port_file(hive, "porter").read_text() == f"{ports.hashed('porter', PORTS)}\n"
    hive.run("spawn", second, code=0)
    assert port_file(hive, second).read_text() == f"{ports.hashed('porter', PORTS) + 1}\n"


def test_a_new_agent_takes_the_next_port_that_nobody_claims(hive: TestHive) -> None:
    base = ports.hashed("porter", PORTS)
    first, second, third = alike(3)
    hive.spawn(first)
    prepare(hive, "gone", f"{base + 1}\n")
    hive.spawn(second)
    # One that has no file yet claims the port of its name.
    (hive.home / "agents" / third).mkdir()
    hive.spawn("porter")
    assert [port_file(hive, name).read_text() for name in (first, second, "porter")] == [
        f"{port}\n" for port in (base, base + 2, base + 3)
    ]


@RUNNING
def test_a_new_agent_passes_by_a_port_that_somebody_else_serves_and_an_old_one_keeps_its_own(hive: TestHive) -> None:
    base = ports.hashed("porter", PORTS)
    first, second = alike(2)
    hive.spawn(first)
    with socket.create_server(("127.0.0.1", base + 1)), socket.create_server(("127.0.0.1", base)):
        hive.spawn(second)
        hive.run("restart", first)
    assert [port_file(hive, name).read_text() for name in (first, second)] == [f"{base}\n", f"{base + 2}\n"]


def test_the_search_goes_on_at_the_beginning_of_the_range(hive: TestHive) -> None:
    last = names_at(8999, 2)
    for name in last:
        hive.spawn(name)
    assert [port_file(hive, name).read_text() for name in last] == ["8999\n", "8100\n"]


def test_a_full_range_warns_and_uses_the_hash(hive: TestHive) -> None:
    for port in range(8100, 9000):
        prepare(hive, f"taken{port}", f"{port}\n")
    hive.configure("porter", 'runner = "command"\ncommand = ["sleep", "infinity"]\n')
    told = hive.run("spawn", "porter").stderr
    assert f"all 900 ports of agents are taken; porter shares port {ports.hashed('porter', PORTS)}" in told
    assert shown(hive) == url(ports.hashed("porter", PORTS))


def a_link(path: Path) -> None:
    elsewhere = path.with_name("elsewhere")
    elsewhere.write_text("8123\n")
    path.symlink_to(elsewhere)


HARMS: dict[str, Callable[[Path], object]] = {
    "link": a_link,
    "dangling": lambda path: path.symlink_to("/nowhere"),
    "text": lambda path: path.write_text("http"),
    "empty": lambda path: path.write_text(""),
    "huge number": lambda path: path.write_text("8" * 100_000),
    "huge file": lambda path: path.write_text("8123" + " " * 100_000 + "9"),
    "too high": lambda path: path.write_text("65536"),
    "zero": lambda path: path.write_text("0"),
    "negative": lambda path: path.write_text("-8123"),
    "other digits": lambda path: path.write_text("８１２３"),
    "two lines": lambda path: path.write_text("8123\n8124\n"),
    "pipe": os.mkfifo,
}


def test_a_port_file_that_is_none_is_not_believed_and_is_replaced(hive: TestHive) -> None:
    hive.spawn("porter")
    for what, harm in HARMS.items():
        hive.run("stop", "porter")
        port_file(hive, "porter").unlink()
        harm(port_file(hive, "porter"))
        assert shown(hive) == url(ports.hashed("porter", PORTS)), what
        hive.run("start", "porter")
        assert port_file(hive, "porter").read_text() == f"{ports.hashed('porter', PORTS)}\n", what
        assert not port_file(hive, "porter").is_symlink(), what


def test_a_folder_in_the_place_of_the_port_file_is_told_and_hides_nobody(hive: TestHive) -> None:
    hive.spawn("porter")
    hive.run("stop", "porter")
    port_file(hive, "porter").unlink()
    port_file(hive, "porter").mkdir()
    assert shown(hive) == url(ports.hashed("porter", PORTS))
    assert "is a folder" in hive.run("start", "porter", code=1).stderr
    port_file(hive, "porter").rmdir()
    hive.run("start", "porter")
    assert port_file(hive, "porter").is_file()


def listening(port: int) -> socket.socket:
    """Another program, of this test's user, that serves a port."""
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind(("127.0.0.1", port))
    taken.listen()
    return taken


def examined(hive: TestHive) -> list[Finding]:
    """What the doctor finds of the ports."""
    return [found for check in agents.CHECKS if check.name == "ports" for found in check.findings(hive.inside())]


def with_a_port_of_its_own(hive: TestHive) -> int:
    """Give the agent that is yet to be made a port that no test beside this one serves."""
    port = free_port()
    port_file(hive, "porter").parent.mkdir(parents=True)
    port_file(hive, "porter").write_text(f"{port}\n")
    return port


@RUNNING
@needs_root
def test_a_port_that_another_program_serves_is_told_and_no_url_leads_there(hive: TestHive) -> None:
    port = with_a_port_of_its_own(hive)
    hive.spawn("porter")
    with listening(port):
        row = hive.agent("porter")
        assert (row.get("url"), row["port_taken"], row["running"]) == (None, port, True)
        assert f"port {port} is another program's" in hive.run("list").stdout
        hive.run("watch", "--once")
        shown = hive.events("container_state_changed")[-1]["container"]
        assert (shown.get("url"), shown["port_taken"]) == (None, port)
        (found,) = examined(hive)
        assert (found.ok, found.said) == (False, f"port {port} of porter is served by another program, of root")
        assert str(port_file(hive, "porter")) in found.todo
    assert [found.ok for found in examined(hive)] == [True]
    assert hive.agent("porter").get("port_taken") is None


@RUNNING
def test_who_serves_the_port_of_a_stopped_agent_is_another_program_whoever_it_is(hive: TestHive) -> None:
    port = with_a_port_of_its_own(hive)
    hive.spawn("porter")
    hive.run("stop", "porter")
    with listening(port):
        assert hive.agent("porter")["port_taken"] == port


@RUNNING
def test_an_agent_that_serves_its_own_port_is_nobody_else(hive: TestHive) -> None:
    serve = "import os, socket; s = socket.create_server(('127.0.0.1', int(os.environ['HIVE_PORT']))); s.accept()"
    port = with_a_port_of_its_own(hive)
    hive.spawn("porter", f'runner = "command"\ncommand = ["python3", "-c", "{serve}"]\n')
    eventually(lambda: listeners([port]).get(port))
    assert (hive.agent("porter")["url"], hive.agent("porter").get("port_taken")) == (url(port), None)


def test_a_url_is_told_of_who_has_a_page_while_it_runs(hive: TestHive) -> None:
    hive.run("spawn", "porter")
    hive.spawn("plain")
    assert [row.get("url") for row in hive.asked("list")] == [None, shown(hive)]
    hive.run("stop", "porter")
    assert hive.agent("porter").get("url") is None
    assert "http" not in hive.run("list").stdout
