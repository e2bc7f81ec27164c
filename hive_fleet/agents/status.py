"""How agents are now: what can be seen of each, together with what the database knows, as the faces show it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

from hive_agent import MANAGER, credentials
from hive_agent.clis import CLIS
from hive_core import progress, repairs
from hive_core.changes import InProgress
from hive_core.containers.base import Container
from hive_core.context import Hive
from hive_core.failed_repair import FailedRepair
from hive_core.human import ago, natural, shorter, span
from hive_core.progress import repair_of
from hive_core.steps import FAILED, Steps
from hive_core.text import one_line
from hive_core.wire import moment
from hive_fleet.agents import restarts, table
from hive_fleet.agents.ends import end_of
from hive_fleet.agents.observation import Observation, Observed, observe
from hive_fleet.flake import staleness

# States of a harness that call for action: its own text says which.
_EXPLAINED = ("idle", "no_program", "key_refused", "account_trouble")
# The most characters of a harness's text that fit in a list.
LONGEST_TEXT = 60


@dataclass(frozen=True, slots=True)
class StatusRow:
    """One agent as the host socket shows it: exactly these fields, in this order.

    deployed_sha: 12 digits. status_set_at: RFC 3339; present exactly when status_text is. url: of its page, while it
    runs and has one.
    """

    name: str
    running: bool
    failed: bool
    needs_update: bool
    needs_login: bool
    deployed_sha: str | None
    pending_reminders: int
    paused: bool
    parent: str | None
    active_model: str | None
    status_text: str | None
    status_set_at: str | None
    url: str | None


@dataclass(frozen=True, slots=True)
class AgentStatus(StatusRow):
    """One agent as it is now, with what only the shell and the page show. Moments are unix seconds.

    operation: what is being done to it, since operation_since. operation_step: the step that it is at, or was
    cut off at; operation_steps: all of them. cause: why it does not run, where it should.
    turn: what its harness says it is doing: idle, thinking, compacting, rate_limited (until turn_until), no_program,
    needs_login, key_refused or account_trouble (it tries again at turn_until). restart_at: when it is restarted after a
    crash. crash_loop: it has crashed so often in a row that the next try is hours away. repair: why an operation that
    was cut short could not be mended yet. unknown: true where only a container exists, and the database has no such
    agent.
    halted: stopped by `hive estop`, and started by `hive resume --all`.
    stuck_since: when its turn last made any progress, where that is too long ago.
    port_taken: its port, where another program serves it; there is no url then, as it would lead to that program.
    """

    operation: str | None
    operation_since: int | None
    operation_step: str | None
    operation_steps: Steps | None
    cause: str | None
    turn: str | None
    turn_until: int | None
    restart_at: int | None
    crash_loop: bool
    repair: str | None
    unknown: bool | None = None
    port_taken: int | None = None
    halted: bool | None = None
    stuck_since: int | None = None

    @property
    def state(self) -> str:
        """What is being done to it, else how it is; after a comma what happens next, or what the operator can do."""
        if self.operation:
            return self._in_progress()
        if self.unknown:
            return f"{'running' if self.running else 'stopped'}, not in the database"
        if self.running:
            return "running"
        if self.halted:
            return "halted, `hive resume --all`"
        if self.crash_loop:
            next_try = f", else in {span(self.restart_at - time.time())}" if self.restart_at is not None else ""
            return f"crash loop, `hive start {self.name}`{next_try}"
        if self.failed and self.restart_at is not None:
            left = self.restart_at - time.time()
            return f"failed, restart in {span(left)}" if left >= 0 else "failed, restart is due"
        return "failed" if self.failed else "stopped"

    def _in_progress(self) -> str:
        """The operation, and how far it is; of one that was cut off, that it is being mended."""
        if self.operation_step is None:
            return str(self.operation)
        cut_off = any(step.state == FAILED for step in self.operation_steps or ())
        return f"{self.operation} · {'mending after ' if cut_off else ''}{self.operation_step}"

    def text(self) -> str:
        """What happened to it, in a line."""
        return f"{self.name}: {self.state}" + (f" ({self.badges})" if self.badges else "")

    @property
    def badges(self) -> str:
        """What wants the operator's eye."""
        flags = {
            self._doing(): self.turn not in (None, "idle", "needs_login"),
            # The harness's own explanation: a turn has failed, its program is missing, its key was refused.
            shorter(one_line(self.status_text or "").rstrip("."), LONGEST_TEXT): self.turn in _EXPLAINED
            and bool(self.status_text),
            f"stuck for {ago(self.stuck_since or 0)}, `hive nudge {self.name}`": self.stuck_since is not None,
            "needs login": self.needs_login,
            "needs update": self.needs_update,
            "paused": self.paused,
            self.cause or "": bool(self.cause),
            "left half-done, `hive doctor`": bool(self.repair),
            f"port {self.port_taken} is another program's": self.port_taken is not None,
        }
        return ", ".join(word for word, shown in flags.items() if shown)

    def _doing(self) -> str:
        word = " until" if self.turn == "rate_limited" else ", next try at"
        until = time.strftime(f"{word} %H:%M:%S", time.localtime(self.turn_until)) if self.turn_until else ""
        return (self.turn or "").replace("_", " ") + until


