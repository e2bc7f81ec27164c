"""Taking back agents that a lost database knew: from git, which holds what was decided, and from their containers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hive_agent import MANAGER
from hive_core import progress
from hive_core.changes import Change, InProgress, Task, gone_on_with
from hive_core.context import Hive
from hive_core.errors import HiveError, Refused
from hive_core.events import emit
from hive_fleet.agents import desired, table, users
from hive_fleet.agents.last_seen import after_operation
from hive_fleet.agents.strays import all_strays
from hive_fleet.changes.building import build_deployed, built_with, deployed, is_lacking, switch_to_deployed
from hive_fleet.changes.locking import fleet
from hive_fleet.flake import meta
from hive_fleet.home import folders
from hive_fleet.messages.messages import kick
from hive_fleet.requests import tags

LOST = "taken back after hive had lost its database: messages, questions and spawn requests of before are gone"


@dataclass(frozen=True, slots=True)
class Adopted:
    """An agent that was to be taken back. error: why it was not, None when it was."""

    name: str
    ok: bool
    error: str | None


def adopt_all(hive: Hive) -> list[Adopted]:
    """Take back every agent that the database does not know, the manager first; one that fails stops no other."""
    strays = all_strays(hive)
    if strays:
        tags.number_on(hive)
    return take_back(hive, strays, LOST)


def take_back(hive: Hive, names: Iterable[str], why: str) -> list[Adopted]:
    """Have the database, git and the containers of these agents agree. why: what the agents are told of it."""
    return [_take_back(hive, name, why) for name in sorted(names, key=lambda name: (name != MANAGER, name))]


def _take_back(hive: Hive, name: str, why: str) -> Adopted:
    container = hive.host.container(name)
    running = container is not None and container.running
    try:
        # Nothing is begun that cannot come to an end.
        if not hive.applied_path(name).is_dir():
            raise Refused(f"{hive.applied_path(name)} is gone, too.", "`hive restore DIR` takes it from a backup.")
        with progress.held(hive, name, ADOPT.kind):
            progress.carry_out(hive, name, ADOPT, {"running": running, "why": why})
    except HiveError as error:
        hive.say(f"warning: {name} was not taken back: {error}")
        return Adopted(name, False, str(error))
    hive.say(f"{name} was taken back")
    return Adopted(name, True, None)


def _prepare(hive: Hive, doing: InProgress) -> None:
    _enlist(hive, doing.agent, doing.detail["running"])
    _agree(hive, doing.agent)


def _is_lacking(hive: Hive, doing: InProgress) -> bool:
    return is_lacking(hive, doing.agent, deployed(hive, doing.agent))


def _record(hive: Hive, doing: InProgress) -> None:
    name = doing.agent
    requests, record_build = tags.read(hive, name), built_with(hive, name, deployed(hive, name))
    with progress.concluding(hive, name) as db:
        record_build(db)
        tags.record(hive, db, name, requests)
        meta.announce(hive, db)
        if doing.detail["running"]:
            kick(db, name, doing.detail["why"])
        emit(db, "adopted", agent=name)


def _enlist(hive: Hive, name: str, running: bool) -> None:
    """Give the agent its row, where it has none, and its folders, where they are missing.

    What runs goes on running; what does not is started by nobody but `hive up`, and only if it was to run.
    """
    pool = hive.host.users()
    with hive.store.write() as db:
        row = table.find(db, name)
        if row is None:
            uid = users.allot(hive, db, name, pool)
            table.add(db, name, uid=uid, desired=desired.STOPPED, created_at=hive.clock())
        before = row["desired"] if row else desired.STOPPED
        state = desired.RUNNING if running else desired.RESTING if before == desired.RUNNING else before
        desired.record(db, name, state)
        known = table.users(db)
    folders.ensure(hive, name, known, new=False)


def _agree(hive: Hive, name: str) -> None:
    """Finish or undo a deploy that was cut short, by its tags alone: `main` is then what the agent is to run.

    As in a deploy, `deployed/<id>` on main makes everything new; without it main goes back to what the lock names.
    """
    from hive_core.git.repository import Repository

    repository, entry = Repository(hive.applied_path(name)), meta.agent_input(name)
    with meta.opened(hive, f"taking back {name}") as flake:
        main, locked = repository.main(), flake.revision(entry)
        tag = next((tag for tag, sha in repository.tags().items() if sha == main and tag.startswith("deployed/")), None)
        if locked not in (None, main) and tag is None and repository.resolve(str(locked)):
            repository.move_main(main, str(locked))
        elif locked != main:
            flake.stage(sorted({*fleet(hive, flake), *all_strays(hive), name}), [entry])
            flake.commit(f"deploy {name} {tag or 'taken back'} {main[:12]}")
        tags.untag_cut_short(repository)


# running: whether its container was, when this began. why: what the agent is told of it.
ADOPT = Change(
    f"{__name__}:ADOPT",
    "spawning",
    gone_on_with("taken back"),
    after_operation,
    (
        Task("preparing", _prepare),
        Task("building", build_deployed, _is_lacking),
        Task("switching", switch_to_deployed, _is_lacking),
        Task("recording", _record),
    ),
)
