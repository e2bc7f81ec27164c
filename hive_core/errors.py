"""One base for everything hive tells a person went wrong, and the exit codes, stated once."""

from __future__ import annotations

import enum


class Exit(enum.IntEnum):
    """What a command's exit status says; part of the interface."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    BUG = 3
    INTERRUPTED = 130


class HiveError(Exception):
    """A failure with a sentence for its reader.

    message: what failed and why, one sentence or a few lines.
    hint: what to do next, or None where there is nothing to do.
    """

    exit_code = Exit.REFUSED

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class Refused(HiveError):
    """The state of things, or who is asking, does not allow this."""


class NotFound(Refused):
    """The thing named does not exist."""


class Damaged(Refused):
    """The database is there, and cannot be read as one."""


class Replaced(Refused):
    """The database's file is another than the one that was waited on: removed, restored, or begun anew."""


class Invalid(HiveError):
    """An argument is not of the form it must have."""

    exit_code = Exit.USAGE


class BuildFailed(HiveError):
    """A configuration could not be built or switched to; the message is kept in the `failed/<id>` tag."""


class ProgramFailed(HiveError):
    """A program that hive ran did not succeed."""
