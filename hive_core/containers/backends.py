"""The backends by name, as `backend` in hive.toml has them: a folder (or a file) beside this one, and a line here."""

from __future__ import annotations

# Name -> module and class. The class is made with the settings, and is a base.Host; tests/core/containers/
# test_contract.py holds each of them to what that promises.
BACKENDS = {
    "local": "hive_core.containers.local.host:LocalHost",
    "nixos": "hive_core.containers.nixos.host:NixosHost",
    "memory": "hive_core.containers.memory:MemoryHost",
}
# What a person may choose; the rest is for tests.
OFFERED = ("local", "nixos")
