"""The table of verbs: which module declares each operation. That one alone is imported for a command."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from hive_core.operation import REGISTRY, Operation

# Module -> the verbs that it declares. A test holds it to what the modules declare.
DECLARED_IN: Mapping[str, str] = {
    "hive_cmds.adoption": "adopt",
    "hive_cmds.agent": "agent",
    "hive_cmds.agents": "list",
    "hive_cmds.approvals": "request_commit request_spawn spawn revive approve deny cancel",
    "hive_cmds.backup": "backup restore",
    "hive_cmds.config": "config",
    "hive_cmds.configuration": "configuration",
    "hive_cmds.disk": "disk",
    "hive_cmds.doctor": "doctor",
    "hive_cmds.events": "events",
    "hive_cmds.explaining": "status",
    "hive_cmds.harness": "set_status turn_settings set_model model",
    "hive_cmds.history": "history",
    "hive_cmds.inbox": "recv ack nack",
    "hive_cmds.journal": "journal",
    "hive_cmds.lifecycle": "start stop kill restart rebuild",
    "hive_cmds.login": "login",
    "hive_cmds.messages": "send recent search why",
    "hive_cmds.meta": "inputs meta_update update migrate",
    "hive_cmds.needs_you": "needs_you acknowledge",
    "hive_cmds.notify": "notify",
    "hive_cmds.nudging": "nudge",
    "hive_cmds.pages": "open attach",
    "hive_cmds.pausing": "pause resume estop",
    "hive_cmds.questions": "ask ask_operator questions answer cancel_question",
    "hive_cmds.removal": "destroy purge tombstones",
    "hive_cmds.requests": "approvals show",
    "hive_cmds.rollbacks": "rollback",
    "hive_cmds.service": "install_service",
    "hive_cmds.state": "state",
    "hive_cmds.vacuum": "vacuum",
    "hive_cmds.timeline": "timeline",
    "hive_cmds.watch": "watch",
    "hive_faces.gate.gate": "gate",
    "hive_faces.gate.mcp": "mcp",
    "hive_faces.page.page": "page",
    "hive_faces.up": "up",
}
# A command -> the verb that it stands for, where another caller's verb has its name.
COMMANDS: Mapping[str, str] = {"ack": "acknowledge"}
# Another word for a command, as users of other programs know it.
ALIASES: Mapping[str, str] = {"logs": "journal", "ps": "list"}
_MODULES = {verb: module for module, verbs in DECLARED_IN.items() for verb in verbs.split()}


def find(verb: str) -> Operation | None:
    """The operation with this verb (words joined by '_'), or None."""
    if verb not in _MODULES:
        return None
    importlib.import_module(_MODULES[verb])
    return REGISTRY[verb]


def of_command(word: str) -> Operation | None:
    """The operation that a command of the shell stands for, or None."""
    verb = word.replace("-", "_")
    return find(COMMANDS.get(verb, verb))


def command(operation: Operation) -> str:
    """What an operation is called in the shell."""
    return next((word for word, verb in COMMANDS.items() if verb == operation.name), operation.verb)


def aliases(operation: Operation) -> list[str]:
    """The other words for an operation in the shell."""
    return [word for word, shown in ALIASES.items() if shown == command(operation)]


def everything() -> Mapping[str, Operation]:
    """Every operation there is."""
    for module in DECLARED_IN:
        importlib.import_module(module)
    return REGISTRY
