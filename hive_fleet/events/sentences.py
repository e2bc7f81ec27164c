"""Events as a person reads them: one short sentence for each kind, or none for what tells nobody anything new.

`--json` shows every event whole. What a person is told of one is decided here, by that event alone.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any

from hive_core.caller import THE_OPERATOR
from hive_core.events import Event
from hive_core.human import clock, shorter
from hive_core.text import one_line
from hive_fleet.messages.messages import SYSTEM

Data = Mapping[str, Any]
# Characters of what somebody wrote that a sentence quotes.
QUOTED = 100


def _quoted(text: object) -> str:
    return shorter(str(text), QUOTED)


def _after_colon(text: object) -> str:
    return f": {_quoted(text)}" if text else ""


def _sent(data: Data) -> str | None:
    # What the system tells an agent has an event of its own kind.
    return None if data["from"] == SYSTEM else f"message from {data['from']}{_after_colon(data['body'])}"


def _asked_for(data: Data) -> str:
    description = _after_colon(data.get("description"))
    if data["approval_kind"] == "spawn":
        return f"asked for (`hive approve {data['id']}`){description}"
    return f"commit {data.get('sha_short')} asked for (`hive show {data['id']}`){description}"


def _decided(data: Data) -> str:
    return f"request {data['id']} {data['status']}{_after_colon(data.get('note'))}"


def _question(data: Data) -> str:
    options = " / ".join(map(str, data["options"]))
    choice = f" [{_quoted(options)}]" if options else ""
    return f"question {data['id']} (`hive answer {data['id']} TEXT`): {_quoted(data['question'])}{choice}"


def _answered(data: Data) -> str:
    question, by = f"question {data['id']}", data["answerer"]
    if data["cancelled"]:
        return f"{question} cancelled by {by}"
    return f"{question} expired" if by == SYSTEM else f"{question} answered by {by}: {_quoted(data['answer'])}"


def _condition(data: Data) -> str:
    """How an agent is: running or not, and what wants the operator's eye."""
    row = data["container"]
    if row.get("running"):
        turn = str(row.get("turn") or "").replace("_", " ")
        flags = [word.replace("_", " ") for word in ("needs_login", "needs_update", "paused") if row.get(word)]
        return ", ".join(["running", *([] if turn in ("", "idle", "needs login") else [turn]), *flags])
    if row.get("crash_loop"):
        return "crash loop"
    # The crash has an event of its own, which says why.
    restart = f", restart at {clock(row['restart_at'])}" if row.get("restart_at") else ""
    return ("failed" if row.get("failed") else "stopped") + restart


def _at(word: str) -> Callable[[Data], str]:
    return lambda data: word + (f" at {str(data['sha'])[:12]}" if data.get("sha") else "")


def _rebuilt(data: Data) -> str:
    return _at("rebuilt")(data) if data.get("ok", True) else f"not rebuilt{_after_colon(data.get('note'))}"


def _recovered(data: Data) -> str:
    step = f", while {data['step']}" if data.get("step") else ""
    return f"mended, as a process died {data['transient_kind']} it{step}: {_quoted(data['outcome'])}"


# What no other event tells of.
_TOLD_BY_THE_NEED = ("no_program", "port_taken", "disk", "backup", "page_port", "settings", "notification")


def _need(data: Data) -> str | None:
    need = data["need"]
    return f"{need['text']} (`{need['command']}`)" if need["kind"] in _TOLD_BY_THE_NEED else None


def _always(sentence: str) -> Callable[[Data], str]:
    return lambda _data: sentence


def _nothing(_data: Data) -> None:
    return None


