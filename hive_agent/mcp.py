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
# How a line begins by which the gate refuses a connection.
_REFUSED = b'{"version"'


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
    """Pass bytes both ways until the gate hangs up, or nobody reads `sink`; the end of `source` is passed on.

    Raises OSError with the gate's words where it lets nobody in: a client of JSON-RPC could not read them.
    """
    poll = select.poll()
    poll.register(gate, select.POLLIN)
    poll.register(source, select.POLLIN)
    # Nothing is asked for: that a pipe has no reader any more is told in any case.
    poll.register(sink, 0)
    begun = False
    while True:
        ready = dict(poll.poll())
        if gate.fileno() in ready:
            data = gate.recv(65536)
            if not begun and data.startswith(_REFUSED):
                raise OSError(data.decode(errors="replace").strip())
            if not data:
                return
            begun = True
            while data:
                data = data[os.write(sink, data) :]
        elif sink in ready:
            return
        elif source in ready:
            data = os.read(source, 65536)
            if data:
                gate.sendall(data)
            else:
                gate.shutdown(socket.SHUT_WR)
                poll.unregister(source)


def greet(gate: socket.socket) -> None:
    """Say what will be spoken. A gate that has hung up has said why, which can still be read."""
    try:
        gate.sendall(b'{"cmd":"mcp"}\n')
    except BrokenPipeError:
        return


def main() -> int:
    path = os.environ.get("HIVE_SOCKET") or "/run/hive/agent.sock"
    try:
        with connect(path) as gate:
            greet(gate)
            pump(gate, sys.stdin.fileno(), sys.stdout.fileno())
    except OSError as error:
        sys.stderr.write(f"hive: the gate at {path} is lost: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
