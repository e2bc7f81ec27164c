"""What a hostile agent sends its socket: it gets a sentence or is hung up on, and holds up nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import socket
import threading
from pathlib import Path

import pytest

from hive_cmds import approvals, inbox, messages, questions, requests
from hive_core.caller import Identity, Role
from hive_core.errors import HiveError, Refused
from hive_faces.gate import allowance as allowance_module
from hive_faces.gate.allowance import MOST, REFILL, Allowance
from hive_faces.gate.gate import beside
from hive_faces.gate.intake import MOST_HELD, Intake
from hive_fleet.messages.messages import MOST_IN_ANSWER
from tests.clients import Client
from tests.hives import TestHive, eventually

pytestmark = pytest.mark.remembered


@pytest.fixture
def gate(hive: TestHive) -> TestHive:
    """A hive with an agent, whose sockets are served."""
    hive.start("gate")
    eventually((hive.root / "run" / "host.sock").exists)
    hive.spawn("coder")
    eventually((hive.root / "run" / "agents" / "coder.sock").exists)
    return hive


def as_coder(gate: TestHive) -> Client:
    return Client(gate.root / "run" / "agents" / "coder.sock")


def test_an_odd_id_of_a_call_is_answered_and_the_connection_stays_usable(gate: TestHive) -> None:
    for number in (b"[" * 900 + b"]" * 900, b'{"a":1}', b"true", b"NaN", b"1e999", b"-1e999"):
        with as_coder(gate) as agent:
            agent.send(b'{"jsonrpc":"2.0","method":"ping","id":' + number + b"}\n")
            assert b"Infinity" not in agent.reader.readline(), number
            assert agent.ask("recent")["ok"] is True, number


def test_half_a_surrogate_pair_as_an_id_comes_back_as_it_was_sent(gate: TestHive) -> None:
    with as_coder(gate) as agent:
        agent.send(b'{"jsonrpc":"2.0","method":"ping","id":"\\ud800"}\n')
        assert agent.read() == {"jsonrpc": "2.0", "id": "\ud800", "result": {}}


def test_what_an_agent_sends_can_be_neither_nan_nor_deeper_than_can_be_read(gate: TestHive) -> None:
    with as_coder(gate) as agent:
        for argument in (b"NaN", b"[" * 950 + b"]" * 950, b"9" * 4000, b"9" * 5000):
            agent.send(b'{"cmd":"send","to":"operator","body":' + argument + b"}\n")
            assert agent.read()["ok"] is False


def test_an_agent_with_600_connections_locks_out_nobody(gate: TestHive) -> None:
    gate.spawn("other")
    other = gate.root / "run" / "agents" / "other.sock"
    eventually(other.exists)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(as_coder(gate)) for _ in range(600)]
        assert "Too many" in clients[-1].read()["error"]
        host = stack.enter_context(Client(gate.root / "run" / "host.sock"))
        neighbour = stack.enter_context(Client(other))
        assert host.ask("list")["ok"] is True
        assert neighbour.ask("recent")["ok"] is True


def test_an_agent_that_asks_for_much_and_reads_nothing_is_hung_up_on(gate: TestHive) -> None:
    sender = gate.inside().acting_as(Identity(Role.AGENT, "coder"))
    with sender.store.write():
        for _ in range(MOST_IN_ANSWER // (256 * 1024)):
            messages.send(sender, "coder", "x" * 256 * 1024)
    # Each answer is some 4 MiB.
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(as_coder(gate)) for _ in range(20)]
        for client in clients:
            client.send(b'{"cmd":"recent","limit":1000}\n')
        eventually(lambda: any(hung_up(client) for client in clients))
        host = stack.enter_context(Client(gate.root / "run" / "host.sock"))
        assert host.ask("list")["ok"] is True


def test_an_agent_that_hangs_up_on_many_answers_writes_nothing_on_the_operator_s_terminal(gate: TestHive) -> None:
    lists = json.dumps([{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}] * 8).encode() + b"\n"
    with as_coder(gate) as other:
        with as_coder(gate) as agent:
            # More calls than may be under way, whose answers wait for the first ones to be read.
            agent.send(lists * 200)
            agent.socket.recv(1)
            for _ in range(100):
                assert other.ask("recent")["ok"] is True
        assert other.ask("recent")["ok"] is True
    serving = gate.started[0]
    serving.terminate()
    assert "socket.send() raised" not in serving.communicate()[1]


def test_descriptors_that_an_agent_passes_are_not_kept(gate: TestHive) -> None:
    serving = Path(f"/proc/{gate.started[0].pid}/fd")
    with as_coder(gate) as agent:
        assert agent.ask("recent")["ok"] is True
        before = len(list(serving.iterdir()))
        for _ in range(20):
            socket.send_fds(agent.socket, [b'{"cmd":"recent"}\n'], [0] * 100)
            assert agent.read()["ok"] is True
        # A thread that answers opens the database for itself, and keeps it open.
        assert len(list(serving.iterdir())) < before + 100


def hung_up(client: Client) -> bool:
    client.socket.setblocking(False)
    try:
        client.socket.send(b"\n")
    except (BrokenPipeError, ConnectionResetError):
        return True
    except BlockingIOError:
        return False
    return False


def test_a_caller_s_lines_are_taken_in_as_far_as_there_is_room_and_each_in_the_end() -> None:
    line = b'"' + b"x" * (MOST_HELD // 3) + b'"'

    async def run() -> None:
        intake = Intake()
        first = await intake.take(line)
        await intake.take(line)
        third = asyncio.create_task(intake.take(line))
        broken = asyncio.create_task(intake.take(b"{" * len(line)))
        assert not (await asyncio.wait([third, broken], timeout=0.1))[0]
        await intake.leave(line)
        assert await third == first
        await intake.leave(line)
        with pytest.raises(ValueError, match="Expecting property name"):
            await broken
        # What was broken holds no room: there is some for two again.
        await intake.leave(line)
        await intake.take(line)
        await intake.take(line)

    asyncio.run(run())


def test_calls_that_carry_much_and_wait_do_not_fill_the_gate_s_memory(gate: TestHive) -> None:
    (pid,) = (process.pid for process in gate.started if "gate" in process.args)
    before = memory(pid)
    junk = b",".join([b"{}"] * 330_000)
    call = (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"recv","arguments":{"wait":60},"junk":[%s]}}'
    )
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(as_coder(gate)) for _ in range(8)]
        # Some are still sending when it is over.
        threads = [threading.Thread(target=send_on, args=(client, call % junk + b"\n")) for client in clients]
        for thread in threads:
            thread.start()
        host = stack.enter_context(Client(gate.root / "run" / "host.sock"))
        eventually(lambda: memory(pid) > before + 20 * MIB)
        assert host.ask("list")["ok"] is True
        assert memory(pid) < before + 120 * MIB
        for client in clients:
            client.socket.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


def send_on(client: Client, data: bytes) -> None:
    """Send for as long as somebody takes it."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, TimeoutError):
        client.send(data)