# One entry for every kind of event.
SENTENCES: Mapping[str, Callable[[Data], str | None]] = {
    "sent": _sent,
    "delivered": _nothing,
    "approval_added": _asked_for,
    "approval_resolved": _decided,
    "question_added": _question,
    "question_resolved": _answered,
    "transient_set": lambda data: f"{data['transient_kind']}…",
    "transient_cleared": _nothing,
    "operation_step": _nothing,
    "container_state_changed": _condition,
    "container_removed": _nothing,
    "tombstones_changed": _nothing,
    "meta_inputs_changed": _nothing,
    # Each rebuild has an event of its own.
    "fan_out_changed": _nothing,
    "spawned": _at("made"),
    "rebuilt": _rebuilt,
    # The change of state that follows says whether it runs, or has failed at once.
    "started": _nothing,
    "restarted": _always("restarted"),
    "killed": lambda data: str(data.get("note") or "killed"),
    "halted": _always("everything was stopped (`hive resume --all`)"),
    "resumed": _always("agents may start again"),
    "destroyed": lambda data: f"destroyed{' and ' + str(data['note']) if data.get('note') else ''}",
    "purged": _always("purged: its configuration, state, login and inbox are gone"),
    "container_crash": lambda data: f"crashed: {data['cause']} (`hive journal {data['agent']}`)",
    "crash_loop": lambda data: f"{data['note']} (`hive start {data['agent']}`)",
    "stuck": lambda data: f"{data['note']} (`hive nudge {data['agent']}`)",
    "nudged": lambda data: (
        "nudged" + (": restarted, as its harness did not answer" if data["how"] == "restart" else "")
    ),
    "needs_login": lambda data: f"needs login (`hive login {data['agent']}`)",
    "logged_in": _always("logged in"),
    "needs_update": _always("needs an update (`hive update --stale`)"),
    "recovered": _recovered,
    "repair_failed": lambda data: f"could not be mended, is tried again (`hive doctor`): {_quoted(data['note'])}",
    # What others follow from has an event of its own.
    "notified": lambda data: f"{data['to']} was notified: {_quoted(', '.join(data['needs']))}",
    "need_added": _need,
    "need_changed": _nothing,
    "need_resolved": _nothing,
    "adopted": _always("taken back into the database"),
    "inbox_forgotten": _nothing,
    "vacuumed": _nothing,
    "restored": _always("the database was taken from a backup"),
}


# The kinds that have no sentence, and the pattern of SQL for a `sent` that has none either: the system's.
SILENT = tuple(kind for kind, say in SENTENCES.items() if say is _nothing)
FROM_SYSTEM = f'{{"from":"{SYSTEM}",%'


class Tone(enum.StrEnum):
    """How much an event matters to the person who reads the feed."""

    ALARM = "alarm"  # Something is broken.
    WANTED = "wanted"  # Somebody waits for the operator.
    SAID = "said"  # People and agents have spoken or decided.
    ROUTINE = "routine"  # As it should go.


_ALARMS = ("container_crash", "crash_loop", "repair_failed", "halted", "stuck")
_SAID = ("sent", "approval_resolved", "question_added", "question_resolved", "needs_update")


def tone_of(event: Event) -> Tone:
    """How much an event matters. Its kind alone does not say: a rebuild is routine, one that failed is an alarm."""
    data, kind = event.data, event.kind
    failed = data.get("ok") is False or data.get("status") == "failed"
    condition = data.get("container", {}) if kind == "container_state_changed" else {}
    if kind in _ALARMS or failed or condition.get("failed") or condition.get("crash_loop"):
        return Tone.ALARM
    operator = THE_OPERATOR.name
    to_the_operator = kind == "sent" and data["to"] == operator and data["from"] != operator
    asked = kind == "question_added" and data.get("target", operator) == operator
    if kind in ("approval_added", "needs_login") or to_the_operator or asked:
        return Tone.WANTED
    return Tone.SAID if kind in _SAID else Tone.ROUTINE


def sentence(event: Event) -> str | None:
    """What an event says to a person, in a few words of one line, safe to print; None when it says nothing new."""
    said = SENTENCES[event.kind](event.data)
    return None if said is None else one_line(said)
