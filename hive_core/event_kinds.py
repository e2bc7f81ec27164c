"""The kinds of events: when each is told, and what it carries. docs/events.md is made from this table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class EventKind(NamedTuple):
    """One kind of event.

    tells: when it is told, as the end of "it is told when". fields: what each event of it carries beside `seq`, `kind`
    and `at`. optional: what it may carry beside them, and is null on a stream where it does not: clients of the
    modelled system read null. whole: whether it tells of something as a whole, so that the newest stands for all
    before it, and is kept for ever.
    """

    tells: str
    fields: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    whole: bool = False


_REQUEST = ("id", "agent", "approval_kind")

# The first twelve are what browsers and desktop clients of the modelled system know; all names are a contract.
EVENT_KINDS: Mapping[str, EventKind] = {
    "sent": EventKind("a message was written", ("from", "to", "body")),
    "delivered": EventKind("an agent took a message", ("from", "to", "body")),
    "approval_added": EventKind(
        "a request began to wait for the operator", _REQUEST, ("sha_short", "sha", "diff", "description")
    ),
    "approval_resolved": EventKind(
        "a request was approved, denied or cancelled, or has failed",
        (*_REQUEST, "status", "resolved_at"),
        ("sha_short", "sha", "note", "description"),
    ),
    "question_added": EventKind(
        "the operator was asked a question",
        ("id", "asker", "question", "options", "multi", "asked_at"),
        ("deadline_at",),
    ),
    "question_resolved": EventKind(
        "a question to the operator was answered, cancelled, or has expired",
        ("id", "answer", "answerer", "answered_at", "cancelled"),
    ),
    "transient_set": EventKind("an operation began on an agent", ("name", "transient_kind", "since_unix")),
    "transient_cleared": EventKind("an operation on an agent ended, however it did", ("name",)),
    "container_state_changed": EventKind("anything of what an agent's row shows is otherwise", ("container",)),
    "container_removed": EventKind("an agent is no longer there", ("name",)),
    "tombstones_changed": EventKind("a tombstone came or went; all that there are", ("tombstones",), whole=True),
    "meta_inputs_changed": EventKind("the lock of the meta flake moved; all its inputs", ("inputs",), whole=True),
    "operation_step": EventKind(
        "a step of an operation is waiting, doing, done, skipped or failed (`state`), since `at`",
        ("name", "transient_kind", "step", "state"),
    ),
    "fan_out_changed": EventKind(
        "agents are rebuilt one after the other: `ok` is null of one to come; `gone` are no longer among them",
        ("gone", "rows"),
    ),
    "spawned": EventKind("an agent was made, or has come back from its tombstone", ("agent",)),
    "rebuilt": EventKind("an agent was built again, or could not be: `note` says why", ("agent", "ok")),
    "started": EventKind("an agent was started", ("agent",)),
    "restarted": EventKind("an agent was restarted", ("agent",)),
    "killed": EventKind("an agent was killed", ("agent",)),
    "halted": EventKind("everything was stopped at once, these agents by it", ("agents", "halted_at")),
    "resumed": EventKind("what had stopped everything was lifted"),
    "destroyed": EventKind("an agent was destroyed; its state is kept", ("agent",)),
    "purged": EventKind("the state of an agent was removed for good", ("agent",)),
    # reason: exit, signal, out_of_memory, usage_limit, lost_login, account_trouble, supervisor_killed, machine_down,
    # restarted_outside or gone. lately: how many there were in the last hour.
    "container_crash": EventKind(
        "a container ended, and no operation was the cause", ("agent", "cause", "reason", "lately")
    ),
    "crash_loop": EventKind("an agent crashed so often that the next try is hours away", ("agent", "note")),
    "stuck": EventKind(
        "an agent makes no progress since `since`: in its turn, or with a message that it does not take",
        ("agent", "since", "note"),
    ),
    "nudged": EventKind("an agent was made to give up its turn, or was restarted for that (`how`)", ("agent", "how")),
    "needs_login": EventKind("an agent has no login any more, or none yet", ("agent",)),
    "logged_in": EventKind("an agent has a login again", ("agent",)),
    "needs_update": EventKind("a newer hive is there than the one that an agent was built with", ("agent",)),
    "recovered": EventKind(
        "what a dead process had left half-done was finished or undone", ("name", "transient_kind", "outcome")
    ),
    "repair_failed": EventKind(
        "what was left half-done could not be mended, for a reason not told yet; it is tried again",
        ("agent", "repair", "note"),
    ),
    "need_added": EventKind("something began to need the operator; the whole of it", ("need",)),
    "need_changed": EventKind("anything of that is otherwise, or it was acknowledged; the whole of it", ("need",)),
    "need_resolved": EventKind("it needs the operator no more; as it was last", ("need",)),
    "notified": EventKind("a service took a notification: of which needs", ("to", "needs")),
    "adopted": EventKind("a container that the database did not know was taken back", ("agent",)),
    "inbox_forgotten": EventKind("all that was ever sent to a name was removed", ("name",)),
    "vacuumed": EventKind("messages and questions that were old were removed: how many", ("messages", "questions")),
    "restored": EventKind("the database was taken from a backup", ()),
}
