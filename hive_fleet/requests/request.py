"""A request and what became of it, as every face shows it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from hive_core.arguments import identity
from hive_core.human import elapsed
from hive_core.wire import moment

RequestId = Annotated[int, identity("requests")]
PendingId = Annotated[int, identity("pending requests")]


@dataclass(frozen=True, slots=True)
class Request:
    """One request and what became of it; the fields and their order are the wire's.

    kind: 'apply_commit' or 'spawn'. commit_ref: as it was asked for. fetched_sha: the object that counts.
    requested_at, resolved_at: RFC 3339 in UTC. status: pending, approved, denied or failed.
    """

    id: int
    agent: str
    kind: str
    commit_ref: str
    fetched_sha: str | None
    requested_at: str
    status: str
    resolved_at: str | None
    note: str | None
    description: str | None

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> Request:
        return cls(
            row["id"],
            row["agent"],
            row["kind"],
            row["commit_ref"],
            row["fetched_sha"],
            moment(row["requested_at"]),
            row["status"],
            None if row["resolved_at"] is None else moment(row["resolved_at"]),
            row["note"],
            row["description"],
        )

    def text(self) -> str:
        """The request in a line."""
        what = (
            f"commit {self.sha or self.commit_ref} for {self.agent}"
            if self.kind == "apply_commit"
            else f"spawn of {self.agent}"
        )
        return f"request {self.id} ({what}): {self.status}" + (f", {self.note}" if self.note else "")

    @property
    def sha(self) -> str:
        return (self.fetched_sha or "")[:12]

    @property
    def age(self) -> float:
        """How long ago it was made, in seconds."""
        return elapsed(datetime.fromisoformat(self.requested_at).timestamp())
