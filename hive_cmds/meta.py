"""The meta flake: its lock says exactly what every agent runs, its log has one commit per successful deploy."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hive_core import wire
from hive_core.arguments import Kind
from hive_core.context import Hive
from hive_core.errors import Invalid, NotFound, Refused
from hive_core.events import emit
from hive_core.human import natural
from hive_core.operation import OPERATOR, operation

HIVE_INPUT = "hive"
LOCK, FLAKE = "flake.lock", "flake.nix"

_FLAKE = """\
# Written by hive from its agents; changes made here are lost at the next deploy.
{{
  inputs = {{
{inputs}
  }};

  # Every agent's configuration at exactly the revision that flake.lock names.
  outputs = {{ self, ... }}@inputs: {{
    agents = {{
{agents}
    }};
  }};
}}
"""


@dataclass(frozen=True, slots=True)
class Input:
    """One input of the lock. rev: its first 12 digits. last_modified: unix seconds. url: as it was asked for."""

    name: str
    rev: str
    last_modified: int
    url: str

    @property
    def age(self) -> float:
        """When it was committed, for a table to tell how long ago."""
        return float(self.last_modified)


def agent_input(name: str) -> str:
    """The name of the input that is an agent's applied repository."""
    return f"agent-{name}"


class Meta:
    """The meta repository, opened for a change that is committed whole or not at all.

    The caller holds the meta lock: six updates of one lock at once leave one of them (tried with nix).
    """

    def __init__(self, hive: Hive) -> None:
        self.hive = hive
        self.path = hive.settings.meta

    def stage(self, names: Sequence[str], update: Sequence[str] = ()) -> None:
        """Write flake.nix for these agents and a lock in line with it; nothing is committed.

        update: inputs to move to their newest commits; every other entry of the lock stays as it is. Where nix
        is installed nix writes the lock; where it is not, hive writes the same entries, which nix accepts.
        """
        from hive_core import nix
        from hive_core.git.repository import Repository

        inputs = {HIVE_INPUT: self._base_url(update)}
        inputs |= {agent_input(name): f"git+file://{self.hive.applied_path(name)}?ref=main" for name in sorted(names)}
        if unknown := [name for name in update if name not in inputs]:
            raise NotFound(f"The meta flake has no input {unknown[0]!r}.", f"It has: {', '.join(inputs)}.")
        if not self.path.exists():
            empty = {FLAKE: render({}).encode(), LOCK: _lock_text({}).encode()}
            Repository.create(self.path, empty, "Begin the meta flake")
        _write(self.path / FLAKE, render(inputs))
        tool = nix.installed(self.hive.settings.home / "cache")
        if tool is not None:
            tool.lock(self.path, update)
        else:
            self._write_lock(inputs, update)

    def _base_url(self, update: Sequence[str]) -> str:
        """The url of the input `hive`: as it was locked, until that input itself is updated."""
        original = _read_lock(self.path).get("nodes", {}).get(HIVE_INPUT, {}).get("original")
        from hive_cmds import source

        return self.hive.settings.flake or (
            source.of(self.hive).url if original is None or HIVE_INPUT in update else _url(original)
        )

    def revision(self, name: str) -> str | None:
        """The full sha that the committed lock names for an input, or None."""
        from hive_core.git.repository import Repository

        if not self.path.exists():
            return None
        repository = Repository(self.path)
        text = repository.read(repository.main(), LOCK)
        rev: str | None = _locked(json.loads(text or b"{}"), name).get("rev")
        return rev

    def commit(self, message: str) -> bool:
        """Commit flake.nix and flake.lock as they stand; returns whether anything had changed."""
        from hive_core.git.repository import Repository

        repository = Repository(self.path)
        if not (repository.is_dirty(LOCK) or repository.is_dirty(FLAKE)):
            return False
        changes = {name: (self.path / name).read_bytes() for name in (FLAKE, LOCK)}
        repository.commit(changes, message)
        return True

    def abort(self) -> None:
        """Put work tree and index back as they were committed, also after a process that died in a commit."""
        from hive_core.git.repository import Repository

        if self.path.exists():
            repository = Repository(self.path)
            main = repository.main()
            repository.move_main(main, main)

    def _write_lock(self, inputs: dict[str, str], update: Sequence[str]) -> None:
        before = _read_lock(self.path)
        nodes: dict[str, Any] = {}
        for name, url in inputs.items():
            old = before.get("nodes", {}).get(name)
            fresh = name in update or old is None or _url(old.get("original", {})) != url
            nodes[name] = _node(self.hive, name, url) if fresh else old
        _write(self.path / LOCK, _lock_text(nodes))


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
            meta.abort()


def render(inputs: dict[str, str]) -> str:
    """The text of flake.nix. None of the inputs is taken as a flake: an agent cannot bring inputs of its own."""
    from hive_core import nix

    lines = [f"    {nix.string(name)} = {{ url = {nix.string(url)}; flake = false; }};" for name, url in inputs.items()]
    agents = [
        f"      {nix.string(name.removeprefix('agent-'))} = inputs.{nix.string(name)};"
        for name in inputs
        if name != HIVE_INPUT
    ]
    return _FLAKE.format(inputs="\n".join(lines), agents="\n".join(agents))


