"""Web ports: computed from the agent's name, then written down, and never changed after that."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, fields
from pathlib import Path

from hive_agent import MANAGER, atomic, untrusted_files
from hive_core.context import Hive
from hive_core.errors import Refused

# A port file is a number and a line break; a longer one is something else.
_LONGEST = 16


@dataclass(frozen=True, slots=True)
class Ports:
    """The operator's ports: the manager's, the status page's, and the range of the other agents'."""

    manager: int
    page: int
    first: int
    count: int


def chosen(hive: Hive) -> Ports:
    """The ports as they hold; those without a file where the operator's cannot be used."""
    values = hive.settings.choices_or_defaults.values
    return Ports(*(values[f"ports.{key.name}"] for key in fields(Ports)))


def hashed(name: str, ports: Ports) -> int:
    """FNV-1a (32 bit) of the name, folded into the agents' range; the manager's port is fixed."""
    if name == MANAGER:
        return ports.manager
    value = 0x811C9DC5
    for byte in name.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return ports.first + value % ports.count


def of(hive: Hive, name: str) -> int:
    """The port that an agent has, or would get by its name; writes nothing."""
    return _written(hive.agent_path(name)) or hashed(name, chosen(hive))


def settle_on(hive: Hive, name: str, *, new: bool) -> int:
    """The port of `name`, written down if it was not.

    A file wins. An agent that was deployed without one keeps the bare hash: its container may be bound to it
    already. A new one takes the next port that nobody else claims or serves; a full range warns and takes the hash.
    Raises Refused when a folder is in the file's way.
    """
    folder = hive.agent_path(name)
    port = _written(folder)
    if port is not None:
        return port
    port = _free(hive, name) if new and name != MANAGER else hashed(name, chosen(hive))
    try:
        atomic.write(folder / "port", f"{port}\n")
    except IsADirectoryError as error:
        raise Refused(f"{folder / 'port'} is a folder; the port of {name} belongs there.", "Remove it.") from error
    return port


def _free(hive: Hive, name: str) -> int:
    others = [path.name for path in hive.settings.agents.iterdir() if path.name != name]
    ports = chosen(hive)
    taken = {of(hive, other) for other in others} | {ports.manager, ports.page}
    bare = hashed(name, ports)
    for step in range(ports.count):
        port = ports.first + (bare - ports.first + step) % ports.count
        if port not in taken and not hive.host.port_in_use(port):
            return port
    hive.say(f"warning: all {ports.count} ports of agents are taken; {name} shares port {bare}")
    return bare


def _written(folder: Path) -> int | None:
    # The folder is hive's own; an agent can write only into folders beneath it.
    try:
        text = untrusted_files.read(folder / "port", _LONGEST)
    except OSError:
        return None
    digits = text.removeprefix(codecs.BOM_UTF8).strip()
    return int(digits) if digits.isdigit() and 0 < int(digits) < 65536 else None
