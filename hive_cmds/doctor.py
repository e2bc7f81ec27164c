"""`hive doctor`: what this machine offers, whether this hive is in order, and what to do where it is not."""

from __future__ import annotations

from hive_core import disk
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_core.operation import OPERATOR, operation
from hive_core.trouble import TROUBLES
from hive_fleet.checkup import agents, database, home, machine, service
from hive_fleet.checkup.finding import Examination, Finding

CHECKS: tuple[Examination, ...] = (*home.CHECKS, *database.CHECKS, *agents.CHECKS, *service.CHECKS, *machine.CHECKS)


@operation(callers=OPERATOR, group="Seeing", columns=("check", "ok", "detail"), empty="Nothing was checked.")
def doctor(hive: Hive, fix: bool = False) -> list[Finding]:
    """Check this machine and this hive, and say what to do; exit code 0 when all is well, 1 when something is wrong.

    fix: put right what can be without stopping anybody: permissions, sockets that nobody serves, what is left over
    """
    return [finding for check in CHECKS for finding in (_mended(hive, check) if fix else check.findings(hive))]


def _mended(hive: Hive, check: Examination) -> list[Finding]:
    """What a check finds after what it can mend was mended."""
    found = list(check.findings(hive))
    if check.mend is None or all(finding.ok for finding in found):
        return found
    for finding in found:
        if not finding.ok:
            hive.say(f"mending {finding.check}: {finding.said}")
    try:
        check.mend(hive)
    except TROUBLES as error:
        known = error if isinstance(error, HiveError) else disk.told(error)
        return [*found, Finding(check.name, False, f"could not be mended: {known.message if known else error}")]
    return list(check.findings(hive))
