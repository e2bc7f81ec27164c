"""What a hostile program in an agent's container can reach of the machine: a test per reach, tried for real."""

from __future__ import annotations

import functools
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hive_core.containers.local.confine import KEYCTL
from hive_core.containers.local.doors import look
from hive_core.containers.local.listeners import listeners
from tests.agent.browser import free_port
from tests.clients import Client
from tests.hives import TestHive, eventually
from tests.needs import needs_root, requires
from tests.programs import path_without
from tests.users import USER, open_folder, run_tests_as

# What is taken away from the PATH, for hive to take this sandbox.
HIDDEN = {"bwrap": (), "unshare": ("bwrap",)}

# Each try prints its name and what came of it; a secret that is seen is printed, so that the test finds it.
TRY = r"""
try() {
    name=$1; shift
    if out=$("$@" 2>&1); then echo "TRY $name REACHED $out" | tr '\n' ' '; else echo "TRY $name held"; fi
    echo
}
"""
TRIES = r"""
python=$(ls /hive/python/bin/python3* /usr/bin/python3.* 2>/dev/null | head -n 1)
asking() {
    printf '%s\n' "import ctypes, os, socket, sys" "libc = ctypes.CDLL(None)" "$1" | "$python" -I -S -
}
page() {
    asking "
for key in ($3):
    told = {'Host': '127.0.0.1:PAGEPORT', 'Content-Length': 2, 'Connection': 'close', 'Authorization': 'Bearer %s' % key}
    told.update({$4})
    head = ''.join('%s: %s\r\n' % each for each in told.items())
    with socket.create_connection(('127.0.0.1', PAGEPORT), 30) as page:
        page.sendall(('$1 $2 HTTP/1.1\r\n%s\r\n{}' % head).encode())
        answer = page.makefile('rb').read()
    status = int(answer.split()[1])
    print(status, answer[:200])
    if status not in (401, 403, 421, 429): sys.exit(0)
sys.exit(1)"
}
# One walk for all that is looked for by its name, past what is proven to be the machine's own as it is: nothing is mounted in it.
past=
for each in SYSTEM; do
    folder=${each%=*}
    [ "$(stat -c %d:%i "$folder")" = "${each#*=}" ] || continue
    cut -d " " -f 5 /proc/self/mountinfo | grep -q "^$folder/" || past="$past -path $folder -prune -o"
done
walked=$(find / -path /proc -prune -o $past -print 2>/dev/null)
placed() {
    ls "$1" || printf '%s\n' "$walked" | grep "/$2\$"
}
try control cat /config/agent.toml
try control_of_the_walk placed /nowhere agent.toml
try host_socket placed ROOT/run/host.sock host.sock
try database cat ROOT/home/hive.db
try locks sh -c 'ls ROOT/home/locks'
try other_socket sh -c 'ls ROOT/run/sockets/other || ls ROOT/run/agents || ls /run/hive | grep -v "^agent.sock$"'
try other_folders sh -c 'ls ROOT/home/agents/other || ls /agents'
try repositories sh -c 'ls ROOT/home/applied || ls ROOT/home/proposed || ls /applied || ls /meta'
# Of a Python that was built with a library of its own, that library lies where the Python looks for it.
try operator_files sh -c 'cat ROOT/nobody/secret || find /root /home ! -type d 2>/dev/null | grep -v "/libpython3[^/]*$"'
try beside_a_cli sh -c 'ls -A "${HIVE_CLAUDE%/*}" | grep -v "^claude$"'
try operator_keys placed ROOT/nobody/.ssh operators-key
try named_in_the_environment ls "$HOME_OF_THE_OPERATOR"
try named_as_a_server cat ROOT/nobody/server
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
try keys_of_the_user asking "sys.exit(libc.syscall(KEYCTL, 11, ctypes.c_int(-4), 0, 0) < 0)"
try keys_of_the_session asking "sys.exit(libc.syscall(KEYCTL, 11, ctypes.c_int(-3), 0, 0) < 0)"
try keys_by_their_name asking "sys.exit(libc.syscall(KEYCTL - 1, b'user', b'hive-operators-key', None, 0) < 0)"
try a_key_of_its_own asking "sys.exit(libc.syscall(KEYCTL - 2, b'user', b'x', b'x', 1, ctypes.c_int(-4)) < 0)"
try a_way_past_the_filter asking "sys.exit(libc.syscall(425, 1, ctypes.create_string_buffer(256)) < 0)"
try another_architecture_s_calls asking "sys.exit(os.uname().machine == 'x86_64' and libc.syscall(0x40000000 + 39) < 0)"
try sockets_to_the_host asking "socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)"
try abstract_sockets asking "socket.socket(socket.AF_UNIX).connect(chr(0) + 'ABSTRACT')"
try page_control page GET / "'',"
try page_state page GET /api/state "'',"
try page_events page GET /events "'',"
try page_metrics page GET /metrics "'',"
try page_approve page POST /approve/1 "'',"
try page_spawn page POST /spawn "'',"
try page_by_guesses page POST /destroy/other "range(100)"
try page_by_another_name page GET / "''," "'Host': 'evil.example:PAGEPORT'"
try page_from_another page GET /api/state "''," "'Origin': 'http://127.0.0.1:8100'"
try page_keys placed ROOT/home/page.json page.json
try page_of_the_fleet asking "
page = socket.socket()
page.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
page.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
page.bind(('', PAGEPORT))
page.listen()"
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
    printf '%s\n' "import json, os, socket, sys" "$1" | "$PYTHON" -S -
}
try harness_control sh -c 'cat /proc/$HARNESS/cmdline; grep -i State /proc/$HARNESS/status'
try harness_environment cat /proc/$HARNESS/environ
try harness_memory sh -c 'cat /proc/$HARNESS/maps || : </proc/$HARNESS/mem'
try harness_descriptors sh -c 'ls /proc/$HARNESS/fd/ || cat </proc/$HARNESS/fd/0'
try key_in_an_environment sh -c 'cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | grep -aoE "[0-9a-f]{64}"'
try key_in_a_file grep -raoE '\b[0-9a-f]{64}\b' /state /claude /run/hive /tmp /dev/shm
try key_on_standard_input sh -c 'cat </proc/1/fd/0 | grep .'
# Part of it is loaded when it is first needed, and so after a program of the agent's may have put something there.
try code_it_has_yet_to_load asking "
import site
places = ['/hive', '/hive/hive_agent', *sys.path[1:], *site.getsitepackages()]
sys.exit(not [place for place in places if os.access(place, os.W_OK)])"
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
try operators_socket asking "
with socket.socket(socket.AF_UNIX) as gate:
    gate.connect('/run/hive/operators.sock')
    gate.sendall(b'{\\"cmd\\": \\"list\\"}\\n')
    sys.exit(not json.loads(gate.makefile().readline())['ok'])"
try ptrace_the_harness asking "
import ctypes
sys.exit(ctypes.CDLL(None).ptrace(0x4206, int(os.environ['HARNESS']), 0, 0) != 0)"
try its_descriptors_by_pidfd asking "
import ctypes
sys.exit(ctypes.CDLL(None).syscall(438, os.pidfd_open(int(os.environ['HARNESS'])), 0, 0) < 0)"
echo TRIED
"""
# What older kernels cannot close.
DOORS = {"abstract_sockets": "abstract"}
HARNESS_REACHES = [line.split()[1] for line in OF_THE_HARNESS.splitlines() if line.startswith("try ")][1:]
# What the kernel may be too old, or was built, not to close.
DOORS = {"abstract_sockets": "abstract"}
REACHES = [line.split()[1] for line in TRIES.splitlines() if line.startswith("try ") and "control" not in line]


