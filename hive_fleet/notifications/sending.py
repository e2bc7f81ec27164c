"""Notifications are written down as they become due, and sent; each service for itself, whatever becomes of another."""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_fleet.needs import needs
from hive_fleet.notifications import outbox
from hive_fleet.notifications.decisions import Clock, Decision, decide, fingerprint, is_again
from hive_fleet.notifications.delivery import deliver
from hive_fleet.notifications.rules import Service, Wishes, wishes
from hive_fleet.notifications.wording import Wording, message, row, test_message

# Seconds after which a service that says nothing has not taken what it was given. It may have all the same.
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Notification:
    """What became of a notification. name: of the service. ok: whether it was taken; detail: what of, or why not."""

    name: str
    ok: bool
    detail: str

    def text(self) -> str:
        """It in a line."""
        return f"{self.name}: {self.detail}"


def clock_of(hive: Hive) -> Clock:
    """The time now, where this machine is."""
    now = hive.clock()
    local = time.localtime(now)
    return Clock(now, local.tm_hour * 60 + local.tm_min + now % 60 / 60)


def due_at(hive: Hive) -> float | None:
    """When there is something to send, in unix seconds, as far as can be told now; None where nothing waits."""
    chosen, clock = wishes(hive.settings), clock_of(hive)
    found: list[float] = []
    with hive.store.read() as db:
        failing = outbox.failing(db) if chosen.services else {}
        for name in chosen.services:
            decision = _decision(db, chosen, name, clock)
            if decision.needs:
                # It is written down at once, and sent when the service is tried again.
                return clock.now
            if outbox.unsent(db, name):
                found.append(failing[name].due_at if name in failing else clock.now)
            if decision.next_at is not None:
                found.append(decision.next_at)
    return min(found, default=None)


def send_due(hive: Hive) -> list[Notification]:
    """Write down what is due, then send what each service has yet to take and is to be tried with now."""
    chosen = wishes(hive.settings)
    _write_down(hive, chosen)
    clock, given = clock_of(hive), {}
    with hive.store.read() as db:
        failing = outbox.failing(db)
        for name, service in chosen.services.items():
            unsent = outbox.unsent(db, name)
            if unsent and (name not in failing or failing[name].due_at <= clock.now):
                given[service] = unsent
    words = {service: _worded(notices, clock.now, chosen.link) for service, notices in given.items()}
    found = []
    for service, error in _delivered(words):
        with hive.store.write() as db:
            if error is None:
                outbox.taken(db, service.name, given[service], hive.clock())
            else:
                outbox.refused(db, service.name, error, hive.clock())
        found.append(Notification(service.name, error is None, error or words[service].title))
    return found


def send_test(hive: Hive) -> list[Notification]:
    """Send a message to every service, whatever the time and the limits. One that takes it is waited for no more."""
    chosen = wishes(hive.settings)
    words = dict.fromkeys(chosen.services.values(), test_message(hive.clock(), chosen.link))
    found = []
    for service, error in _delivered(words):
        if error is None:
            with hive.store.write() as db:
                outbox.works(db, service.name)
        found.append(Notification(service.name, error is None, error or "took it"))
    return found


def _decision(db: sqlite3.Connection, chosen: Wishes, name: str, clock: Clock) -> Decision:
    return decide(outbox.history(db, name, clock.now), needs.waiting(db), chosen, name, clock)


def _write_down(hive: Hive, chosen: Wishes) -> None:
    """From here on it is sent, whatever becomes of the need: nothing that was due is lost."""
    clock = clock_of(hive)
    with hive.store.write() as db:
        for name in chosen.services:
            before = outbox.history(db, name, clock.now)
            found = decide(before, needs.waiting(db), chosen, name, clock).needs
            rules = {need.id: chosen.rules[need.kind] for need in found}
            rows = [row(each, again=is_again(before, each, rules[each.id]), words=rules[each.id].words)
                    for each in found]  # fmt: skip
            if rows:
                contents = {need.id: fingerprint(need, rules[need.id]) for need in found}
                outbox.put(db, name, rows, contents, clock.now)
        outbox.forget(db, list(chosen.services), [need.id for need in needs.every(db)], clock.now)


def _worded(notices: Iterable[outbox.Notice], now: float, link: str | None) -> Wording:
    """All that a service has yet to take, in one message: of each need what was to be told last."""
    told = {each["id"]: each for notice in notices for each in notice.rows}
    return message(list(told.values()), min(notice.made_at for notice in notices), now, link)


def _delivered(words: Mapping[Service, Wording]) -> Iterator[tuple[Service, str | None]]:
    """Give each service its message, all at once; each as it ends, with the reason when it was not taken."""
    ended: queue.SimpleQueue[tuple[Service, str | None]] = queue.SimpleQueue()
    for service, each in words.items():
        # What hangs ends with the process.
        args = (service, each, ended)
        threading.Thread(target=_deliver, args=args, name=f"deliver to {service.name}", daemon=True).start()
    waiting, end = dict(words), time.monotonic() + PATIENCE
    while waiting:
        try:
            service, error = ended.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            break
        del waiting[service]
        yield service, error
    for service in waiting:
        yield service, f"it did not answer within {PATIENCE:g} seconds"


def _deliver(service: Service, given: Wording, ended: queue.SimpleQueue[tuple[Service, str | None]]) -> None:
    error: str | None = "it ended without a word"
    try:
        deliver(service, given)
        error = None
    except HiveError as refused:
        error = refused.message
    except OSError as refused:
        error = str(refused.strerror)
    finally:
        ended.put((service, error))
