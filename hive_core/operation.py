"""The declaration: an operation says once who may call it and what it takes; every face is derived from that."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from hive_core.arguments import FLAG, Also, Kind, items, require_json_type
from hive_core.caller import Role
from hive_core.errors import Invalid

if typing.TYPE_CHECKING:
    from hive_core.context import Hive

# The headings of the help, in their order.
GROUPS = ("Approvals", "Agents", "Messages", "Seeing", "Meta", "Harness", "Running")

OPERATOR = frozenset({Role.OPERATOR})
LOOKING_AFTER = frozenset({Role.OPERATOR, Role.MANAGER})
EVERYONE = frozenset(Role)
CONTAINERS = frozenset({Role.MANAGER, Role.AGENT})


class Only(NamedTuple):
    """Beside the Kind of an argument: who may give it, of those who may call the operation."""

    callers: frozenset[Role]


class Needed(NamedTuple):
    """Beside the Kind of an argument that may be left away: who may not leave it away."""

    callers: frozenset[Role]


@dataclass(frozen=True, slots=True)
class Bare:
    """Beside the Kind of an argument that is a list and may be left away: it has no flag in the shell."""


BARE = Bare()
# An argument of the shell's: no socket takes it, not even the operator's.
SHELL = Only(frozenset())


class Parameter(NamedTuple):
    """One argument of an operation, as a face needs to know it.

    also: another name that sockets and tools take. callers: who may give it over a socket; to others it does not
    exist. needed_by: who has to give it, where others may leave it away.
    """

    name: str
    also: str | None
    kind: Kind
    required: bool
    default: Any
    many: bool
    positional: bool
    help: str
    callers: frozenset[Role]
    needed_by: frozenset[Role]

    def needed(self, role: Role | None) -> bool:
        """Whether a caller of this role has to give it; None is the shell."""
        return self.required or role in self.needed_by

    @property
    def flag(self) -> str:
        """Its option in the shell; one that may be given several times is in the singular there."""
        name = self.name.removesuffix("s") if self.many else self.name
        return f"--{name.replace('_', '-')}"

    def parse(self, value: Any) -> Any:
        """Check what a face was given. Raises Invalid."""
        if not self.many:
            return self.kind.parse(value)
        return [self.kind.parse(item) for item in items(value, self.name)]

    def require_json_type(self, value: Any) -> None:
        """Raises Invalid for a value that is not of the argument's JSON type to the letter."""
        if not self.many:
            require_json_type(value, self.kind.schema, self.name)
        elif not isinstance(value, list):
            raise Invalid(f"{self.name} is a list, and {ascii(value)[:80]} is none.")
        else:
            for item in value:
                require_json_type(item, self.kind.schema, self.name)


# What will be gone, as a person is told before being asked; raises what the operation itself would refuse at once.
Stakes = Callable[["Hive", Mapping[str, Any]], str]