MIB = 1024 * 1024


def memory(pid: int) -> int:
    """Bytes that a process has in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_many_calls_at_once_are_all_answered(gate: TestHive) -> None:
    with as_coder(gate) as agent:
        for number in range(500):
            agent.send(json.dumps({"jsonrpc": "2.0", "method": "ping", "id": number}).encode() + b"\n")
        assert {agent.read()["id"] for _ in range(500)} == set(range(500))


def test_an_agent_can_ask_a_hundred_open_questions_and_no_more(gate: TestHive) -> None:
    with as_coder(gate) as agent:
        for _ in range(100):
            assert agent.ask("ask", question="why?")["ok"] is True
        assert "100 open questions" in agent.ask("ask", question="why?")["error"]
        assert agent.ask("cancel_question", id=1)["ok"] is True
        assert agent.ask("ask", question="why?")["ok"] is True


def test_questions_that_are_asked_and_cancelled_fill_an_inbox_only_so_far(hive: TestHive) -> None:
    inside = hive.inside()
    with inside.store.write() as db:
        for name in ("coder", "other"):
            db.execute("insert into agents (name, desired, created_at) values (?, 'stopped', 0)", (name,))
    agent = inside.acting_as(Identity(Role.AGENT, "coder"))
    for _ in range(250):
        questions.cancel_question(agent, questions.ask(agent, "why?", to="other").id)
    with pytest.raises(Refused, match="other has yet to read 250 questions of coder"):
        questions.ask(agent, "why?", to="other")
    inbox.recv(inside.acting_as(Identity(Role.AGENT, "other")), limit=1000)
    questions.ask(agent, "why?", to="other")


def test_the_manager_can_have_a_hundred_requests_wait_and_no_more(hive: TestHive) -> None:
    manager = hive.inside().acting_as(Identity(Role.MANAGER, "manager"))
    for number in range(100):
        approvals.request_spawn(manager, f"agent{number}")
    with pytest.raises(Refused, match="100 requests of manager wait"):
        approvals.request_spawn(manager, "more")
    assert hive.json("request-spawn", "operators")["status"] == "pending"


def test_what_fails_again_in_the_same_way_is_one_request_and_a_hundred_ways_a_day_are_the_most(hive: TestHive) -> None:
    hive.spawn("coder")
    inside = hive.inside()
    manager = inside.acting_as(Identity(Role.MANAGER, "manager"))
    for _ in range(3):
        with pytest.raises(HiveError):
            approvals.request_commit(manager, "coder", "0" * 40)
    assert [row.status for row in requests.approvals(inside, all=True)] == ["approved", "failed"]
    told = [json.loads(body)["event"] for body in hive.inbox("manager")]
    # The spawn's: what its own tool has answered it with, the manager is not told once more.
    assert told.count("approval_resolved") == 1
    assert len(hive.events("approval_resolved")) == 2
    for number in range(1, 100):
        with pytest.raises(HiveError):
            approvals.request_commit(manager, "coder", f"{number:040}")
    with pytest.raises(Refused, match="100 requests of manager have failed within a day") as refused:
        approvals.request_commit(manager, "coder", f"{100:040}")
    assert "Try again in 1440 minutes" in str(refused.value)
    assert len(requests.approvals(inside, all=True)) == 101


def test_who_takes_back_what_it_asks_for_again_and_again_can_do_so_a_hundred_times_a_day(hive: TestHive) -> None:
    inside = hive.inside()
    manager = inside.acting_as(Identity(Role.MANAGER, "manager"))
    for _ in range(100):
        approvals.cancel(manager, approvals.request_spawn(manager, "coder").id)
    with pytest.raises(Refused, match="100 requests of manager were taken back within a day") as refused:
        approvals.request_spawn(manager, "coder")
    assert "Try again in 1440 minutes" in str(refused.value)
    # What the operator denies, or takes back, is none of them.
    assert approvals.request_spawn(inside, "coder").status == "pending"


def test_a_request_for_what_is_deployed_already_leaves_nothing_however_often_it_is_made(hive: TestHive) -> None:
    hive.spawn("coder")
    main = hive.git("applied/coder", "rev-parse", "main")
    for _ in range(3):
        assert "deployed with already" in hive.run("request-commit", "coder", main, code=1).stderr
    assert [tag for tag in hive.git("applied/coder", "tag").split() if "proposal" in tag] == []
    assert len(hive.json("approvals", "--all")) == 1


def test_an_agent_can_fill_an_inbox_only_so_far_and_everybody_else_can_still_write_to_it(hive: TestHive) -> None:
    hive.spawn("coder")
    inside = hive.inside()
    with inside.store.write() as db:
        for name in ("other", "third", "fourth", "fifth", "last"):
            db.execute("insert into agents (name, desired, created_at) values (?, 'stopped', 0)", (name,))
    for name in ("coder", "other", "third", "fourth", "fifth"):
        sender = inside.acting_as(Identity(Role.AGENT, name))
        with inside.store.write():
            for _ in range(250):
                messages.send(sender, "coder", "x")
        with pytest.raises(Refused, match=f"coder has 250 unread messages of {name}"):
            messages.send(sender, "coder", "x")
    messages.send(inside.acting_as(Identity(Role.AGENT, "last")), "coder", "x")
    hive.run("send", "coder", "from the operator")


def test_what_is_received_at_once_is_bounded_by_its_size_and_the_rest_comes_next(hive: TestHive) -> None:
    hive.spawn("coder")
    agent = hive.inside().acting_as(Identity(Role.AGENT, "coder"))
    inbox.recv(agent, limit=1000)
    for _ in range(20):
        messages.send(agent, "coder", "x" * 256 * 1024)
    first, second = inbox.recv(agent, limit=1000), inbox.recv(agent, limit=1000)
    assert [len(first.messages), first.unread, len(second.messages), second.unread] == [16, 4, 4, 0]


def test_a_body_cannot_pass_for_a_message_of_somebody_elses(hive: TestHive) -> None:
    hive.spawn("coder")
    agent = hive.inside().acting_as(Identity(Role.AGENT, "coder"))
    messages.send(agent, "operator", "hi\n\n9: manager to operator\napprove 1 \u202e\u009b31m")
    printed = hive.run("recv", "--wait", "0").stdout
    assert "\n9: manager" not in printed
    assert "\n  | 9: manager to operator" in printed
    assert "\\u{202e}\\x9b31m" in printed


def test_a_description_cannot_pass_for_what_hive_says_of_a_request(hive: TestHive) -> None:
    hive.run("request-spawn", "coder", "--description", "fine\n\nbeyond the text:\n  ! nothing")
    assert "\nbeyond the text" not in hive.run("show", "1").stdout


def test_json_for_a_terminal_holds_no_escapes_and_means_the_same(hive: TestHive) -> None:
    hive.spawn("coder")
    agent = hive.inside().acting_as(Identity(Role.AGENT, "coder"))
    body = "\u202e\u2066é\U000e0041"
    messages.send(agent, "operator", body)
    printed = hive.run("recent", "--json").stdout
    assert "\u202e" not in printed
    assert "é" in printed
    assert body in [message["body"] for message in json.loads(printed)]


FLOODING = [f"flood{number}" for number in range(5)]


def test_agents_that_flood_with_slow_calls_hold_up_neither_another_nor_the_operator(hive: TestHive) -> None:
    inside = hive.inside()
    with inside.store.write() as db:
        for name in (*FLOODING, "quiet"):
            db.execute("insert into agents (name, desired, created_at) values (?, 'stopped', 0)", (name,))
    serving = hive.start("gate")
    sockets = {name: hive.root / "run" / "agents" / f"{name}.sock" for name in (*FLOODING, "quiet")}
    eventually(lambda: all(path.exists() for path in sockets.values()))
    with contextlib.ExitStack() as stack:
        quiet = stack.enter_context(Client(sockets["quiet"]))
        host = stack.enter_context(Client(hive.root / "run" / "host.sock"))
        assert quiet.ask("recent")["ok"] is host.ask("list")["ok"] is True
        before = threads_of(serving.pid)
        clients = [stack.enter_context(Client(sockets[name])) for name in FLOODING for _ in range(20)]
        # While the test holds the database, whoever writes waits, in its thread: what comes back came back meanwhile.
        with inside.store.write():
            for client in clients:
                client.send(b'{"cmd":"send","to":"operator","body":"x"}\n')
            eventually(lambda: threads_of(serving.pid) >= before + 2 * len(FLOODING))
            assert quiet.ask("recent")["ok"] is True
            assert host.ask("list")["ok"] is True
            assert threads_of(serving.pid) == before + 2 * len(FLOODING)
        assert all(client.read()["ok"] is True for client in clients)


def threads_of(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def test_a_status_that_says_nothing_new_and_an_ack_of_nothing_write_nothing(gate: TestHive) -> None:
    with as_coder(gate) as agent:
        agent.ask("recv", wait=0, limit=1000)
        agent.ask("ack")
        agent.ask("set_status", state="thinking", text="on it", model="large", until=2_000_000_000)
        with gate.inside().store.write():
            # Whoever writes now waits for the end of this block.
            told = agent.ask("set_status", state="thinking", text="on it", model="large", until=2_000_000_000)
            assert told["ok"] is True
            assert agent.ask("set_status", state="thinking", text="on it", until=2_000_000_000)["ok"] is True
            assert agent.ask("ack")["ok"] is agent.ask("nack")["ok"] is True
    assert gate.agent("coder")["active_model"] == "large"


def test_an_agent_that_writes_without_end_is_told_to_wait_can_still_read_and_others_can_write(
    hive: TestHive, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As many bytes as the gate begins with would be two hundred and fifty messages.
    most = 2 * MIB
    monkeypatch.setattr(allowance_module, "MOST", most)
    inside = hive.inside()
    with inside.store.write() as db:
        for name in ("coder", "other"):
            db.execute("insert into agents (name, desired, created_at) values (?, 'stopped', 0)", (name,))
    with beside(inside):
        eventually((hive.root / "run" / "agents" / "other.sock").exists)
        with as_coder(hive) as agent, Client(hive.root / "run" / "agents" / "other.sock") as other:
            for number in range(most // (256 * 1024) - 2):
                large = agent.ask("send", to="coder" if number % 2 else "other", body="x" * 256 * 1024)
                assert large["ok"] is True
            for _ in range(200):
                answer = agent.ask("send", to="operator", body="x" * 8 * 1024)
                if not answer["ok"]:
                    break
            assert "too fast" in answer["error"]
            assert "Try again in" in answer["error"]
            assert agent.ask("recent", limit=1)["ok"] is True
            assert agent.ask("set_status", state="thinking")["ok"] is True, "a harness waits, and is refused nothing"
            assert other.ask("send", to="operator", body="hi")["ok"] is True


def test_an_allowance_is_overdrawn_by_the_call_that_empties_it_and_paid_back_in_time() -> None:
    allowance = Allowance()
    allowance.spend(MOST - REFILL)
    assert allowance.seconds() == 0
    allowance.spend(10 * REFILL)
    assert 8 < allowance.seconds() <= 9


def test_a_change_that_took_long_is_followed_by_a_rest_of_many_times_as_long() -> None:
    allowance = Allowance()
    allowance.spend(10, allowance_module.MOMENT)
    assert allowance.rest() == 0
    allowance.spend(10, 10.0)
    allowance.spend(10, 10.0)
    assert 19 * allowance_module.REST < allowance.rest() <= 20 * allowance_module.REST


def test_changes_of_one_caller_that_take_long_are_not_begun_one_after_the_other(gate: TestHive) -> None:
    words = " ".join("".join(letters) for letters in itertools.product("abcdefghijklmnopqrstuvwxyz", repeat=3))
    with as_coder(gate) as agent:
        assert agent.ask("send", to="operator", body=words)["ok"] is True
        assert agent.ask("send", to="operator", body="short")["ok"] is True
    with gate.inside().store.read() as db:
        sent = [row["sent_at"] for row in db.execute("select sent_at from messages where sender = 'coder' order by id")]
    assert sent[1] - sent[0] > allowance_module.MOMENT * allowance_module.REST
