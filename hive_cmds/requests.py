"""Looking at requests before they are decided: the list, and one in full, with all that it changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_core.human import count
from hive_core.operation import LOOKING_AFTER, operation
from hive_core.text import indented, one_line
from hive_fleet.requests import beginnings, nix_remarks, queue, system_changes
from hive_fleet.requests.consequences import Consequence, Weight, consequences, gravest_first
from hive_fleet.requests.request import Request, RequestId

if TYPE_CHECKING:
    from hive_core.containers.config import AgentConfig
    from hive_core.git.changes import Authored
    from hive_core.git.repository import Repository

# The kinds of tags that a request for a commit leaves in the applied repository, in the order they are made.
_TAG_KINDS = ("proposal", "approved", "building", "deployed", "failed", "denied")
# How grave a consequence is, at a glance.
_SIGNS = {Weight.WIDENS: "+", Weight.NARROWS: "-", Weight.NEUTRAL: "~"}
COLUMNS = ("id", "agent", "kind", "sha", "status", "age", "description")


@operation(
    callers=LOOKING_AFTER,
    group="Approvals",
    columns=COLUMNS,
    reads=True,
    empty="No request waits for a decision. `hive approvals --all` shows the decided ones, `hive request-spawn NAME`"
    " makes one.",
    empty_all="There has been no request yet. `hive request-spawn NAME` asks for an agent.",
)
def approvals(hive: Hive, all: bool = False) -> list[Request]:
    """List the requests that wait for the operator's decision.

    all: also those that were decided
    """
    with hive.store.read() as db:
        return [Request.from_row(row) for row in (queue.every(db) if all else queue.waiting(db))]


@dataclass(frozen=True, slots=True)
class Shown:
    """A request in full.

    consequences: what it lets the agent reach, run or use up, the gravest first. beyond_text: what it changes that the
    diff does not make obvious. history: its tags, oldest first. commits: what it brings, newest first, at most 50.
    """

    approval: Request
    diff: str
    beyond_text: list[str]
    history: list[str]
    requested_by: str
    commits: list[Authored]
    consequences: list[Consequence]

    def text(self) -> str:
        """The request as a person reads it before deciding."""
        approval = self.approval
        parts = [approval.text(), f"asked at {approval.requested_at} by {self.requested_by}"]
        if approval.description:
            parts += ["", indented(approval.description)]
        if len(self.commits) == 1:
            # Several are listed beyond the text.
            only = self.commits[0]
            by = f"{one_line(only.author)} <{one_line(only.email)}>"
            parts += ["", f"commit {only.sha[:12]} by {by}", indented(only.message)]
        if self.history:
            parts += ["", "tags: " + ", ".join(self.history)]
        if self.consequences:
            told = [f"  {_SIGNS[one.weight]} {approval.agent} {one_line(one.text)}" for one in self.consequences]
            parts += ["", "consequences (+ widens, - narrows, ~ neither):", *told]
        if self.beyond_text:
            parts += ["", "beyond the text:", *(f"  ! {sentence}" for sentence in self.beyond_text)]
        if self.diff:
            parts += ["", self.diff.rstrip("\n")]
        return "\n".join(parts)


@operation(callers=LOOKING_AFTER, group="Approvals", reads=True)
def show(hive: Hive, id: RequestId) -> Shown:
    """Show a request in full: what it changes, also beyond the text, and what became of it.

    id: which request, as `hive approvals` prints it
    """
    with hive.store.read() as db:
        row = queue.require(db, id)
    approval = Request.from_row(row)
    path = hive.applied_path(approval.agent)
    if approval.kind == "spawn" and approval.status == "pending":
        return _to_be_made(hive, approval, row["requested_by"])
    if approval.fetched_sha is None or not path.exists():
        return Shown(approval, "", [], [], row["requested_by"], [], [])
    from hive_core import lookalikes
    from hive_core.git.repository import Repository

    repository = Repository(path)
    base = repository.main() if approval.status == "pending" else row["base_sha"]
    tags, commits = repository.tags(), repository.commits(base, approval.fetched_sha)
    diff = repository.diff(base, approval.fetched_sha)
    return Shown(
        approval,
        diff,
        [
            *([] if diff else ["No file changes."]),
            *_stale(repository, approval, base),
            *_denied(tags, commits, id),
            *repository.beyond_text(base, approval.fetched_sha),
            *(f"In the description {remark}." for remark in lookalikes.remarks(approval.description or "")),
        ],
        [tag for kind in _TAG_KINDS if (tag := f"{kind}/{id}") in tags],
        row["requested_by"],
        commits,
        gravest_first([*_consequences(repository, base, approval.fetched_sha), *_of_its_system(hive, approval, base)]),
    )


def _of_its_system(hive: Hive, approval: Request, base: str) -> list[Consequence]:
    """What it changes of the system that is evaluated; of what was decided nobody has to wait for that."""
    waits = approval.status == "pending" and approval.fetched_sha is not None
    return system_changes.of(hive, approval.agent, base, str(approval.fetched_sha)) if waits else []


def _to_be_made(hive: Hive, approval: Request, requested_by: str) -> Shown:
    """A request for an agent: its configuration as it would be made, and what that lets it reach, run or use up."""
    beginning = beginnings.of(hive, approval.agent)
    remarks = [] if beginning.remark is None else [beginning.remark]
    toml = beginning.files.get("agent.toml")
    told = [] if toml is None else _differences(None, toml)
    told += nix_remarks.remarks((path, None, data) for path, data in beginning.files.items() if path.endswith(".nix"))
    return Shown(approval, beginnings.as_diff(beginning.files), remarks, [], requested_by, [], gravest_first(told))


def _consequences(repository: Repository, before: str | None, after: str) -> list[Consequence]:
    """What the configurations of two commits differ in; of one that cannot be built, why; and what their Nix does."""
    old = None if before is None else repository.read(before, "agent.toml") or b""
    told = _differences(old, repository.read(after, "agent.toml") or b"")
    return told + nix_remarks.remarks(repository.changed(before, after, ".nix"))


def _differences(before: bytes | None, after: bytes) -> list[Consequence]:
    from hive_core.containers.config import parse

    def parsed(toml: bytes) -> AgentConfig:
        return parse(toml.decode(errors="replace"))

    try:
        new = parsed(after)
    except HiveError as error:
        return [Consequence("agent.toml", Weight.NEUTRAL, f"cannot be built with it: {error.message}")]
    try:
        old = None if before is None else parsed(before)
    except HiveError:
        old = None  # What is deployed was made with other rules: all of the new one is told.
    return consequences(old, new)


def _stale(repository: Repository, approval: Request, base: str) -> Iterator[str]:
    if approval.status == "pending" and not repository.is_fast_forward(base, str(approval.fetched_sha)):
        yield (
            f"Stale: {approval.agent} has moved to {base[:12]} since, which this commit does not contain. It cannot be"
            " approved, and the diff shows that move taken back."
        )


def _denied(tags: Mapping[str, str], commits: Sequence[Authored], id: int) -> Iterator[str]:
    """Which of the commits that a request brings were denied in others. Each can have been as often as one likes."""
    denials: dict[str, list[int]] = {}
    for tag, sha in tags.items():
        kind, _, number = tag.partition("/")
        if kind == "denied" and number.isdecimal() and int(number) != id:
            denials.setdefault(sha, []).append(int(number))
    for commit in commits:
        if others := sorted(denials.get(commit.sha, ())):
            more = f", and {count(len(others) - 1, 'time')} before" if len(others) > 1 else ""
            yield f"Commit {commit.sha[:12]} was denied as request {others[-1]}{more}."
