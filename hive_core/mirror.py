"""What a client knows of everything: the state as it was asked for once, and what each event since has made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hive_agent import MANAGER
from hive_core.client import Client
from hive_core.human import natural

Known = dict[str, Any]
WireEvent = Mapping[str, Any]

# What an event has beside the row it tells of. A diff is as long as it likes, and `show` tells it.
_AROUND = ("seq", "kind", "at", "diff")


class Mirror:
    """The state, brought up to date by each event that is followed.

    known: the state as it was followed so far, over another client; without it, it is asked for.
    """

    def __init__(self, client: Client, known: Known | None = None) -> None:
        self._client = client
        self.state: Known = client.call("state") if known is None else known

    def follow(self) -> Iterator[WireEvent]:
        """Every event that has changed the state, each after it has; a `resync` stands for a state asked for anew."""
        for event in self._client.events(self.state["seq"]):
            if event["kind"] == "resync":
                self.state = self._client.state()
            elif event["seq"] > self.state["seq"]:
                apply(self.state, event)
            elif event["kind"] != "heartbeat":
                # The state that was asked for last knows of it already.
                continue
            yield event


def apply(state: Known, event: WireEvent) -> None:
    """Make of the state what it is after an event, which is the next one or one that tells the state nothing."""
    if change := _CHANGES.get(event["kind"]):
        change(state, event)
    state["seq"] = event["seq"]


def _row(event: WireEvent) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in _AROUND}


def _put(rows: list[dict[str, Any]], row: dict[str, Any], key: str = "id") -> None:
    """Have a row in place of the one of the same key, or at the end."""
    rows[:] = [other for other in rows if other[key] != row[key]]
    rows.append(row)


def _take(rows: list[dict[str, Any]], key: str, value: object) -> dict[str, Any]:
    """Take the row of a key out; an empty one where there is none."""
    found = next((row for row in rows if row[key] == value), {})
    rows[:] = [row for row in rows if row is not found]
    return found


def _keep_newest(state: Known, rows: list[dict[str, Any]], *by: str) -> None:
    rows.sort(key=lambda row: tuple(row[name] for name in by))
    del rows[: -state["limits"]["rows"]]


def _sent(state: Known, event: WireEvent) -> None:
    body, most = event["body"], state["limits"]["characters"]
    row = {"id": event["id"], "from": event["from"], "to": event["to"], "body": body[:most], "length": len(body)}
    rows = state["system_messages" if event["from"] == "system" else "messages"]
    rows.append({**row, "at": event["at"], "deliveries": 0})
    _keep_newest(state, rows, "id")


def _delivered(state: Known, event: WireEvent) -> None:
    for row in (*state["messages"], *state["system_messages"]):
        if row["id"] == event["id"]:
            row["deliveries"] += 1


def _approval_added(state: Known, event: WireEvent) -> None:
    _put(state["approvals"], _row(event))
    state["approvals"].sort(key=lambda row: row["id"])


def _approval_resolved(state: Known, event: WireEvent) -> None:
    _take(state["approvals"], "id", event["id"])
    _put(state["decided"], _row(event))
    _keep_newest(state, state["decided"], "resolved_at", "id")


def _question_added(state: Known, event: WireEvent) -> None:
    _put(state["questions"], _row(event))


def _question_resolved(state: Known, event: WireEvent) -> None:
    asked = _take(state["questions"], "id", event["id"])
    _put(state["answered"], {**asked, **_row(event)})
    _keep_newest(state, state["answered"], "answered_at", "id")


def _transient_set(state: Known, event: WireEvent) -> None:
    _put(state["operations"], _row(event), "name")
    state["operations"].sort(key=lambda row: row["name"])


def _operation_step(state: Known, event: WireEvent) -> None:
    told = {name: event[name] for name in ("step", "state", "at")}
    for row in state["operations"]:
        if row["name"] == event["name"]:
            row["steps"] = [told if step["step"] == told["step"] else step for step in row["steps"]]


def _transient_cleared(state: Known, event: WireEvent) -> None:
    _take(state["operations"], "name", event["name"])


def _container_state_changed(state: Known, event: WireEvent) -> None:
    _put(state["agents"], dict(event["container"]), "name")
    state["agents"].sort(key=lambda row: (row["name"] != MANAGER, natural(row["name"])))


def _container_removed(state: Known, event: WireEvent) -> None:
    _take(state["agents"], "name", event["name"])


def _tombstones_changed(state: Known, event: WireEvent) -> None:
    state["tombstones"] = event["tombstones"]


def _meta_inputs_changed(state: Known, event: WireEvent) -> None:
    state["inputs"] = event["inputs"]


def _need_put(state: Known, event: WireEvent) -> None:
    _put(state["needs"], dict(event["need"]))
    state["needs"].sort(key=lambda row: (row["since"], row["id"]))


def _need_resolved(state: Known, event: WireEvent) -> None:
    _take(state["needs"], "id", event["need"]["id"])


def _halted(state: Known, event: WireEvent) -> None:
    state["halted_at"] = event["halted_at"]


def _resumed(state: Known, _event: WireEvent) -> None:
    state.pop("halted_at", None)


def _fan_out_changed(state: Known, event: WireEvent) -> None:
    rows = {row["agent"]: row for row in state["fan_out"] if row["agent"] not in event["gone"]}
    state["fan_out"] = list((rows | {row["agent"]: row for row in event["rows"]}).values())


_CHANGES: Mapping[str, Callable[[Known, WireEvent], None]] = {
    "sent": _sent,
    "delivered": _delivered,
    "approval_added": _approval_added,
    "approval_resolved": _approval_resolved,
    "question_added": _question_added,
    "question_resolved": _question_resolved,
    "transient_set": _transient_set,
    "operation_step": _operation_step,
    "transient_cleared": _transient_cleared,
    "container_state_changed": _container_state_changed,
    "container_removed": _container_removed,
    "tombstones_changed": _tombstones_changed,
    "meta_inputs_changed": _meta_inputs_changed,
    "halted": _halted,
    "resumed": _resumed,
    "fan_out_changed": _fan_out_changed,
    "need_added": _need_put,
    "need_changed": _need_put,
    "need_resolved": _need_resolved,
}
