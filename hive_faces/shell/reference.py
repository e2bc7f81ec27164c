"""The generated parts of the docs: the command line, and which verb is whose. A test holds the files to this."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hive_core.caller import Role
from hive_core.choices import KEYS
from hive_core.event_kinds import EVENT_KINDS
from hive_core.operation import GROUPS, OPERATOR, Operation, Parameter
from hive_faces.verbs import aliases, command, everything


def ordered() -> list[Operation]:
    """Every operation, by group and verb."""
    return sorted(everything().values(), key=lambda operation: (GROUPS.index(operation.group), operation.verb))


def permissions() -> str:
    """The table of every verb and every caller."""
    lines = [
        "# Who may call what",
        "",
        "Generated from the declarations. A verb that a caller may not use does not exist for it: not on its socket,",
        "not as a tool. *tool* says whether a model is offered the verb, too. Login has no verb at all.",
        "",
        "| verb | operator | manager | agent | tool | where |",
        "|---|---|---|---|---|---|",
    ]
    for operation in ordered():
        marks = ["yes" if caller in operation.callers else "" for caller in Role]
        is_tool = operation.tool and not operation.shell_only and operation.callers - OPERATOR
        where = "shell" if operation.shell_only else "shell, socket" if operation.callers & OPERATOR else "socket"
        lines.append(f"| `{operation.verb}` | {' | '.join(marks)} | {'yes' if is_tool else ''} | {where} |")
    lines += [
        "",
        "## Their arguments on a socket",
        "",
        "The tool of a verb takes the same. *needed* has to be given, *yes* may be; an argument that is neither does",
        "not exist for that caller. What stands in brackets is another name that is taken, too.",
        "",
        "| `cmd` | argument | operator | manager | agent |",
        "|---|---|---|---|---|",
    ]
    for operation in ordered():
        if not operation.shell_only:
            lines += [_argument(operation, parameter) for parameter in operation.parameters if parameter.callers]
    return "\n".join(lines) + "\n"


def json_type(schema: Mapping[str, Any]) -> str:
    """The JSON type of an argument, or those that it may be of."""
    types = schema["type"]
    return " or ".join(types) if isinstance(types, list) else str(types)


def _argument(operation: Operation, parameter: Parameter) -> str:
    schema = parameter.kind.schema
    kind = f"one of {', '.join(schema['enum'])}" if "enum" in schema else json_type(schema)
    also = f" (`{parameter.also}`)" if parameter.also else ""
    text = f"`{parameter.name}`{also}: {f'list of {kind}' if parameter.many else kind}"
    marks = [_mark(operation, parameter, caller) for caller in Role]
    return f"| `{operation.name}` | {text} | {' | '.join(marks)} |"


def _mark(operation: Operation, parameter: Parameter, caller: Role) -> str:
    if caller not in operation.callers & parameter.callers:
        return ""
    return "needed" if parameter.needed(caller) else "yes"


def commands() -> str:
    """The command line's reference."""
    lines = [
        "# The command line",
        "",
        "Generated from the declarations. Every command takes `--help`, and every one that prints a result `--json`:",
        "an array for a listing, an object for one thing. What is told as it comes (`events`, `watch`, `up`, `attach`,",
        "`journal --follow`) is one JSON value on each line (NDJSON) and no array, whether it is followed or not.",
        "`-f` is short for `--follow`, `-n` for `--lines`.",
        "Exit codes: 0 done, 1 refused or failed, 2 usage, 3 a bug of hive's, 130 interrupted.",
    ]
    group = ""
    for operation in ordered():
        if not operation.callers & OPERATOR:
            continue
        if operation.group != group:
            group = operation.group
            lines += ["", f"## {group}"]
        lines += ["", *_command(operation)]
    return "\n".join(lines) + "\n"


def _command(operation: Operation) -> list[str]:
    shown = " ".join(["hive", command(operation), *(_usage(parameter) for parameter in operation.parameters)])
    yes = " [--yes]" if operation.confirm else ""
    rows = [f"- `{_name(parameter)}`: {parameter.help}" for parameter in operation.parameters if parameter.help]
    also = [f"`hive {word}` is the same." for word in aliases(operation)]
    said = " ".join([operation.summary, *also])
    return [f"### `{shown}{yes} [--json]`", "", said, *(["", *rows] if rows else [])]


def _name(parameter: Parameter) -> str:
    if parameter.positional:
        return parameter.kind.metavar + ("…" if parameter.many else "")
    return f"{parameter.flag} {parameter.kind.metavar}".strip()


def _usage(parameter: Parameter) -> str:
    several = parameter.many and not parameter.positional
    return _name(parameter) if parameter.required else f"[{_name(parameter)}]" + ("…" if several else "")


def settings() -> str:
    """The page of the operator's settings."""
    lines = [
        "# Settings",
        "",
        "Generated from the keys that hive knows. `$HIVE_HOME/hive.toml` holds what you want otherwise than by",
        "default. Every process reads it, whoever started it, and a change holds for what comes next: `hive up` need",
        "not be started again, an agent that runs has to be. `hive config` shows what holds and where it comes from.",
        "A variable of the environment goes before the file, for the one process that has it. With a file that cannot",
        "be used `list`, `kill`, `events`, `doctor` and whatever else has no need of it go on; the rest is refused",
        "with file, line and key. An error below `[notify]` costs the notifications alone.",
        "",
        "| key | default | environment | what it decides |",
        "|---|---|---|---|",
    ]
    for key in KEYS:
        default = "" if key.default is None else f"`{key.default}`"
        lines.append(f"| `{key.name}` | {default} | {f'`{key.variable}`' if key.variable else ''} | {key.about} |")
    return "\n".join(lines) + _NEW_AGENTS


_NEW_AGENTS = """
| `[notify]` | | | whom to notify of what, and when: [notifications](notifications.md) |
| `[new_agents]` | `runner = "claude"` | | what the `agent.toml` of a new agent begins with, the manager's too |

A new agent that has a configuration already keeps that. Below `[new_agents]` may stand what [an agent.toml](agent.md)
may hold:

```toml
pronouns = "they/them"

[clis]
claude = "/opt/claude/claude"

[new_agents]
model = "opus"

[new_agents.limits]
memory = "4G"
```
"""


def events() -> str:
    """The table of every kind of event."""
    lines = [
        "# Events",
        "",
        "Generated from the kinds that hive knows. Every change leaves one, in the transaction of the change itself;",
        "`hive events` shows them, and [every stream](sockets.md) sends them. Each carries `seq`, its place in the one",
        "order of everything, `kind`, and `at` in unix seconds. Some carry more; what stands in the last column is",
        "null on a stream where it is not known.",
        "",
        "| kind | it is told when | carries | or null |",
        "|---|---|---|---|",
    ]
    for name, kind in EVENT_KINDS.items():
        fields, optional = (" ".join(f"`{field}`" for field in some) for some in (kind.fields, kind.optional))
        lines.append(f"| `{name}` | {kind.tells} | {fields} | {optional} |")
    return "\n".join(lines) + "\n"


FILES: Mapping[str, Callable[[], str]] = {
    "docs/commands.md": commands,
    "docs/events.md": events,
    "docs/permissions.md": permissions,
    "docs/settings.md": settings,
}
