"""What an agent needs the operator for follows from what is shown of it."""

from __future__ import annotations

from typing import Any

import pytest

from hive_core.need_kinds import NEED_KINDS
from hive_fleet.agents.troubles import KINDS, troubles

FINE = {"name": "coder", "running": True, "failed": False, "needs_login": False, "needs_update": False}


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ({}, []),
        ({"failed": True, "cause": "SIGKILL"}, [("crash", 3, "hive journal coder")]),
        ({"failed": True, "cause": "SIGKILL", "restart_at": 9}, [("crash", 1, "hive journal coder")]),
        ({"failed": True, "crash_loop": True}, [("crash_loop", 3, "hive start coder")]),
        ({"needs_login": True}, [("needs_login", 3, "hive login coder")]),
        ({"needs_login": True, "turn": "no_program"}, [("no_program", 3, "hive doctor")]),
        ({"needs_login": True, "turn": "key_refused"}, [("key_refused", 3, "hive login coder")]),
        ({"turn": "account_trouble"}, [("account_trouble", 3, "hive journal coder")]),
        ({"repair": "no space"}, [("repair", 3, "hive doctor")]),
        ({"port_taken": 8101}, [("port_taken", 1, "hive doctor")]),
        ({"needs_update": True}, [("stale", 1, "hive update --stale")]),
        ({"failed": True, "needs_update": True}, [("crash", 3, "hive journal coder"),
                                                  ("stale", 1, "hive update --stale")]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_agent_is_said_with_what_to_do(shown: dict[str, Any], expected: list[Any]) -> None:
    found = troubles({**FINE, **shown})
    assert [(each.kind, each.weight, each.command) for each in found] == expected
    assert all(each.agent == "coder" and each.said for each in found)


def test_its_own_words_are_apart_from_hive_s_and_harmless() -> None:
    (found,) = troubles({**FINE, "turn": "account_trouble", "status_text": "No\ncredit \x1b[31m"})
    assert (found.said, found.quote) == ("has trouble with its account", "No\\ncredit \\x1b[31m")


def test_every_kind_has_its_weight() -> None:
    assert NEED_KINDS.keys() >= KINDS
