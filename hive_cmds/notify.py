"""`hive notify`: what needs the operator, sent to where they are."""

from __future__ import annotations

from hive_core.context import Hive
from hive_core.errors import Refused
from hive_core.operation import OPERATOR, operation
from hive_fleet.notifications.rules import wishes
from hive_fleet.notifications.sending import Notification, send_due, send_test


@operation(
    callers=OPERATOR,
    group="Running",
    columns=("name", "ok", "detail"),
    shell_only=True,
    empty="Nothing is to be sent now.",
)
def notify(hive: Hive, test: bool = False) -> list[Notification]:
    """Send what is due of the notifications that hive.toml asks for; `hive up` and `hive watch` do so by themselves.

    test: send a test to every service, now
    """
    if not wishes(hive.settings).services:
        raise Refused(
            "No service is named to send notifications to.",
            "Name one below [notify.services] in hive.toml: docs/notifications.md.",
        )
    with hive.lone("notify", "sending notifications"):
        return send_test(hive) if test else send_due(hive)
