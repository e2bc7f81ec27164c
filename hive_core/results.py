"""What the result of an operation may say of itself. All of it is optional: a dataclass is shown field by field."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Wired(Protocol):
    """Looks another way on the wire than its fields do."""

    def wire(self) -> Any:
        """What is sent in its place: a mapping, or another value that can be sent."""


@runtime_checkable
class Worded(Protocol):
    """Has words of its own for a person."""

    def text(self) -> str | None:
        """It in words, a line or a few; None for what a person is not told."""


@runtime_checkable
class Detailed(Protocol):
    """Is told in full, not in a line, where a list of its kind is shown without a table."""

    def in_full(self) -> str:
        """Everything about it that a person may want to know."""


@runtime_checkable
class Listed(Protocol):
    """Is an object on the wire and a listing in the shell, whose JSON is an array for every listing."""

    def listing(self) -> list[Any]:
        """Its rows alone."""


@runtime_checkable
class Toned(Protocol):
    """Says how much it matters, where it stands in a stream."""

    @property
    def tone(self) -> str:
        """alarm, wanted, well or routine; '' for none of these."""


@runtime_checkable
class Untimed(Protocol):
    """Is a line of a log, which another log that it goes to has a time for."""

    def untimed(self) -> str | None:
        """As `text`, without the time."""


@runtime_checkable
class Titled(Protocol):
    """May say, where it stands in a stream, what the terminal's title is from there on."""

    @property
    def terminal_title(self) -> str | None:
        """The title; None where it stays as it is."""


@runtime_checkable
class Judged(Protocol):
    """Came out well or did not: a command whose result did not ends with 1."""

    @property
    def ok(self) -> bool:
        """Whether it came out well."""
