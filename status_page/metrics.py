"""What a monitoring system is told: the fleet as it is now, and how the page itself does; Prometheus' text.

No label has a value that agents choose, so that none can make rows without end.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hive_core.caller import THE_OPERATOR
from hive_core.client import Client
from hive_core.errors import Refused
from hive_core.need_kinds import NEED_KINDS
from status_page.broadcaster import Broadcaster

if TYPE_CHECKING:
    from prometheus_client.core import Metric

KIND = "text/plain; version=0.0.4"
# Upper ends of the classes in which the seconds of answers are counted.
CLASSES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_NEEDS = ("needs_login", "needs_update", "crash_loop", "failed", "paused")


class Answers:
    """Counts the answers of the page, by their status' class and by the time that they took. For any thread."""

    def __init__(self) -> None:
        self._counting = threading.Lock()
        self._statuses: Counter[str] = Counter()
        self._classes = [0] * (len(CLASSES) + 1)
        self._seconds = 0.0

    def count(self, status: int, seconds: float) -> None:
        with self._counting:
            self._statuses[f"{status // 100}xx"] += 1
            self._classes[bisect_left(CLASSES, seconds)] += 1
            self._seconds += seconds

    def told(self) -> tuple[dict[str, int], list[int], float]:
        """So many of each class of status, so many of each class of time, and the seconds of all."""
        with self._counting:
            return dict(self._statuses), list(self._classes), self._seconds


class Metrics:
    """Tells everything that is counted, each time as it is then."""

    def __init__(self, client: Client, broadcaster: Broadcaster, answers: Answers) -> None:
        self._client, self._broadcaster, self._answers = client, broadcaster, answers

    def text(self) -> bytes:
        """Prometheus' text, also while nobody answers for hive."""
        from prometheus_client import generate_latest

        return bytes(generate_latest(self))

    def collect(self) -> Iterator[Metric]:
        try:
            state = self._client.call("state")
        except (OSError, Refused):
            state = None
        yield _gauge("hive_up", "Whether somebody answers for hive at the operator's socket", int(state is not None))
        if state is not None:
            yield from _of_the_fleet(state, time.time())
        yield from self._of_the_page()

    def _of_the_page(self) -> Iterator[Metric]:
        from prometheus_client.core import HistogramMetricFamily

        told = self._broadcaster.counted()
        if told.seq is not None:
            yield _counter("hive_page_events", "Events of hive's history, by the seq of the last one heard", told.seq)
        yield _gauge("hive_page_subscribers", "Open pages that follow the events", told.pages)
        yield _counter("hive_page_frames", "Events and signs of life that were handed to pages", told.frames)
        yield _counter("hive_page_hung_up", "Pages that were hung up on for reading too slowly", told.hung_up)
        statuses, classes, seconds = self._answers.told()
        answers = _counter("hive_page_answers", "Answers of the page", None, "status")
        for status, number in sorted(statuses.items()):
            answers.add_metric([status], number)
        yield answers
        histogram = HistogramMetricFamily("hive_page_answer_seconds", "Seconds until an answer was written")
        ends = [str(end) for end in CLASSES] + ["+Inf"]
        histogram.add_metric([], list(zip(ends, _sums(classes), strict=True)), seconds)
        yield histogram


def _of_the_fleet(state: Mapping[str, Any], now: float) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    yield _counter("hive_events", "Events of hive's history, by the seq of the newest", state["seq"])
    yield _gauge("hive_info", "The hive that answers", 1, version=state["version"])
    agents = GaugeMetricFamily("hive_agents", "Agents, by whether they run", labels=["state"])
    running = sum(1 for agent in state["agents"] if agent["running"])
    for word, number in (("running", running), ("stopped", len(state["agents"]) - running)):
        agents.add_metric([word], number)
    yield agents
    needs = GaugeMetricFamily("hive_agents_that_need", "Agents that need somebody, by what for", labels=["need"])
    for need in _NEEDS:
        needs.add_metric([need.removeprefix("needs_")], sum(1 for agent in state["agents"] if agent.get(need)))
    yield needs
    wanted = GaugeMetricFamily("hive_needs", "What needs the operator, and was not acknowledged", labels=["kind"])
    open_needs = [need for need in state["needs"] if not need.get("acknowledged_at")]
    for kind in NEED_KINDS:
        wanted.add_metric([kind], sum(1 for need in open_needs if need["kind"] == kind))
    yield wanted
    yield _gauge("hive_longest_need_seconds", "Age of the oldest of them", _oldest(open_needs, now))
    operations = GaugeMetricFamily("hive_operations", "Operations in progress, by what is done", labels=["operation"])
    for kind, number in sorted(Counter(row["transient_kind"] for row in state["operations"]).items()):
        operations.add_metric([kind], number)
    yield operations
    yield _gauge("hive_requests_waiting", "Requests that wait for the operator", len(state["approvals"]))
    yield _gauge("hive_questions_waiting", "Questions that wait for the operator", len(state["questions"]))
    unread = sum(1 for row in _told(state) if row["to"] != THE_OPERATOR.name and not row["deliveries"])
    yield _gauge(
        "hive_messages_unread", "Messages to agents that wait to be read, of the newest that are shown", unread
    )
    yield _gauge("hive_tombstones", "Destroyed agents whose state was kept", len(state["tombstones"]))


def _told(state: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The newest messages, of whoever said or told something."""
    yield from state["messages"]
    yield from state["system_messages"]


def _oldest(needs: list[dict[str, Any]], now: float) -> float:
    return max((now - need["since"] for need in needs), default=0.0)


def _gauge(name: str, about: str, value: float, **labels: str) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    found = GaugeMetricFamily(name, about, labels=list(labels))
    found.add_metric(list(labels.values()), value)
    return found


def _counter(name: str, about: str, value: float | None, *labels: str) -> Any:
    """A counter with a value, or with one yet to be added for each label's."""
    from prometheus_client.core import CounterMetricFamily

    found = CounterMetricFamily(name, about, labels=labels)
    if value is not None:
        found.add_metric([], value)
    return found


def _sums(numbers: list[int]) -> Iterator[int]:
    total = 0
    for number in numbers:
        total += number
        yield total
