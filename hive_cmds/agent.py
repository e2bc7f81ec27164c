"""`hive agent run`: the turn loop from this checkout, for a container that somebody made by other means."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

from hive_core.arguments import choice
from hive_core.context import Hive
from hive_core.operation import OPERATOR, operation

What = Annotated[str, choice(("run",), "what the harness does", "run")]


@operation(callers=OPERATOR, group="Running", shell_only=True)
def agent(hive: Hive, what: What) -> NoReturn:  # noqa: ARG001 - it needs no hive, which may be on another machine
    """Run an agent's turn loop here, as its container does: for a container of your own, see docs/agent.md.

    what: the only thing there is to do
    """
    # The script `hive` does the same before it loads anything. Python runs isolated, so that it imports nothing from
    # the agent's own folder, which is its $HOME.
    harness = Path(__file__).resolve().parent.parent / "hive_agent"
    os.execv(sys.executable, [sys.executable, "-I", "-B", str(harness), "run"])  # noqa: S606
