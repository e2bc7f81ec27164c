"""The meta flake: its lock says exactly what every agent runs, its log has one commit per successful deploy."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from hive_agent import MANAGER, atomic
from hive_core import wire
from hive_core.arguments import Kind
from hive_core.containers.base import Lock, Threaded
from hive_core.context import Hive
from hive_core.errors import Invalid, NotFound, Refused
from hive_core.events import emit, last_told
from hive_core.human import elapsed, natural
from hive_fleet.flake import flake, upstream
from hive_fleet.flake.flake import FLAKE, LOCK
from hive_fleet.home import ports

HIVE_INPUT = "hive"
# Of the lock, by the names of the inputs.
Entries = Mapping[str, dict[str, Any]]


class Input(NamedTuple):
    """One input of the lock. rev: its first 12 digits. last_modified: unix seconds. url: as it was asked for."""

    name: str
    rev: str
    last_modified: int
    url: str

    @property
    def age(self) -> float:
        """How long ago its commit was made, in seconds."""
        return elapsed(self.last_modified)


def agent_input(name: str) -> str:
    """The name of the input that is an agent's applied repository."""
    return f"agent-{name}"


def require_inputs(names: Sequence[str], update: Sequence[str]) -> None:
    """Raise NotFound when one of the inputs in `update` is not of the meta flake of these agents."""
    inputs = [HIVE_INPUT, *map(agent_input, sorted(names))]
    if unknown := [name for name in update if name not in inputs]:
        raise NotFound(f"The meta flake has no input {unknown[0]!r}.", f"It has: {', '.join(inputs)}.")


class Meta:
    """The meta repository, opened for a change that is committed whole or not at all.

    The caller holds the meta lock: six updates of one lock at once leave one of them (tried with nix).
    """

    def __init__(self, hive: Hive) -> None:
        self.hive = hive
        self.path = hive.settings.meta
        # Whether what lies here may be another than what is committed.
        self.staged = False

    def stage(self, names: Sequence[str], update: Sequence[str] = ()) -> None:
        """Write flake.nix for these agents and a lock in line with it; nothing is committed.

        update: inputs to move to their newest commits; every other entry of the lock stays as it is. Hive writes both
        itself: nix would copy each agent's tree into a store that every agent can read.
        """
        from hive_core.git.repository import Repository

        inputs = self._inputs(names, update)
        require_inputs(names, update)
        if not self.path.exists():
            empty = {FLAKE: flake.render({}, {}).encode(), LOCK: flake.lock_text({}).encode()}
            Repository.create(self.path, empty, "Begin the meta flake")
        self.staged = True
        atomic.write(self.path / FLAKE, self._text(inputs, names))
        before = flake.read_lock(self.path)
        kept = {name: node for name, node in before.items() if name not in update and _asks_for(node, inputs.get(name))}
        nodes = {name: kept.get(name) or self._newest(name) for name in inputs}
        atomic.write(self.path / LOCK, flake.lock_text(nodes))

    def is_settled(self, names: Sequence[str], agent: str, revision: str) -> bool:
        """Whether to stage these agents and this one's revision, and to commit it, would change nothing.

        This needs no lock: whoever changes it meanwhile knows of what was there.
        """
        if not all((self.path / file).is_file() for file in (FLAKE, LOCK)):
            return False
        committed = self._committed()
        if {file: (self.path / file).read_bytes() for file in (FLAKE, LOCK)} != committed:
            return False  # What lies there may be damaged; whoever opens it puts the committed one back.
        inputs, nodes = self._inputs(names, ()), flake.nodes_in(committed[LOCK])
        right = nodes.keys() == inputs.keys() and flake.rev_of(nodes, agent_input(agent)) == revision
        return right and committed[FLAKE].decode() == self._text(inputs, names)

    def _inputs(self, names: Sequence[str], update: Sequence[str]) -> dict[str, str]:
        """The inputs for these agents, with their urls."""
        agents = {agent_input(name): upstream.applied_url(self.hive, name) for name in sorted(names)}
        return {HIVE_INPUT: self._base_url(update), **agents}

    def _text(self, inputs: Mapping[str, str], names: Sequence[str]) -> str:
        return flake.render(inputs, {name: threaded(self.hive, name) for name in sorted(names)})

    def _committed(self) -> dict[str, bytes]:
        from hive_core.git.repository import Repository

        repository = Repository(self.path)
        main = repository.main()
        return {file: repository.read(main, file) or b"" for file in (FLAKE, LOCK)}

    def newest(self, inputs: Sequence[str]) -> Entries:
        """The lock's entries for the newest commits of these inputs."""
        return {name: self._newest(name) for name in inputs}

    def has(self, entries: Entries) -> bool:
        """Whether the committed lock has all of these."""
        nodes = flake.nodes_in(self._committed()[LOCK])
        return all(nodes.get(name) == entry for name, entry in entries.items())

    def put(self, names: Sequence[str], entries: Entries, update: Sequence[str] = ()) -> None:
        """As `stage`, with these entries in the lock for the inputs that there are; nothing is committed."""
        there = flake.read_lock(self.path)
        self.staged = True
        atomic.write(self.path / LOCK, flake.lock_text({**there, **{n: e for n, e in entries.items() if n in there}}))
        self.stage(names, update)

    def _base_url(self, update: Sequence[str]) -> str:
        """The url of the input `hive`: as it was locked, until that input itself is updated."""
        locked = flake.read_lock(self.path).get(HIVE_INPUT, {}).get("original")
        return upstream.of(self.hive).url if locked is None or HIVE_INPUT in update else flake.url_of(locked)

    def _newest(self, name: str) -> dict[str, Any]:
        """The lock's entry for the newest commit of an input."""
        hive = self.hive
        newest = upstream.of(hive) if name == HIVE_INPUT else upstream.applied(hive, name.removeprefix("agent-"))
        return flake.node(newest.url, newest.rev, newest.committed_at)

    def revision(self, name: str) -> str | None:
        """The full sha that the committed lock names for an input, or None."""
        if not self.path.exists():
            return None
        return flake.rev_of(flake.nodes_in(self._committed()[LOCK] or b"{}"), name)

    def commit(self, message: str) -> bool:
        """Commit flake.nix and flake.lock as they stand; returns whether anything had changed."""
        from hive_core.git.repository import Repository

        repository = Repository(self.path)
        changed = repository.is_dirty(LOCK) or repository.is_dirty(FLAKE)
        if changed:
            repository.commit({name: (self.path / name).read_bytes() for name in (FLAKE, LOCK)}, message)
        self.staged = False
        return changed

    def abort(self) -> None:
        """Put work tree and index back as they were committed, also after a process that died in a commit."""
        from hive_core.git.repository import Repository

        if self.path.exists():
            repository = Repository(self.path)
            main = repository.main()
            repository.move_main(main, main)
        self.staged = False


