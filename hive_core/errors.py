"""What can go wrong on hive's side, each kind with the exit code that it means; the base is the harness's, too."""

from __future__ import annotations

from hive_agent.errors import Exit, HiveError

__all__ = [
    "BuildFailed",
    "Damaged",
    "Exit",
    "HiveError",
    "Invalid",
    "NotFound",
    "Outdated",
    "ProgramFailed",
    "Refused",
    "Replaced",
    "TookTooLong",
    "WroteTooMuch",
]


class Refused(HiveError):
    """The state of things, or who is asking, does not allow this."""


class NotFound(Refused):
    """The thing named does not exist."""


class Damaged(Refused):
    """The database is there, and cannot be read as one."""


class Outdated(Refused):
    """The database is of another hive than this one: a newer one, or an older one that runs."""


class Replaced(Refused):
    """The database's file is another than the one that was waited on: removed, restored, or begun anew."""


class Invalid(HiveError):
    """An argument is not of the form it must have."""

    exit_code = Exit.USAGE


class BuildFailed(HiveError):
    """A configuration could not be built or switched to; the message is kept in the `failed/<id>` tag."""


class ProgramFailed(HiveError):
    """A program that hive ran did not succeed."""


class TookTooLong(ProgramFailed):
    """A program was killed, as it had not ended in its time."""


class WroteTooMuch(ProgramFailed):
    """A program was killed, as it wrote more than anybody reads."""