@pytest.fixture(scope="module", params=[pytest.param(name, marks=requires(name)) for name in HIDDEN])
def tried(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """What each try of one hostile agent came to, by name, with another agent and the sockets beside it."""
    with _open_hive(*HIDDEN[request.param]) as hive, socket.socket(socket.AF_UNIX) as listener:
        hive.spawn("other")
        toml = f'''runner = "command"
command = ["sh", "/config/tries.sh"]
[environment]
HOME_OF_THE_OPERATOR = "{hive.root}/nobody"
[mcp_servers.theirs]
command = "{hive.root}/nobody/server"
'''
        hive.configure("coder", toml)
        listener.bind(f"\0{hive.root}")
        listener.listen()
        page = free_port()
        hive.start("page", "--port", str(page))
        eventually((hive.home / "page.json").exists)
        told = {
            "PAGEPORT": str(page),
            "ROOT": str(hive.root),
            "KEYCTL": str(KEYCTL[os.uname().machine]),
            "ABSTRACT": str(hive.root),
            "SYSTEM": " ".join(f"{place}={seen.st_dev}:{seen.st_ino}" for place, seen in _system()),
        }
        script = functools.reduce(lambda text, name: text.replace(name, told[name]), told, TRY + TRIES)
        hive.propose("coder", toml + "# x\n", files={"tries.sh": script})
        hive.run("spawn", "coder")
        assert json.loads((hive.home / "containers/coder/run.json").read_text())["sandbox"] == request.param
        _let_try(hive)
        lines = eventually(lambda: _done(hive))
        words = [line.split(" ", 3) for line in lines if " TRY " in line]
        tried = hive.home / "agents/worker/state/tried"
        eventually(lambda: tried.exists() and tried.read_text().endswith("TRIED\n"))
        more = [line.split(" ", 2) for line in tried.read_text().splitlines() if line.startswith("TRY ")]
        yield {word[2]: word[3] for word in words} | {word[1]: word[2] for word in more}


def _system() -> Iterator[tuple[str, os.stat_result]]:
    """The large folders of the machine that every container is shown."""
    for place in ("/usr", "/nix/store"):
        if os.path.isdir(place):
            yield place, os.stat(place)


@contextmanager
def _open_hive(*hidden: str) -> Iterator[TestHive]:
    """A hive there, for which some programs are not installed; its operator's socket has a mode that lets all in."""
    with open_folder() as root:
        hive = TestHive(root)
        hive.extra["PATH"] = path_without(root / "programs", *hidden)
        hive.extra["HIVE_CLAUDE"] = str(_operators_home(root / "nobody") / "claude")
        try:
            hive.start("gate")
            eventually((root / "run/host.sock").exists)
            with Client(root / "run/host.sock") as client:
                # Served, so its mode is set.
                assert client.ask("list")["ok"]
            (root / "run/host.sock").chmod(0o666)
            yield hive
        finally:
            hive.close()


def _operators_home(home: Path) -> Path:
    """A home with a CLI lying about in it, beside what is nobody's business."""
    (home / ".ssh").mkdir(parents=True)
    for name in ("secret", "claude", "server", ".ssh/operators-key"):
        (home / name).write_text("a secret of the operator's")
        (home / name).chmod(0o755)
    return home


def _let_try(hive: TestHive) -> None:
    """Have a program of another agent's harness try what it can reach of that, once its page is served."""
    toml = 'runner = "exec"\ncommand = ["sh", "/config/tries.sh"]\n'
    hive.configure("worker", toml)
    port = free_port()
    (hive.home / "agents/worker/port").write_text(f"{port}\n")
    hive.propose("worker", toml + "# x\n", files={"tries.sh": f"exec >/state/tried 2>&1\n{TRY}{OF_THE_HARNESS}"})
    hive.run("spawn", "worker")
    # As if the sandbox showed it.
    os.link(hive.root / "run/host.sock", hive.root / "run/sockets/worker/operators.sock")
    eventually(lambda: listeners([port]).get(port))
    hive.asked("send", to="worker", body="go")


@functools.cache
def doors() -> dict[str, bool]:
    return {door: closed for door, closed, _words in look()}


def _done(hive: TestHive) -> list[str]:
    lines: list[str] = hive.asked("journal", name="coder", lines=1000)
    return lines if any(line.endswith("TRIED") for line in lines) else []


@pytest.mark.parametrize("reach", [*REACHES, *HARNESS_REACHES])
def test_a_hostile_agent_does_not_reach(tried: dict[str, str], reach: str) -> None:
    if reach in DOORS and not doors()[DOORS[reach]]:
        assert tried[reach].startswith("REACHED"), "and `hive doctor` says that it is open"
    else:
        assert tried[reach] == "held"


def test_what_an_agent_may_read_is_told_as_reached(tried: dict[str, str]) -> None:
    assert tried["control"].startswith("REACHED runner")
    assert "hive_agent" in tried["harness_control"]
    assert tried["page_control"].startswith("REACHED 200")
    assert "/config/agent.toml" in tried["control_of_the_walk"]


def test_without_any_sandbox_the_operator_s_socket_lets_no_agent_in() -> None:
    asking = [
        "import contextlib, socket",
        "gate = socket.socket(socket.AF_UNIX)",
        "gate.connect('host.sock')",
        "with contextlib.suppress(BrokenPipeError):",  # It may be refused before it has asked.
        "    gate.sendall(b'{\\x22cmd\\x22: \\x22list\\x22}' + bytes([10]))",
        "print(gate.makefile().readline())",
    ]
    with _open_hive("bwrap", "setpriv") as hive:
        # Its parents have ended, and it has a session of its own: nothing of its start is left on it.
        away = f'exec >answer 2>&1 </dev/null; cd {hive.root}/run; exec setsid python3 -c "{os.linesep.join(asking)}"'
        hive.spawn("coder", f"command = ['sh', '-c', '''( ({away}) & ) ; exec sleep infinity''']\n")
        answer = hive.home / "agents/coder/state/answer"
        eventually(lambda: answer.exists() and answer.read_text().endswith("\n"))
        text = answer.read_text()
    assert text.startswith("{"), text
    said = json.loads(text)
    assert said["ok"] is False
    assert said["error"].startswith("This socket is ")


@needs_root
def test_a_plain_user_s_hostile_agent_reaches_no_more() -> None:
    with open_folder() as folder:
        done = run_tests_as(USER, folder, "tests/test_reach.py", "-k", "not plain_user", CI="true")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(HIDDEN) * (len(REACHES) + len(HARNESS_REACHES) + 1) + 1} passed" in done.stdout