def _asks_for(node: dict[str, Any], url: str | None) -> bool:
    """Whether an entry of the lock is for this url."""
    return flake.url_of(node.get("original", {})) == url


@contextmanager
def opened(hive: Hive, purpose: str) -> Iterator[Meta]:
    """Hold the meta flake for a change: what the block did not commit is undone when it ends, however it ends.

    What a killed process left uncommitted is undone at the start.
    """
    with hive.meta_lock(purpose):
        meta = Meta(hive)
        meta.abort()
        try:
            yield meta
        finally:
            if meta.staged:
                meta.abort()


def rows(hive: Hive) -> list[Input]:
    """Every input of the lock: `hive` first, then the agents' by name."""
    nodes = flake.read_lock(hive.settings.meta)
    order = sorted(nodes, key=lambda name: (name != HIVE_INPUT, natural(name)))
    return [
        Input(
            name,
            (flake.rev_of(nodes, name) or "")[:12],
            int(nodes[name]["locked"].get("lastModified", 0)),
            flake.url_of(nodes[name].get("original", {})),
        )
        for name in order
    ]


def announce(hive: Hive, db: sqlite3.Connection) -> None:
    """Emit the whole list of inputs in the caller's transaction, if it is another than the one that was told last."""
    told = last_told(db, "meta_inputs_changed")
    now = wire.plain(rows(hive))
    if now != (told["inputs"] if told else []):
        emit(db, "meta_inputs_changed", inputs=now)


def current_base(hive: Hive) -> str | None:
    """The full rev of the input `hive` in the lock as it lies there: what an up-to-date agent was built with.

    None where there is none, or where the lock cannot be read: then nobody can be said to be out of date, and
    how the agents are is shown all the same. `hive inputs` says what is wrong with it.
    """
    try:
        return flake.rev_of(flake.read_lock(hive.settings.meta), HIVE_INPUT)
    except Refused:
        return None


def lock(hive: Hive, known: str | None = None) -> Lock:
    """What an agent is to be built and started with: the committed lock's revision of the input `hive`.

    known: what an agent was last built with; as long as the lock says the same no git library is loaded. Before
    there is a committed lock it is the one that lies there, or what would be locked. Raises Refused.
    """
    base, url = current_base(hive), _locked_url(hive)
    if base is None or base != known:
        base = Meta(hive).revision(HIVE_INPUT) or base
    if base is None:
        newest = upstream.of(hive)
        base, url = newest.rev, newest.url
    repositories = tuple(upstream.repositories(hive, url))
    return Lock(hive.settings.meta, base, repositories, partial(threaded, hive))


def lock_at(hive: Hive, base: str) -> Lock:
    """What an agent was built with, that was built with this revision of the input `hive`."""
    return lock(hive, base)._replace(hive=base)


def lock_with(hive: Hive, entries: Entries) -> Lock:
    """What an agent is to be built with, were these in the lock."""
    now, hives = lock(hive), entries.get(HIVE_INPUT)
    if hives is None:
        return now
    repositories = tuple(upstream.repositories(hive, flake.url_of(hives["original"])))
    return now._replace(hive=str(hives["locked"]["rev"]), repositories=repositories)


def threaded(hive: Hive, name: str) -> Threaded:
    """What is hive's to say of an agent's system; with settings that cannot be used, what holds without them."""
    pronouns = str(hive.settings.choices_or_defaults.values["pronouns"])
    return Threaded(ports.of(hive, name), pronouns, name == MANAGER)


def _locked_url(hive: Hive) -> str:
    try:
        return flake.url_of(flake.read_lock(hive.settings.meta).get(HIVE_INPUT, {}).get("original", {}))
    except Refused:
        return ""


def input_name(value: object) -> str:
    """Check the name of an input by its form; whether it exists is seen when the lock is read."""
    from hive_core.arguments import agent_name

    if value == HIVE_INPUT:
        return HIVE_INPUT
    if isinstance(value, str) and value.startswith("agent-"):
        return agent_input(agent_name(value.removeprefix("agent-")))
    raise Invalid(f"{ascii(value)[:80]} is no input.", "An input is `hive` or `agent-NAME`; see `hive inputs`.")


INPUT = Kind(input_name, {"type": "string"}, "INPUT", "inputs")
