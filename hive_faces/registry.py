"""Every operation by its verb; the concern that declares one is imported when it is asked for."""

from __future__ import annotations

import importlib
import re
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hive_core import progress
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_core.operation import REGISTRY, Operation

_FOLDER = Path(__file__).parent
_DECLARED = re.compile(rb"^@operation\((?:.|\n)*?^def (\w+?)_?\(", re.MULTILINE)


def find(verb: str) -> Operation | None:
    """The operation with this verb (words joined by '_'), or None.

    Reading the concerns for the declaration takes a tenth of the time that importing them all does, and is
    what makes a short command feel short.
    """
    if verb not in REGISTRY:
        wanted = verb.encode(errors="backslashreplace")
        for path in sorted(_FOLDER.glob("*.py")):
            if wanted in _DECLARED.findall(path.read_bytes()):
                importlib.import_module(f"hive_cmds.{path.stem}")
    return REGISTRY.get(verb)


def everything() -> Mapping[str, Operation]:
    """Every operation there is, and with them every recovery."""
    for path in sorted(_FOLDER.glob("*.py")):
        if _DECLARED.search(path.read_bytes()):
            importlib.import_module(f"hive_cmds.{path.stem}")
    return REGISTRY


# One process may have to finish what another began: any operation, whatever it was itself called for.
progress.declared_by(everything)


def serve(hive: Hive, operation: Operation, arguments: Mapping[str, Any]) -> Any:
    """Run an operation for a face, with arguments it has parsed; a parked one is waited for."""
    if operation.parks is not None:
        return _parked(hive, operation, arguments)
    return serve_once(hive, operation, arguments)


def serve_once(hive: Hive, operation: Operation, arguments: Mapping[str, Any]) -> Any:
    """Run an operation once; what dead processes left is mended first, as far as it can be."""
    _mend(hive)
    return operation.function(hive, **arguments)


def _mend(hive: Hive) -> None:
    """Mend what was left half-done. Where not even that can be looked up, whoever needs the database will say so."""
    try:
        if progress.unsettled(hive):
            everything()
            progress.settle(hive)
            from hive_fleet.requests import queue

            queue.plant_denials(hive)
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
