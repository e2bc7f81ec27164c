"""Running an operation for a face: what was left half-done is mended first, and who waits for a result is parked."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from hive_core import progress
from hive_core.context import Hive
from hive_core.errors import HiveError, Outdated
from hive_core.operation import Operation
from hive_fleet.requests import denials


def serve(hive: Hive, operation: Operation, arguments: Mapping[str, Any]) -> Any:
    """Run an operation for a face, with arguments it has parsed; a parked one is waited for."""
    if operation.parks is not None:
        return _parked(hive, operation, arguments)
    return serve_once(hive, operation, arguments)


def serve_once(hive: Hive, operation: Operation, arguments: Mapping[str, Any]) -> Any:
    """Run an operation once; what dead processes left is mended first, as far as it can be, where there is time."""
    if not operation.at_once:
        _mend(hive)
    return operation.function(hive, **arguments)


def _mend(hive: Hive) -> None:
    """Mend what was left half-done. Where not even that can be looked up, whoever needs the database will say so."""
    try:
        progress.mend_all(hive)
        denials.tag_all(hive)
    except Outdated:
        pass  # Who is of the other hive mends it.
    except (sqlite3.Error, OSError, HiveError) as error:
        hive.say(f"warning: what was left half-done could not be looked up: {error}")


def _parked(hive: Hive, operation: Operation, arguments: Mapping[str, Any]) -> Any:
    """Call an operation until its result holds something, again at every commit, for as long as it says."""
    from hive_core.wake import Wake

    end = time.monotonic() + operation.patience(arguments)
    with Wake(hive.store) as wake:
        while True:
            result = serve_once(hive, operation, arguments)
            left = end - time.monotonic()
            if not is_empty(result) or left <= 0:
                return result
            wake.wait(left)


def is_empty(result: Any) -> bool:
    """Whether a parked caller goes on waiting: nothing was received."""
    return not result.messages
