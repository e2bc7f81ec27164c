"""The host of a hive: its backend, made with its settings."""

from __future__ import annotations

from importlib import import_module

from hive_core.containers.backends import BACKENDS
from hive_core.containers.base import Host
from hive_core.settings import Settings


def made(settings: Settings) -> Host:
    """What drives the containers of this hive. Raises HiveError where its backend cannot be used."""
    module, _, name = BACKENDS[settings.backend].partition(":")
    host: Host = getattr(import_module(module), name)(settings)
    return host
