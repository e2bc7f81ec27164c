"""The backends by name, as `backend` in hive.toml has them: a folder (or a file) beside this one, and a line here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hive_core.containers.base import Host
    from hive_core.settings import Settings

# Name -> module and class. The class is made with the settings, and is a base.Host; tests/core/containers/
# test_contract.py holds each of them to what that promises.
BACKENDS = {
    "local": "hive_core.containers.local.host:LocalHost",
    "memory": "hive_core.containers.memory:MemoryHost",
}
# What a person may choose; the rest is for tests.
OFFERED = ("local",)


def host(settings: Settings) -> Host:
    """What drives the containers of this hive. Raises HiveError where its backend cannot be used."""
    module, _, name = BACKENDS[settings.backend].partition(":")
    made: Host = getattr(import_module(module), name)(settings)
    return made
