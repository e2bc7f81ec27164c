"""The MCP server that the agent's CLI starts: passes its standard input and output on to the gate, which answers.

Run as a file by `python3 -I`, so it stands alone. All that MCP is lives in the gate.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time

CONNECT_SECONDS = 20.0
LONGEST_ADDRESS = 107


def reach(connection: socket.socket, path: str) -> None:
    """Connect to a socket, also to one whose path is longer than an address may be (unix(7): 107 bytes)."""
    if len(os.fsencode(path)) <= LONGEST_ADDRESS:
        connection.connect(path)
        return
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)  # noqa: PTH120
    try:
        connection.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")  # noqa: PTH119
    finally:
        os.close(folder)


def connect(path: str) -> socket.socket:
    """Connect to the gate; one that is being restarted is waited for. Raises OSError after CONNECT_SECONDS."""
    deadline = time.monotonic() + CONNECT_SECONDS
    while True:
        gate = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            reach(gate, path)
        except OSError:
            gate.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return gate


def pump(gate: socket.socket, source: int, sink: int) -> None:
    """Pass bytes both ways until the gate hangs up; the end of `source` is passed on."""
    reading = [gate.fileno(), source]
    while True:
        ready = select.select(reading, [], [])[0]
        if source in ready:
            data = os.read(source, 65536)
            if data:
                gate.sendall(data)
            else:
                gate.shutdown(socket.SHUT_WR)
                reading.remove(source)
        if gate.fileno() in ready:
            data = gate.recv(65536)
            if not data:
                return
            while data:
                data = data[os.write(sink, data) :]


def main() -> int:
    path = os.environ.get("HIVE_SOCKET") or "/run/hive/agent.sock"
    try:
        with connect(path) as gate:
            gate.sendall(b'{"cmd":"mcp"}\n')
            pump(gate, sys.stdin.fileno(), sys.stdout.fileno())
    except OSError as error:
        sys.stderr.write(f"hive: the gate at {path} is lost: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