def of_all(hive: Hive) -> list[AgentStatus]:
    """Every agent as it is now, the manager first, then by name, w2 before w10."""
    observation = observe(hive)
    with hive.store.read() as db:
        return as_observed(hive, db, observation)


def of(hive: Hive, name: str) -> AgentStatus:
    """One agent as it is now. Raises NotFound."""
    observation = observe(hive, [name])
    with hive.store.read() as db:
        table.one(db, name)
        return as_observed(hive, db, observation)[0]


def as_observed(hive: Hive, db: sqlite3.Connection, observation: Observation) -> list[AgentStatus]:
    """The observed agents together with what the database knows of them: the manager first, then by name.

    One that was destroyed meanwhile is left out.
    """
    running, failed = progress.all_in_progress(db), repairs.by_agent(hive, db)
    rows = [row for name in observation.agents if (row := table.find(db, name)) is not None]
    stale = _stale(db, rows, observation.base)
    rows.sort(key=lambda row: (row["name"] != MANAGER, natural(row["name"])))
    return [
        _view(row, observation.agents[name := row["name"]], running.get(name), failed.get(name, []), name in stale)
        for row in rows
    ]


def _stale(db: sqlite3.Connection, rows: Sequence[sqlite3.Row], newest: str | None) -> set[str]:
    """Which of these agents were built with another revision of hive, and are not about to be rebuilt."""
    found = {row["name"] for row in rows if None not in (row["hive_rev"], newest) and row["hive_rev"] != newest}
    return found - staleness.spared(db) if found else found


def _view(
    row: sqlite3.Row,
    seen: Observed,
    left: InProgress | None,
    failed: Sequence[FailedRepair],
    stale: bool,
) -> AgentStatus:
    container, name = seen.container, row["name"]
    # An operation that was cut short and cannot be mended is not in progress: the agent may crash like any other.
    doing = None if repair_of(name) in {repair.what for repair in failed} else left
    running = container is not None and container.running
    wanted = row["desired"] == "running"
    return AgentStatus(
        name=name,
        running=running,
        failed=wanted and not running and doing is None,
        needs_update=stale,
        needs_login=_needs_login(row, seen),
        deployed_sha=container.revision[:12] if container and container.revision else None,
        pending_reminders=0,
        paused=bool(row["paused"]),
        parent=row["parent"],
        active_model=row["active_model"],
        status_text=row["status_text"] or None,
        status_set_at=moment(row["status_set_at"] or 0) if row["status_text"] else None,
        url=_url(row, seen) if running else None,
        operation=doing.kind if doing else None,
        operation_since=int(doing.since) if doing else None,
        operation_step=doing.step.step if doing and doing.step else None,
        operation_steps=doing.steps if doing else None,
        cause=_cause(container, row) if wanted and not running else None,
        turn=row["state"] if running else None,
        turn_until=int(row["until"]) if running and row["until"] else None,
        restart_at=int(row["restart_at"]) if row["restart_at"] and wanted and not running else None,
        crash_loop=wanted and not running and doing is None and restarts.in_loop(row),
        repair=failed[0].error if failed else None,
        port_taken=seen.port if seen.taken else None,
        halted=True if row["halted"] else None,
        stuck_since=int(row["stuck_at"]) if running and row["stuck_at"] else None,
    )


def _url(row: sqlite3.Row, seen: Observed) -> str | None:
    """Where a running agent can be looked at: its harness has a page, a command of its own may have one or not."""
    has_page = row["runner"] != "command" or seen.serves
    return f"http://{seen.host}:{seen.port}/" if has_page and not seen.taken else None


def _cause(container: Container | None, row: sqlite3.Row) -> str | None:
    if container is None or container.ended is None:
        return None
    return end_of(container.ended, row["state"], None, 0.0).cause


def _needs_login(row: sqlite3.Row, seen: Observed) -> bool:
    """Whether a human must log the agent in before it can work: its harness says so, or its CLI has no credentials."""
    if row["runner"] not in CLIS:
        return False
    told = row["state"] == "needs_login"
    kind, found = CLIS[row["runner"]].credentials, seen.logins[row["runner"]]
    return told or credentials.means(kind, found, table.given_variables(row)) is None


def of_stray(container: Container) -> AgentStatus:
    """The status of a stray, of which only the container is known."""
    return AgentStatus(
        name=container.name,
        running=container.running,
        failed=False,
        needs_update=False,
        needs_login=False,
        deployed_sha=container.revision[:12] if container.revision else None,
        pending_reminders=0,
        paused=False,
        parent=None,
        active_model=None,
        status_text=None,
        status_set_at=None,
        url=None,
        operation=None,
        operation_since=None,
        operation_step=None,
        operation_steps=None,
        cause=None,
        turn=None,
        turn_until=None,
        restart_at=None,
        crash_loop=False,
        repair=None,
        unknown=True,
    )
