"""What an argument may be: each kind checks itself at the door and describes itself to the faces."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, NamedTuple

from hive_core.errors import Invalid

RESERVED = ("operator", "manager", "system", "self", "*")
_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SHA = re.compile(r"[0-9a-f]{7,40}")


class Also(NamedTuple):
    """Beside the Kind of an argument: another name that sockets and tools take it by, the modelled system's."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """One kind of argument.

    parse: takes what a face was given (a string from a shell, any JSON value from a socket), returns the
    typed value or raises Invalid. schema: its JSON schema, for the MCP tools. metavar: its word in the help.
    offers: what a shell completes it with, a word of hive_faces/shell/completion.py, or FREE.
    """

    parse: Callable[[Any], Any]
    schema: Mapping[str, Any]
    metavar: str
    offers: str | None = None


# What only the caller can know: prose, a number, a name that is new.
FREE = "free"
# What stands in the schema.
CHOICES = "choices"


def agent_name(value: object) -> str:
    """Check the name of an agent that may exist: `[a-z][a-z0-9-]{0,62}`, not ending in `-`."""
    if value == "manager":
        return "manager"
    name = _string(value, "a name")
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"{_short(name)} is not a name of an agent.",
            "A name is 1 to 63 of a-z, 0-9 and '-', begins with a letter and does not end with '-'.",
        )
    if name in RESERVED:
        raise Invalid(f"{name!r} is a reserved name.", f"Reserved are: {', '.join(RESERVED)}.")
    return name


def new_agent_name(value: object) -> str:
    """Check the name of an agent to be made: as `agent_name`, and the manager is none of these."""
    if value == "manager":
        raise Invalid("'manager' is a reserved name: `hive up` makes the manager.")
    return agent_name(value)


def sha(value: object) -> str:
    """Check a commit's sha: 7 to 40 hex digits, never a branch or a tag."""
    given = _string(value, "a commit")
    text = given.lower()
    if not _SHA.fullmatch(text):
        raise Invalid(
            f"{_short(given)} is not the sha of a commit.",
            "Give 7 to 40 hex digits, as `git rev-parse HEAD` prints them; names of branches or tags are not taken.",
        )
    return text


def integer(least: int, most: int, what: str) -> Callable[[object], int]:
    """Make the check of a whole number from `least` to `most`."""

    def check(value: object) -> int:
        text = _spelt(value)
        if not isinstance(text, str) or not re.fullmatch(r"-?[0-9]{1,19}", text):
            raise Invalid(f"{_short(value)} is not {what}.", f"Give a whole number from {least} to {most}.")
        if not least <= int(text) <= most:
            raise Invalid(f"{what[0].upper()}{what[1:]} is from {least} to {most}, and {text} is not.")
        return int(text)

    return check


def _spelt(value: object) -> object:
    """A whole number as digits, however it was spelt: 3, 3.0, "3", "3.0"."""
    if isinstance(value, int) and not isinstance(value, bool):
        # Python writes no number of thousands of digits.
        return str(value) if abs(value) < 2**64 else value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return re.sub(r"\.0+$", "", value.strip()) if isinstance(value, str) and len(value) < 40 else value


def items(value: object, name: str) -> list[Any]:
    """The items of a list, which models now and then send as the JSON text of one."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        import json

        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = str(value)
    if not isinstance(value, (list, tuple)):
        raise Invalid(f"{name} is a list, and {_short(value)} is none.", 'A list is written ["one", "two"].')
    return list(value)


def require_json_type(value: object, schema: Mapping[str, Any], name: str) -> None:
    """Raises Invalid for a value that is of another JSON type than an argument's: "3" is no number, 1 is not true."""
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    # A bool is an int to Python, and no number to JSON.
    if {bool: "boolean", int: "integer", str: "string"}.get(type(value)) not in types:
        raise Invalid(f"{name} is of the JSON type {' or '.join(types)}, and {_short(value)} is not.")


def text(most: int, what: str, *, empty: bool = False) -> Callable[[object], str]:
    """Make the check of a text of at most `most` bytes in UTF-8 without control characters but line breaks and tabs."""

    def check(value: object) -> str:
        body = _string(value, what)
        size = len(body.encode("utf-8", "surrogatepass"))
        if size > most:
            raise Invalid(f"{what[0].upper()}{what[1:]} is {size} bytes long; at most {most} are taken.")
        if not empty and not body.strip():
            raise Invalid(f"{what[0].upper()}{what[1:]} is empty.")
        if found := _CONTROL.search(body):
            raise Invalid(
                f"{what[0].upper()}{what[1:]} holds the control character {found.group()!a}.",
                "Text may hold line breaks and tabs, but neither NUL nor terminal escapes.",
            )
        try:
            body.encode("utf-8")
        except UnicodeEncodeError as error:
            raise Invalid(f"{what[0].upper()}{what[1:]} is not valid UTF-8.") from error
        return body

    return check


def one_of(choices: tuple[str, ...], what: str) -> Callable[[object], str]:
    """Make the check of a word out of a few."""

    def check(value: object) -> str:
        if value not in choices:
            raise Invalid(f"{_short(value)} is not {what}.", f"It is one of: {', '.join(choices)}.")
        return str(value)

    return check


def flag(value: object) -> bool:
    """Check a yes or no: JSON true or false, or a form's 'true', 'false', 'on'."""
    words = {"true": True, "on": True, "1": True, "false": False, "": False, "0": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise Invalid(f"{_short(value)} is neither true nor false.")


def _string(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise Invalid(f"{_short(value)} is not {what}: a text is needed.")
    return value


def _short(value: object) -> str:
    shown = ascii(value)
    return shown if len(shown) <= 80 else f"{shown[:76]}..."


def whole(least: int, most: int, what: str, metavar: str) -> Kind:
    return Kind(integer(least, most, what), {"type": "integer", "minimum": least, "maximum": most}, metavar, FREE)


def words(most: int, what: str, metavar: str, *, empty: bool = False) -> Kind:
    return Kind(text(most, what, empty=empty), {"type": "string", "maxLength": most}, metavar, FREE)


def choice(choices: tuple[str, ...], what: str, metavar: str) -> Kind:
    return Kind(one_of(choices, what), {"type": "string", "enum": list(choices)}, metavar, CHOICES)


def identity(offers: str) -> Kind:
    """The id of something that is there; offers: of what."""
    return replace(whole(1, 2**63 - 1, "an id", "ID"), offers=offers)


def named(parse: Callable[[object], str], offers: str) -> Kind:
    """The name of an agent; offers: of which."""
    return Kind(parse, {"type": "string", "pattern": f"^{_NAME.pattern}$"}, "NAME", offers)


FLAG = Kind(flag, {"type": "boolean"}, "", FREE)

AgentName = Annotated[str, named(agent_name, "agents")]
NewAgentName = Annotated[str, named(new_agent_name, FREE)]
Sha = Annotated[str, Kind(sha, {"type": "string", "pattern": f"^{_SHA.pattern}$"}, "SHA", FREE)]
Limit = Annotated[int, whole(1, 1000, "the limit", "N")]
Description = Annotated[str, words(4096, "the description", "TEXT", empty=True)]
Note = Annotated[str, words(16384, "the note", "TEXT", empty=True)]
