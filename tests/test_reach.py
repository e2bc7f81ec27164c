"""What a hostile program in an agent's container can reach of the machine: a test per reach, tried for real."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hive_cmds.pages import listeners
from tests.agent.browser import free_port
from tests.hives import TestHive, eventually
from tests.needs import needs_root, requires
from tests.users import USER, become, packages_of, runnable

pytestmark = requires("bwrap")

# Each try prints its name and what came of it; a secret that is seen is printed, so that the test finds it.
TRY = r"""
try() {
    name=$1; shift
    if out=$("$@" 2>&1); then echo "TRY $name REACHED $out" | tr '\n' ' '; else echo "TRY $name held"; fi
    echo
}
"""
TRIES = r"""
try control cat /config/agent.toml
try host_socket sh -c 'ls ROOT/run/host.sock || find / -name host.sock -not -path "/proc/*" 2>/dev/null | grep .'
try database cat ROOT/home/hive.db
try locks sh -c 'ls ROOT/home/locks'
try other_socket sh -c 'ls ROOT/run/sockets/other || ls ROOT/run/agents || ls /run/hive | grep -v "^agent.sock$"'
try other_folders sh -c 'ls ROOT/home/agents/other || ls /agents'
try repositories sh -c 'ls ROOT/home/applied || ls ROOT/home/proposed || ls /applied || ls /meta'
try operator_files sh -c 'cat ROOT/nobody/secret || ls /root || ls /home'
try shadow cat /etc/shadow
try processes sh -c 'cat /proc/[0-9]*/comm | grep -E "python|hive|pytest"'
try supervisor sh -c 'kill -9 1 && test ! -d /proc/1'
try environment sh -c 'tr "\\0" "\\n" </proc/1/environ | sed -E "s/^HIVE_[0-9]+=//" | grep -vxF "$(env)"'
try root_of_init sh -c 'cat /proc/1/root/ROOT/home/hive.db || ls /proc/1/root/ROOT'
try memory sh -c 'head -c 1 /proc/1/mem || cat /proc/1/maps | grep -i hive'
try journal sh -c 'cat ROOT/home/containers/coder/journal || ls ROOT/home/containers'
try own_generation sh -c 'echo x > /config/agent.toml || touch /config/x || chmod 777 /config'
try harness sh -c 'touch /hive/hive_agent/x'
try own_socket sh -c 'rm -f /run/hive/agent.sock || mv /run/hive/agent.sock /tmp/'
try kernel_settings sh -c 'echo 1 > /proc/sys/kernel/panic || echo b > /proc/sysrq-trigger'
try cgroups sh -c 'ls /sys/fs/cgroup || mount -t cgroup2 none /tmp'
try mounts sh -c 'mount -t tmpfs none /tmp || umount /config'
try mounts_of_a_user_namespace unshare -Urm sh -c 'mount -o remount,rw,bind /config && touch /config/x'
try devices sh -c 'cat /dev/mem || ls /dev/sda /dev/vda || mknod /tmp/x b 254 0'
try capabilities sh -c 'grep -E "^Cap(Eff|Prm|Bnd|Inh|Amb)" /proc/self/status | grep -v 0000000000000000'
try root sh -c 'test "$(id -u)" = 0'
try another_user sh -c 'chown 0 /state/. || setpriv --reuid=0 true'
try descriptors sh -c 'ls /proc/$$/fd | grep -vE "^(0|1|2|3|4)$"'
echo TRIED
exec sleep infinity
"""
# Tried by a program that the harness started, of the harness itself: there is the key of the agent's page, with which
# a human logs the agent in.
OF_THE_HARNESS = r"""
export HARNESS=$PPID PYTHON=$(tr '\0' '\n' </proc/$PPID/cmdline | head -n 1)
cat >/dev/null
asking() {
    printf '%s\n' "import json, os, socket, sys" "$1" | "$PYTHON" -
}
try harness_control sh -c 'cat /proc/$HARNESS/cmdline; grep -i State /proc/$HARNESS/status'
try harness_environment cat /proc/$HARNESS/environ
try harness_memory sh -c 'cat /proc/$HARNESS/maps || : </proc/$HARNESS/mem'
try harness_descriptors sh -c 'ls /proc/$HARNESS/fd/ || cat </proc/$HARNESS/fd/0'
try key_in_an_environment sh -c 'cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | grep -aoE "[0-9a-f]{64}"'
try key_in_a_file grep -raoE '\b[0-9a-f]{64}\b' /state /claude /run/hive /tmp /dev/shm
try key_on_standard_input sh -c 'cat </proc/1/fd/0 | grep .'
try page_without_its_key asking "
with socket.create_connection(('127.0.0.1', int(os.environ['HIVE_PORT']))) as page:
    page.sendall(b'POST /api/login HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 2\r\n\r\n{}' % page.getpeername()[1])
    sys.exit(b' 401 ' in page.recv(4096))"