def rows(hive: Hive) -> list[Input]:
    """Every input of the lock: `hive` first, then the agents' by name."""
    nodes = {name: node for name, node in _read_lock(hive.settings.meta).get("nodes", {}).items() if name != "root"}
    order = sorted(nodes, key=lambda name: (name != HIVE_INPUT, natural(name)))
    return [
        Input(
            name,
            str(nodes[name]["locked"].get("rev", ""))[:12],
            int(nodes[name]["locked"].get("lastModified", 0)),
            _url(nodes[name].get("original", {})),
        )
        for name in order
    ]


@operation(
    callers=OPERATOR,
    group="Meta",
    columns=("name", "rev", "age", "url"),
    empty="No inputs yet: they come with the first agent. `hive up` makes the manager, `hive spawn NAME` an agent.",
)
def inputs(hive: Hive) -> list[Input]:
    """List the inputs of the meta flake: what every agent is built from."""
    return rows(hive)


def announce(hive: Hive, db: sqlite3.Connection) -> None:
    """Emit the whole list of inputs in the caller's transaction, if it is another than the one that was told last."""
    told = db.execute("select data from events where kind = 'meta_inputs_changed' order by seq desc limit 1").fetchone()
    now = wire.plain(rows(hive))
    if now != (json.loads(told["data"])["inputs"] if told else []):
        emit(db, "meta_inputs_changed", inputs=now)


def current_base(hive: Hive) -> str | None:
    """The full rev of the input `hive` in the lock as it lies there: what an up-to-date agent was built with.

    None where there is none, or where the lock cannot be read: then nobody can be said to be out of date, and
    how the agents are is shown all the same. `hive inputs` says what is wrong with it.
    """
    try:
        lock = _read_lock(hive.settings.meta)
    except Refused:
        return None
    rev: str | None = _locked(lock, HIVE_INPUT).get("rev")
    return rev


def input_name(value: object) -> str:
    """Check the name of an input by its form; whether it exists is seen when the lock is read."""
    from hive_core.arguments import agent_name

    if value == HIVE_INPUT:
        return HIVE_INPUT
    if isinstance(value, str) and value.startswith("agent-"):
        return agent_input(agent_name(value.removeprefix("agent-")))
    raise Invalid(f"{ascii(value)[:80]} is no input.", "An input is `hive` or `agent-NAME`; see `hive inputs`.")


INPUT = Kind(input_name, {"type": "string"}, "INPUT")


def _read_lock(meta: Path) -> dict[str, Any]:
    """The lock as it lies there, {} where there is none. Raises Refused when it is damaged."""
    try:
        lock: dict[str, Any] = json.loads((meta / LOCK).read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Refused(
            f"{meta / LOCK} cannot be read: {error}.", "The next change of an agent puts the committed one back."
        ) from error
    return lock


def _locked(lock: dict[str, Any], name: str) -> dict[str, Any]:
    locked: dict[str, Any] = lock.get("nodes", {}).get(name, {}).get("locked", {})
    return locked


def _lock_text(nodes: dict[str, Any]) -> str:
    """A lock of version 7, byte for byte as nix writes one: sorted, two spaces, a line break at the end."""
    names = sorted(nodes)
    whole: dict[str, Any] = {name: nodes[name] for name in names}
    whole["root"] = {"inputs": {name: name for name in names}} if names else {}
    return json.dumps({"nodes": whole, "root": "root", "version": 7}, indent=2, sort_keys=True) + "\n"


def _node(hive: Hive, name: str, url: str) -> dict[str, Any]:
    """The lock's entry for the newest commit of a local git repository."""
    from hive_cmds import source

    newest = source.of(hive) if name == HIVE_INPUT else source.applied(hive, name.removeprefix("agent-"))
    original = _original(url)
    locked = {**original, "rev": newest.rev, "lastModified": newest.committed_at}
    return {"flake": False, "locked": locked, "original": original}


def _original(url: str) -> dict[str, str]:
    """A `git+file` url as the lock spells it."""
    base, _, query = url.removeprefix("git+").partition("?")
    return {"type": "git", "url": base, **dict(pair.split("=", 1) for pair in query.split("&") if "=" in pair)}


def _url(original: dict[str, Any]) -> str:
    """The url that `_original` took apart; whatever else nix may have written is shown as its parts."""
    if original.get("type") == "git" and str(original.get("url", "")).startswith("file:"):
        query = "&".join(f"{key}={original[key]}" for key in ("ref", "rev") if key in original)
        return f"git+{original['url']}" + (f"?{query}" if query else "")
    return str(original.get("url") or ":".join(str(value) for value in original.values()))


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text)
    temporary.replace(path)
