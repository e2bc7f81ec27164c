"""What an agent that somebody asks for would begin with: kept, written for it by the operator, or the default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_fleet.home import folders

CONFIGURATION = ("agent.toml", "agent.nix", "flake.nix")


@dataclass(frozen=True, slots=True)
class Beginning:
    """A configuration to begin with. remark: where it comes from, when that is not the default; or why it is none."""

    files: Mapping[str, bytes]
    remark: str | None


def of(hive: Hive, name: str) -> Beginning:
    """What an agent of this name would begin with, were it made now."""
    applied, config = hive.applied_path(name), hive.agent_path(name) / "config"
    try:
        if applied.exists():
            return _kept(hive, name)
        if not config.exists():
            return Beginning(folders.default_config(hive, name), None)
        from hive_core.git.peek import checked_out

        return Beginning(checked_out(config, CONFIGURATION), f"It begins with the configuration that lies in {config}.")
    except (HiveError, OSError) as error:
        return Beginning({}, f"What it begins with cannot be read: {error}")


def _kept(hive: Hive, name: str) -> Beginning:
    from hive_core.git.repository import Repository

    repository = Repository(hive.applied_path(name))
    found = {path: repository.read(repository.main(), path) for path in CONFIGURATION}
    return Beginning(
        {path: data for path, data in found.items() if data is not None},
        f"Not a new agent: {name} was destroyed, and comes back with the configuration, state and login that were"
        " kept.",
    )


def as_diff(files: Mapping[str, bytes]) -> str:
    """These files as git shows those that come new."""
    return "".join(_new(path, data.decode(errors="replace")) for path, data in files.items() if data)


def _new(path: str, text: str) -> str:
    lines = text.removesuffix("\n").split("\n")
    head = f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n"
    return f"{head}@@ -0,0 +1,{len(lines)} @@\n" + "".join(f"+{line}\n" for line in lines)
