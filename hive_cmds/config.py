"""What the operator has set: `$HIVE_HOME/hive.toml`, and what goes before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hive_core.choices import DEFAULT, FILE, KEYS, NEW_AGENTS, NOTIFY, SEED, Choices
from hive_core.context import Hive
from hive_core.operation import OPERATOR, operation


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as it holds. origin: `hive.toml, line 3`, a variable of the environment, or `default`."""

    key: str
    value: str | int | None
    origin: str


@operation(callers=OPERATOR, group="Seeing", columns=("key", "value", "origin"), empty="There are no settings.")
def config(hive: Hive) -> list[Setting]:
    """Show the settings that hold, and where each comes from: hive.toml, the environment, or a default."""
    from hive_core.toml_text import dumps

    chosen = hive.settings.choices
    hive.say(f"note: the file is {hive.settings.home / FILE}")
    if chosen.notify_error is not None:
        hive.say(f"warning: nobody is notified of anything. {chosen.notify_error}")
    rows = [Setting(key.name, chosen.values[key.name], chosen.origins[key.name]) for key in KEYS]
    for name, value in {**SEED, **chosen.new_agents}.items():
        shown = value if isinstance(value, str) else " ".join(dumps({name: value}).split())
        origin = chosen.origins.get(f"{NEW_AGENTS}.{name}", DEFAULT)
        rows.append(Setting(f"{NEW_AGENTS}.{name}", shown, origin))
    return [*rows, *_notify(chosen)]


def _notify(chosen: Choices) -> Iterator[Setting]:
    """Whom to notify of what. Of a service only its kind is shown: its URL is a key to it."""
    from hive_core import notify_toml
    from hive_core.toml_text import dumps

    for name, value in chosen.notify.items():
        origin = chosen.origins[f"{NOTIFY}.{name}"]
        if name == "services":
            for each, address in value.items():
                key = f"{NOTIFY}.{name}.{each}"
                yield Setting(key, notify_toml.scheme(address), chosen.origins[key])
        elif isinstance(value, dict):
            yield Setting(f"{NOTIFY}.{name}", ", ".join(dumps(value).split("\n")).strip(", "), origin)
        else:
            yield Setting(f"{NOTIFY}.{name}", ", ".join(value) if isinstance(value, list) else value, origin)
