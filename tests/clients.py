"""Clients of the sockets, as a desktop program or an agent's tools are."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

from tests.hives import PATIENCE


class Client:
    """One connection to a socket of hive's: a JSON document a line, both ways."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        # A socket's address may be 107 bytes long; a test's folder may not care.
        try:
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                self.socket.connect(f"/proc/self/fd/{folder}/{path.name}")
            finally:
                os.close(folder)
        except OSError:
            self.socket.close()
            raise
        self.reader = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self) -> Any:
        """The next line; None when the other side has hung up."""
        line = self.reader.readline()
        return json.loads(line) if line else None

    def ask(self, cmd: str, **arguments: Any) -> dict[str, Any]:
        """One request and its answer."""
        self.send(json.dumps({"cmd": cmd, **arguments}).encode() + b"\n")
        answer: dict[str, Any] = self.read()
        return answer

    def rpc(self, number: int, method: str, **params: Any) -> dict[str, Any]:
        """One JSON-RPC request and its answer."""
        self.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode() + b"\n")
        answer: dict[str, Any] = self.read()
        return answer

    def close(self) -> None:
        self.reader.close()
        self.socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
