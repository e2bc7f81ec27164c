"""Texts as Nix spells them."""

from __future__ import annotations

import os

from hive_core.containers.base import Threaded
from hive_core.errors import Refused


def string(text: str) -> str:
    """`text` as a Nix string literal (Nix manual, "String"): backslash, quote and interpolation escaped.

    A bare CR would become LF there. Raises Refused for what no Nix string can hold.
    """
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise Refused(f"{text!a} holds a NUL, or is not UTF-8: no text of a flake can be that.", "Write it otherwise.")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${")
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r") + '"'


def arguments(name: str, source: str, threaded: Threaded) -> str:
    """What nix/mk-agent.nix is called with for an agent. source: its files, in Nix."""
    values = {
        "name": string(name),
        "source": source,
        "system": string(f"{os.uname().machine}-linux"),
        "port": str(threaded.port),
        "pronouns": string(threaded.pronouns),
        "manager": "true" if threaded.manager else "false",
    }
    return "{ " + " ".join(f"{key} = {value};" for key, value in values.items()) + " }"
