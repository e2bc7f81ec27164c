"""`hive login`: a human logs an agent in, at a terminal. No socket and no tool offers it."""

from __future__ import annotations

import signal

from hive_agent.clis import CLIS
from hive_agent.credentials import why_no_login
from hive_core.arguments import AgentName
from hive_core.context import Hive
from hive_core.errors import HiveError, Refused
from hive_core.operation import OPERATOR, operation
from hive_fleet.agents import harness_state, last_seen, observation, table
from hive_fleet.agents.view import view_of

_CHANGE = "Its agent.toml is changed by a commit (`hive request-commit`), what lies in its login folder at once."


@operation(callers=OPERATOR, group="Agents", shell_only=True)
def login(hive: Hive, name: AgentName) -> None:
    """Log an agent in: runs its program's own login at your terminal, in the agent's sandbox and login folder.

    name: which agent; it may run meanwhile, and goes on by itself once it is logged in
    """
    with hive.store.read() as db:
        row = table.one(db, name)
    runner = row["runner"]
    cli = CLIS.get(runner)
    if cli is None:
        raise Refused(f"{name} runs `{runner}`, which needs no login.")
    found = observation.found_login(hive, name, runner)
    if why := why_no_login(cli.credentials, found, table.given_variables(row)):
        refused = " It was refused." if row["state"] == "key_refused" else ""
        raise Refused(f"A login would not help {name}: {why}.{refused}", _CHANGE)
    program = hive.host.cli(runner)
    if program is None:
        raise Refused(f"{runner} is not installed where hive finds it.", "`hive doctor` says what it looks for.")
    code = hive.host.enter(name, view_of(hive, name), (program, *cli.login.arguments))
    if code == 128 + signal.SIGINT:
        # The human has ended the login program with Ctrl-C: that is an interrupt, not a failure.
        raise KeyboardInterrupt
    if code != 0:
        shown = " ".join((cli.name, *cli.login.arguments))
        raise HiveError(
            f"{name} was not logged in: `{shown}` ended with code {code}.", "Try again; what it wrote stands above."
        )
    if not observation.found_login(hive, name, runner).login:
        raise HiveError(f"{name} is still not logged in: its login folder holds no usable credentials.")
    with last_seen.showing(hive, name) as db:
        harness_state.forget_login(db, name)
    hive.say(f"{name} is logged in.")
