"""Where the gate listens: who is let in, what is made with which owner, and what a service manager hands over."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from hive_core.caller import THE_OPERATOR, Identity, Role
from hive_core.containers.base import AGENT_USERS
from hive_core.context import Hive
from hive_core.errors import Refused
from hive_faces.gate import sockets
from hive_faces.gate.sockets import Listening, Peer, check_operator, identity_of, listen
from hive_fleet.agents import desired, table
from tests.hives import TestHive
from tests.needs import needs_root

pytestmark = pytest.mark.remembered

CODER = Identity(Role.AGENT, "coder")
HERE = os.geteuid()


@pytest.fixture
def inside(hive: TestHive) -> Hive:
    """A hive with a manager and an agent that are rows alone."""
    made = hive.inside()
    with made.store.write() as db:
        for number, name in enumerate(("manager", "coder")):
            uid = AGENT_USERS[number] if HERE == 0 else None
            table.add(db, name, uid=uid, desired=desired.STOPPED, created_at=1.0)
    return made


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def admits(identity: Identity, uid: int | None, peer: int) -> bool:
    with socket.socket(socket.AF_UNIX) as unused:
        return Listening(unused, identity, uid).admits(peer)


def test_the_user_that_hive_runs_as_is_let_in_everywhere() -> None:
    assert admits(THE_OPERATOR, None, HERE)
    assert admits(CODER, AGENT_USERS[5], HERE)


def test_the_operators_socket_lets_in_no_agents_user_whatever_the_mode_of_its_file() -> None:
    assert admits(THE_OPERATOR, None, 1000)
    assert not admits(THE_OPERATOR, None, AGENT_USERS[0])
    assert not admits(THE_OPERATOR, None, AGENT_USERS[-1])


def test_an_agents_socket_lets_in_its_own_user_and_no_other_agents() -> None:
    assert admits(CODER, AGENT_USERS[5], AGENT_USERS[5])
    assert not admits(CODER, AGENT_USERS[5], AGENT_USERS[6])
    # Where all agents are the user that hive runs as, nobody else is one.
    assert not admits(CODER, None, 1000 if HERE != 1000 else 1001)


def test_who_is_at_the_other_end_is_told_by_the_kernel() -> None:
    with pair() as (ours, _theirs):
        assert Peer.of(ours) == Peer(os.getpid(), HERE)


def test_a_program_of_the_machine_s_own_may_use_the_operators_socket(inside: Hive) -> None:
    with pair() as (ours, _theirs):
        check_operator(inside, ours, os.getpid())
        # One that is in no namespace below ours is in no container.
        check_operator(inside, ours, 0)


def test_who_has_ended_cannot_be_told_from_anybody_and_is_refused(inside: Hive, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        pid = os.fork()
        if pid == 0:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(tmp_path / "s"))
            os._exit(0)
        with server.accept()[0] as ours:
            os.waitpid(pid, 0)
            with pytest.raises(Refused, match="has ended, so nobody can tell who it was"):
                check_operator(inside, ours, pid)


def mode_of(path: Path) -> tuple[int, int]:
    status = path.stat()
    return stat.S_IMODE(status.st_mode), status.st_uid


@contextmanager
def listening(hive: Hive, given: dict[str, socket.socket] | None = None) -> Iterator[dict[str, Listening]]:
    opened = listen(hive, (), given if given is not None else {}).opened
    try:
        yield opened
    finally:
        for each in opened.values():
            each.socket.close()


def test_there_is_a_socket_for_the_operator_and_one_for_each_agent(inside: Hive) -> None:
    run = inside.settings.run
    with listening(inside) as opened:
        whose = {Path(path).relative_to(run).as_posix(): each.identity for path, each in opened.items()}
        assert whose == {
            "host.sock": THE_OPERATOR,
            "sockets/manager/agent.sock": Identity(Role.MANAGER, "manager"),
            "sockets/coder/agent.sock": CODER,
        }
        assert mode_of(run / "host.sock") == (0o660, HERE)
        for link in ("manager.sock", "agents/manager.sock"):
            assert (run / link).resolve() == run / "sockets/manager/agent.sock"
        assert (run / "agents/coder.sock").resolve() == run / "sockets/coder/agent.sock"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(run / "agents/coder.sock"))


@needs_root
def test_an_agents_socket_is_its_own_users_alone(inside: Hive) -> None:
    with listening(inside):
        for number, name in enumerate(("manager", "coder")):
            path = inside.settings.run / "sockets" / name / "agent.sock"
            assert mode_of(path) == (0o600, AGENT_USERS[number])


def test_what_is_listened_on_already_is_left_and_what_nobody_needs_is_named(inside: Hive) -> None:
    with listening(inside) as opened:
        assert listen(inside, opened.keys(), {}).opened == {}
        with inside.store.write() as db:
            table.remove(db, "coder")
        change = listen(inside, opened.keys(), {})
        assert (change.opened, [Path(path).parent.name for path in change.gone]) == ({}, ["coder"])
        assert not (inside.settings.run / "agents" / "coder.sock").is_symlink()


def test_whatever_lies_in_the_place_of_a_socket_is_replaced(inside: Hive) -> None:
    run = inside.settings.run
    run.mkdir(parents=True)
    (run / "host.sock").write_text("left over")
    (run / ".host.sock.new").write_text("of one that was killed")
    with listening(inside):
        assert stat.S_ISSOCK((run / "host.sock").stat().st_mode)
        assert not (run / ".host.sock.new").exists()


def test_a_socket_that_was_handed_over_is_used_as_it_is_and_closed_to_others(inside: Hive) -> None:
    path = inside.settings.run / "host.sock"
    path.parent.mkdir(parents=True)
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(str(path))
    path.chmod(0o666)
    before, given = identity_of(str(path)), {str(path): bound}
    with listening(inside, given) as opened:
        assert opened[str(path)].socket is bound
        assert identity_of(str(path)) == before
        assert mode_of(path)[0] == 0o660
        assert given == {}


def test_a_path_that_is_longer_than_an_address_can_be_listened_on(tmp_path: Path) -> None:
    place = tmp_path / ("x" * 90) / ("y" * 60) / "agent.sock"
    with sockets._bind(place, None) as bound:
        assert stat.S_ISSOCK(place.stat().st_mode)
        # Nobody gets in before it has the mode of whom it is for.
        assert stat.S_IMODE(place.stat().st_mode) == 0
        assert bound.getblocking() is False


def test_a_file_is_known_again_and_one_that_is_gone_is_none(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert identity_of(str(tmp_path / "a")) == identity_of(str(tmp_path / "a"))
    assert identity_of(str(tmp_path / "b")) is None


def in_a_child(what: Callable[[], object]) -> object:
    """What a forked process says."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            os.write(into, json.dumps(what()).encode())
        os._exit(0)
    os.close(into)
    with open(out, "rb") as said:
        text = said.read()
    os.waitpid(pid, 0)
    return json.loads(text)


def handed(count: str, meant_for: str | None = None) -> list[object]:
    os.environ["LISTEN_PID"] = str(os.getpid()) if meant_for is None else meant_for
    os.environ["LISTEN_FDS"] = count
    found = sockets.handed_over()
    again = sockets.handed_over()
    inheritable = [os.get_inheritable(each.fileno()) for each in found.values()]
    return [sorted(found), len(again), inheritable, sorted(name for name in os.environ if name.startswith("LISTEN_"))]


def test_what_a_service_manager_hands_over_is_taken_once_and_passed_on_to_nobody(tmp_path: Path) -> None:
    def child() -> object:
        for number, name in enumerate("ab"):
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(str(tmp_path / name))
                os.dup2(made.fileno(), 3 + number)
        return handed("2")

    assert in_a_child(child) == [[str(tmp_path / "a"), str(tmp_path / "b")], 0, [False, False], []]


@pytest.mark.parametrize(("count", "meant_for"), [("2", "1"), ("2", ""), ("", None), ("two", None), ("-1", None)])
def test_what_is_meant_for_another_or_is_no_number_is_left(count: str, meant_for: str | None) -> None:
    assert in_a_child(lambda: handed(count, meant_for)) == [[], 0, [], []]
