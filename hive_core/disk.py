"""What to say of an error that is the machine's (a disk full, read-only or damaged, no descriptors left), no bug's."""

from __future__ import annotations

import errno

from hive_core.errors import Damaged, HiveError, Outdated, Refused

_SYSTEM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
_DATABASE = (
    "SQLITE_FULL",
    "SQLITE_IOERR",
    "SQLITE_READONLY",
    "SQLITE_CANTOPEN",
    "SQLITE_NOTADB",
    "SQLITE_CORRUPT",
)


def told(error: BaseException) -> HiveError | None:
    """What a person is told of an error: one of ours is told as it is, as are all of the system's.

    None for any other: it is a bug.
    """
    known = error if isinstance(error, HiveError) else refusal(error)
    if known is not None or not isinstance(error, OSError):
        return known
    place = f"{error.filename}: " if error.filename else ""
    return Refused(f"This machine would not do it: {place}{error.strerror or error}.", "See `hive doctor`.")


def refusal(error: BaseException) -> Refused | None:
    """What to tell a person of an error that is the machine's; None for any other.

    The names are SQLite's result codes (sqlite.org/rescode.html), of which the extended ones begin with the others.
    """
    if isinstance(error, Damaged):
        return error
    name = str(getattr(error, "sqlite_errorname", ""))
    if isinstance(error, OSError) and error.errno in _DESCRIPTORS:
        # The kernel says the same of a user's inotify instances, of which there are 128 and not thousands.
        hint = "Raise the limit of open files (`ulimit -n`), or that of `sysctl fs.inotify.max_user_instances`."
        return Refused(f"{error.strerror}.", hint)
    if isinstance(error, OSError) and error.errno in _SYSTEM:
        return Refused(f"{error.filename or 'The disk'}: {error.strerror}.", "Make room, or make it writable.")
    if name.startswith("SQLITE_BUSY"):
        return Refused("The database was busy for too long with what another process writes.", "Try again in a moment.")
    if name.startswith(_DATABASE):
        return Refused(f"The database could not be used: {error} ({name}).", "Is the disk full, or read-only?")
    return None


def no_database(error: BaseException) -> Refused | None:
    """What to tell of an error that keeps the database from being used, also of that it is another hive's."""
    return error if isinstance(error, Outdated) else refusal(error)


def cause(error: BaseException) -> Refused | None:
    """As `refusal`, also for an error that was raised because of the machine's."""
    at: BaseException | None = error
    while at is not None:
        if (refused := refusal(at)) is not None:
            return refused
        at = at.__cause__
    return None
