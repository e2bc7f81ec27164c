"""Two processes that run tests have a network each."""

from __future__ import annotations

import socket
import subprocess
import sys

from tests.hives import CHECKOUT
from tests.needs import needs_root

SERVES = """
import socket, sys
from tests import network
print(network.leave())
socket.create_server(("127.0.0.1", int(sys.argv[1])))
print([name for _, name in socket.if_nameindex()])
"""


@needs_root
def test_the_same_port_is_served_in_two_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        argv = [sys.executable, "-c", SERVES, str(ours.getsockname()[1])]
        done = subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "True\n['lo']\n"), done.stderr


@needs_root
def test_these_tests_run_in_one_that_leads_nowhere() -> None:
    assert [name for _, name in socket.if_nameindex()] == ["lo"]
