"""Who calls: a role, and a name."""

from __future__ import annotations

import enum
from typing import NamedTuple


class Role(enum.StrEnum):
    """What a caller is to the hive: a declaration names the roles that may call."""

    OPERATOR = "operator"
    MANAGER = "manager"
    AGENT = "agent"


class Identity(NamedTuple):
    """Who is calling. name: 'operator', or the agent whose socket the call came in by."""

    role: Role
    name: str


THE_OPERATOR = Identity(Role.OPERATOR, "operator")
