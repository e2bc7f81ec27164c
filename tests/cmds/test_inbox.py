"""The inbox: each message taken once, in order, and put back when its turn died."""

from __future__ import annotations

import json
import random
import threading

from hive_cmds import inbox, messages
from hive_core.context import Hive
from hive_fleet.messages.messages import tell, tell_manager
from tests.hives import TestHive
from tests.mail import as_agent, bodies, inside

__all__ = ["inside"]


def test_a_message_is_handed_out_once_and_in_order(inside: Hive) -> None:
    for body in ("one", "two", "three"):
        messages.send(inside, "coder", body)
    coder = as_agent(inside, "coder")
    first = inbox.recv(coder)
    assert (bodies(first), first.unread) == (["one"], 2)
    assert bodies(inbox.recv(coder, limit=10)) == ["two", "three"]
    assert bodies(inbox.recv(coder)) == []


def test_many_receivers_of_one_inbox_take_each_message_once(hive: TestHive, inside: Hive) -> None:
    for number in range(200):
        messages.send(inside, "coder", str(number))
    taken: list[str] = []

    def take() -> None:
        coder = as_agent(hive.inside(), "coder")
        while found := bodies(inbox.recv(coder, limit=random.randint(1, 5))):
            taken.extend(found)

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken, key=int) == [str(number) for number in range(200)]


def test_what_was_acknowledged_never_comes_back_and_what_was_not_comes_marked(inside: Hive) -> None:
    coder = as_agent(inside, "coder")
    messages.send(inside, "coder", "done with")
    inbox.recv(coder)
    inbox.ack(coder)
    messages.send(inside, "coder", "died with")
    inbox.recv(coder)
    inbox.nack(coder)
    again = inbox.recv(coder, limit=10).messages
    assert [(message.body, message.redelivered) for message in again] == [("died with", True)]


def test_what_the_system_told_at_once_is_taken_at_once_and_nothing_else_with_it(inside: Hive) -> None:
    with inside.store.write() as db:
        tell_manager(inside, db, "approval_resolved", id=1)
        tell(inside, db, "rebuilt", "coder", ok=True)
    messages.send(inside, "manager", "hello")
    messages.send(inside, "manager", "hello again")
    with inside.store.write() as db:
        for number in range(inbox.MOST_TOGETHER + 1):
            tell(inside, db, "rebuilt", "coder", ok=True, note=str(number))
    manager = as_agent(inside, "manager")
    taken = [inbox.recv(manager, together=True) for _ in range(5)]
    assert [json.loads(body)["event"] for body in bodies(taken[0])] == ["approval_resolved", "rebuilt"]
    assert [bodies(one) for one in taken[1:3]] == [["hello"], ["hello again"]]
    assert [len(one.messages) for one in taken[3:]] == [inbox.MOST_TOGETHER, 1]
    assert len(inbox.recv(manager, together=True).messages) == 0