try page_of_its_own asking "
page = socket.socket()
page.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
page.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
page.bind(('', int(os.environ['HIVE_PORT'])))
page.listen()"
try login_by_the_socket asking "
with socket.socket(socket.AF_UNIX) as gate:
    gate.connect(os.environ['HIVE_SOCKET'])
    for verb in ('login', 'login_code', 'open', 'page_key'):
        gate.sendall(json.dumps({'cmd': verb, 'name': 'worker'}).encode() + b'\n')
        if json.loads(gate.recv(65536))['ok']: sys.exit(0)
sys.exit(1)"
try ptrace_the_harness asking "
import ctypes
sys.exit(ctypes.CDLL(None).ptrace(0x4206, int(os.environ['HARNESS']), 0, 0) != 0)"
try its_descriptors_by_pidfd asking "
import ctypes
sys.exit(ctypes.CDLL(None).syscall(438, os.pidfd_open(int(os.environ['HARNESS'])), 0, 0) < 0)"
echo TRIED
"""
HARNESS_REACHES = [line.split()[1] for line in OF_THE_HARNESS.splitlines() if line.startswith("try ")][1:]
REACHES = [line.split()[1] for line in TRIES.splitlines() if line.startswith("try ") and "control" not in line]


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What each try of one hostile agent came to, by name, with another agent and the sockets beside it."""
    root: Path = tmp_path_factory.mktemp("reach") / "hive"
    hive = TestHive(root)
    # Nothing but the sandbox is to hold: the folders on the way are open to everybody.
    for folder in (root, *list(root.parents)[:3]):
        folder.chmod(0o755)
    (root / "nobody").mkdir()
    (root / "nobody" / "secret").write_text("a secret of the operator's")
    hive.start("gate")
    hive.spawn("other")
    toml = 'runner = "command"\ncommand = ["sh", "/config/tries.sh"]\n'
    hive.configure("coder", toml)
    hive.propose("coder", toml + "# x\n", files={"tries.sh": TRY + TRIES.replace("ROOT", str(root))})
    hive.run("spawn", "coder")
    _let_try(hive)
    try:
        lines = eventually(lambda: _done(hive))
        words = [line.split(" ", 3) for line in lines if " TRY " in line]
        tried = hive.home / "agents/worker/state/tried"
        eventually(lambda: tried.exists() and tried.read_text().endswith("TRIED\n"))
        more = [line.split(" ", 2) for line in tried.read_text().splitlines() if line.startswith("TRY ")]
        yield {word[2]: word[3] for word in words} | {word[1]: word[2] for word in more}
    finally:
        hive.close()


def _let_try(hive: TestHive) -> None:
    """Have a program of another agent's harness try what it can reach of that, once its page is served."""
    toml = 'runner = "exec"\ncommand = ["sh", "/config/tries.sh"]\n'
    hive.configure("worker", toml)
    port = free_port()
    (hive.home / "agents/worker/port").write_text(f"{port}\n")
    hive.propose("worker", toml + "# x\n", files={"tries.sh": f"exec >/state/tried 2>&1\n{TRY}{OF_THE_HARNESS}"})
    hive.run("spawn", "worker")
    eventually(lambda: listeners(port))
    hive.run("send", "worker", "go")


def _done(hive: TestHive) -> list[str]:
    lines = hive.run("journal", "coder", "--lines", "1000").stdout.splitlines()
    return lines if any(line.endswith("TRIED") for line in lines) else []


@pytest.mark.parametrize("reach", [*REACHES, *HARNESS_REACHES])
def test_a_hostile_agent_does_not_reach(tried: dict[str, str], reach: str) -> None:
    assert tried[reach] == "held"


def test_what_an_agent_may_read_is_told_as_reached(tried: dict[str, str]) -> None:
    assert tried["control"].startswith("REACHED runner")
    assert "hive_agent" in tried["harness_control"]


@needs_root
def test_a_plain_user_s_hostile_agent_reaches_no_more(tmp_path: Path) -> None:
    python, checkout = runnable(USER)
    os.chown(tmp_path, USER, USER)
    for folder in list(tmp_path.parents)[:3]:
        folder.chmod(0o755)
    these = [
        python,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--basetemp",
        f"{tmp_path}/tests",
        "tests/test_reach.py",
    ]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "CI": "true",
        "PYTHONPATH": f"{checkout}:{packages_of(checkout)}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [*become(USER), *these, "-k", "not plain_user"],
        capture_output=True,
        text=True,
        check=False,
        cwd=checkout,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(REACHES) + len(HARNESS_REACHES) + 1} passed" in done.stdout