@dataclass(frozen=True)
class Operation:
    """A declared operation.

    name: its verb, with underscores; the shell shows them as '-'. group: its heading in the help.
    columns: what a table of its results shows. empty: what a person is told when there are none; empty_all: with
    `--all`. confirm: the question a person answers first, with the arguments' names in braces, or None; stakes: makes
    the sentences that stand before it. shell_only: no socket serves it, not even the operator's.
    parks: the argument that says how many seconds a face calls it again, at every commit, while its result is empty.
    tool: whether it is offered to a model as a tool; what only the harness needs is not.
    reads: it changes nothing, so that whoever has changed too much may still call it.
    endures: it goes on when what it prints can no longer be written: somebody depends on it, read or not.
    at_once: it does not wait until what was left half-done is mended.
    """

    name: str
    function: Callable[..., Any]
    callers: frozenset[Role]
    group: str
    columns: tuple[str, ...]
    empty: str
    empty_all: str
    confirm: str | None
    stakes: Stakes | None
    shell_only: bool
    parks: str | None
    tool: bool
    reads: bool
    endures: bool
    at_once: bool

    @property
    def verb(self) -> str:
        return self.name.replace("_", "-")

    @property
    def summary(self) -> str:
        """The first sentence of the docstring."""
        return (inspect.getdoc(self.function) or "").split("\n\n")[0].replace("\n", " ")

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        hints = typing.get_type_hints(self.function, include_extras=True)
        signature = list(inspect.signature(self.function).parameters.values())[1:]
        helps = _argument_helps(inspect.getdoc(self.function) or "")
        return tuple(_parameter(item, hints[item.name], helps) for item in signature)

    def patience(self, arguments: Mapping[str, Any]) -> float:
        """For how many seconds a caller with these arguments is parked at the most."""
        default = next(parameter.default for parameter in self.parameters if parameter.name == self.parks)
        return float(arguments.get(self.parks or "", default))

    def offered(self, role: Role) -> tuple[Parameter, ...]:
        """The arguments that a caller of this role may give over a socket."""
        return tuple(parameter for parameter in self.parameters if role in parameter.callers)

    def parse(self, raw: Mapping[str, Any], role: Role | None = None, *, strict: bool = False) -> dict[str, Any]:
        """Check the arguments a face was given; an absent or null one takes its default.

        role: of whoever's socket they came by; None for the shell. strict: each must be of its JSON type to the letter.
        Raises Invalid for one that is missing, not the caller's to give, given twice, or not of its kind.
        """
        known = {item.name: item for item in (self.parameters if role is None else self.offered(role))}
        named = self._named(raw)
        for name in sorted(set(named) - set(known)):
            self._refuse(name, known)
        parsed = {}
        for name, parameter in known.items():
            if named.get(name) is not None:
                if strict:
                    parameter.require_json_type(named[name])
                parsed[name] = parameter.parse(named[name])
            elif parameter.needed(role):
                raise Invalid(f"{self.name} needs {name}.")
        return parsed

    def _refuse(self, name: str, known: Iterable[str]) -> typing.NoReturn:
        if any(parameter.name == name and not parameter.callers for parameter in self.parameters):
            raise Invalid(f"{name} of {self.name} is for the shell only.")
        raise Invalid(f"{self.name} takes no {name!a}.", f"It takes: {', '.join(known) or 'nothing'}.")

    def _named(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by their own names, whichever of its names each was given by."""
        other = {parameter.also: parameter.name for parameter in self.parameters if parameter.also}
        named: dict[str, Any] = {}
        for given, value in raw.items():
            name = other.get(given, given)
            if name in named:
                raise Invalid(f"{self.name} takes {name} once, by whichever name.")
            named[name] = value
        return named

    def call(self, hive: Hive, raw: Mapping[str, Any], *, strict: bool = False) -> Any:
        """Check the arguments that a socket's caller gave, and run the operation."""
        return self.function(hive, **self.parse(raw, hive.caller.role, strict=strict))


REGISTRY: dict[str, Operation] = {}

F = typing.TypeVar("F", bound=Callable[..., Any])


def operation(
    *,
    callers: Iterable[Role],
    group: str,
    columns: tuple[str, ...] = (),
    empty: str = "",
    empty_all: str = "",
    confirm: str | None = None,
    stakes: Stakes | None = None,
    shell_only: bool = False,
    parks: str | None = None,
    tool: bool = True,
    reads: bool = False,
    endures: bool = False,
    at_once: bool = False,
) -> Callable[[F], F]:
    """Declare the function below as an operation; it stays a plain function to whoever calls it in Python.

    Its verb is the function's name; a '_' at the end, for a name that Python has taken, is left away.
    """

    def declare(function: F) -> F:
        verb = function.__name__.rstrip("_")
        if verb in REGISTRY:
            raise AssertionError(f"two operations are called {verb}")
        REGISTRY[verb] = Operation(
            name=verb,
            function=function,
            callers=frozenset(callers),
            group=group,
            columns=columns,
            empty=empty,
            empty_all=empty_all or empty,
            confirm=confirm,
            stakes=stakes,
            shell_only=shell_only,
            parks=parks,
            tool=tool,
            reads=reads,
            endures=endures,
            at_once=at_once,
        )
        return function

    return declare


def _parameter(item: inspect.Parameter, hint: Any, helps: Mapping[str, str]) -> Parameter:
    required = item.default is inspect.Parameter.empty
    kind, many = _kind(hint)
    default = None if required else item.default
    # As users of gh and systemctl expect: what a command is about stands bare, what is said of it has a flag.
    positional = required or (item.name == "name" and not many) or _mark(hint, Bare) is not None
    also, only, needed = _mark(hint, Also), _mark(hint, Only), _mark(hint, Needed)
    return Parameter(
        item.name,
        also.name if also else None,
        kind,
        required,
        default,
        many,
        positional,
        helps.get(item.name, ""),
        only.callers if only else EVERYONE,
        needed.callers if needed else frozenset(),
    )


def _kind(hint: Any) -> tuple[Kind, bool]:
    """Find the Kind in an annotation: a Kind itself, one of None and a Kind, a list of a Kind, or bool."""
    if hint is bool:
        return FLAG, False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(member for member in typing.get_args(hint) if member is not type(None))
        return _kind(hint)
    if typing.get_origin(hint) is list:
        return _kind(typing.get_args(hint)[0])[0], True
    for extra in getattr(hint, "__metadata__", ()):
        if isinstance(extra, Kind):
            return extra, False
    if hasattr(hint, "__metadata__"):
        return _kind(typing.get_args(hint)[0])
    raise AssertionError(f"{hint!r} names no kind of argument")


M = typing.TypeVar("M", Also, Only, Needed, Bare)


def _mark(hint: Any, kind: type[M]) -> M | None:
    """What of this kind stands beside the type anywhere in an annotation."""
    for extra in getattr(hint, "__metadata__", ()):
        if isinstance(extra, kind):
            return extra
    inner = [found for part in typing.get_args(hint) if (found := _mark(part, kind))]
    return inner[0] if inner else None


def _argument_helps(doc: str) -> dict[str, str]:
    """Read the lines `name: what it is` of a docstring's paragraphs after the first."""
    helps: dict[str, str] = {}
    current = ""
    for line in doc.split("\n\n", 1)[1].splitlines() if "\n\n" in doc else ():
        head, colon, rest = line.partition(": ")
        if colon and head.isidentifier():
            current, helps[head] = head, rest.strip()
        elif current and line.startswith("    "):
            helps[current] += " " + line.strip()
        else:
            current = ""
    return helps
