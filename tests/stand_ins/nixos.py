"""Plays nixos-container, and systemctl and journalctl as far as they have to do with its containers.

`nixos.py ROOT PROGRAM ARGUMENTS...`: the machine is the folder ROOT. A container is the service of its system, in
bubblewrap with what the conf's flags show. What the real ones do to whoever relies on them, they do here:
a failed `create` leaves its conf behind, `destroy` of what is not there succeeds, codes are errno's, and a start soon
after a kill may find what that left in its way (ROOT/busy says how often): systemctl says nothing of it, the journal does.
A container's journal is not its program's alone.
A start may wait for a while, as that of a whole system does (ROOT/boot says for how many seconds).
"""

from __future__ import annotations

# Most calls are short, and there are many: each imports what it needs.
import contextlib
import json
import os
import re
import select
import signal
import sys
import time
from pathlib import Path

ROOT = Path(sys.argv[1])
CONFS, STATES = ROOT / "etc/nixos-containers", ROOT / "var/lib/nixos-containers"
# Descriptors: what a start waits for, and by which a container's program says that it is there. A shell knows one digit.
TOLD, BEGUN = 8, 9
PROFILES, UNITS = ROOT / "nix/var/nix/profiles/per-container", ROOT / "run/units"
DROP_INS, READ = ROOT / "run/systemd/system", ROOT / "run/read"


def fail(text, code=1):
    sys.stderr.write(f"{text}\n")
    sys.exit(code)


# --- nixos-container


def nixos_container(verb, name, *options):
    if not re.fullmatch(r"[a-zA-Z0-9_-]{1,11}", name):
        fail(f"nixos-container: invalid container name {name}", 22)
    conf = CONFS / f"{name}.conf"
    if verb == "create":
        create(conf, name, options)
    elif verb == "destroy" and conf.exists():
        import shutil

        stop(name)
        conf.unlink()
        shutil.rmtree(STATES / name, ignore_errors=True)
        shutil.rmtree(PROFILES / name, ignore_errors=True)
        (UNITS / f"{name}.json").unlink(missing_ok=True)


def create(conf, name, options):
    if conf.exists():
        fail(f"nixos-container: the container {name} already exists", 17)
    CONFS.mkdir(parents=True, exist_ok=True)
    conf.write_text("PRIVATE_NETWORK=1\nHOST_ADDRESS=10.233.1.1\nLOCAL_ADDRESS=10.233.1.2\nHOST_BRIDGE=\nHOST_PORT=\n")
    Path(".tmp").touch()
    if (ROOT / "fail-create").exists():
        fail("nixos-container: failed to build initial container configuration", 12)
    assert options[0] == "--system-path"
    (STATES / name / "etc").mkdir(parents=True)
    profile(name).parent.mkdir(parents=True)
    profile(name).symlink_to(options[1])


def profile(name):
    return PROFILES / name / "system"


# --- systemctl


def systemctl(verb, *words):
    options = [word for word in words if word.startswith("--") and word != "--"]
    units = [word for word in words if not word.startswith("-")]
    if verb == "show":
        return show(units, options)
    if verb == "is-system-running":
        return print("running")
    if verb == "daemon-reload":
        for read_before in READ.glob("*"):
            read_before.unlink()
    names = [re.fullmatch(r"container@(.+)\.service", unit)[1] for unit in units]
    for name in names:
        {"start": start, "stop": stop, "kill": kill, "reset-failed": lambda _name: None}[verb](name)
    return None


def show(units, options):
    (wanted,) = (option.partition("=")[2].split(",") for option in options if option.startswith("--property"))
    blocks = []
    for unit in units:
        state = read(unit.removeprefix("container@").removesuffix(".service"))
        fields = {
            "Id": unit,
            "ActiveState": state.get("state", "inactive"),
            "InvocationID": state.get("invocation", ""),
            "MainPID": str(state.get("pid", 0)),
            "ExecMainStartTimestamp": moment(state.get("started_at")),
        }
        blocks.append("\n".join(f"{key}={fields[key]}" for key in wanted))
    print("\n\n".join(blocks))


def drop_in(unit):
    try:
        return (DROP_INS / f"{unit}.d/hive.conf").read_text()
    except FileNotFoundError:
        return ""


def loaded(unit):
    """What systemd has read of a unit: what was there when it first had to do with it, or since it was told to."""
    READ.mkdir(parents=True, exist_ok=True)
    kept = READ / unit
    if not kept.exists():
        beside = READ / f".{unit}.{os.getpid()}"
        beside.write_text(drop_in(unit))
        beside.replace(kept)
    return kept.read_text()


def moment(at):
    from datetime import datetime, timezone

    return "" if at is None else datetime.fromtimestamp(at, timezone.utc).strftime("%a %Y-%m-%d %H:%M:%S.%f UTC")  # noqa: UP017


def read(name):
    try:
        return json.loads((UNITS / f"{name}.json").read_text())
    except FileNotFoundError:
        return {}


def write(name, **state):
    UNITS.mkdir(parents=True, exist_ok=True)
    beside = UNITS / f".{name}.{os.getpid()}"
    beside.write_text(json.dumps({**read(name), **state}))
    beside.replace(UNITS / f"{name}.json")


def alone(name):
    """Be the one job on a unit: the lock is held until this process ends, or lets go of it."""
    import fcntl

    UNITS.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(UNITS / f"{name}.job", os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def start(name):
    job = alone(name)
    if not (CONFS / f"{name}.conf").exists():
        fail(f"Failed to start container@{name}.service: Unit container@{name}.service not found.", 5)
    if read(name).get("state") == "active":
        return
    loaded(f"container@{name}.service")
    busy = ROOT / "busy"
    if busy.exists():
        left = int(busy.read_text()) - 1
        busy.write_text(str(left)) if left else busy.unlink()
        write(name, state="failed", invocation=os.urandom(16).hex(), pid=0, started_at=time.time())
        (ROOT / "said").write_text(f"Mount point '/run/systemd/nspawn/unix-export/{name}' exists already, refusing.\n")
        fail(f"Job for container@{name}.service failed because the control process exited with error code.")
    (ROOT / "said").unlink(missing_ok=True)
    if (ROOT / "boot").exists():
        time.sleep(float((ROOT / "boot").read_text()))
    ready, told = os.pipe()
    if os.fork() == 0:
        os.setsid()
        os.close(ready)
        os.close(job)
        null = os.open("/dev/null", os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.dup2(told, TOLD)
        os.close(told)
        run(name)
        os._exit(0)
    os.close(told)
    os.read(ready, 1)


def stop(name):
    alone(name)
    if read(name).get("state") != "active":
        return
    with contextlib.suppress(ProcessLookupError):
        keeper = os.pidfd_open(read(name)["keeper"])
        ask(name, signal.SIGTERM)
        # Whoever looks after it ends when all is written down.
        select.select([keeper], [], [])


def kill(name):
    if read(name).get("state") != "active":
        fail(f"Failed to kill unit container@{name}.service: Unit is not active", 1)
    ask(name, signal.SIGKILL)


def ask(name, number):
    """Signal what runs in a container: its programs, or all of it at once."""
    pid = read(name).get("pid", 0)
    targets = [pid] if number == signal.SIGKILL else below(pid)
    for target in targets if pid else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(target, number)


def below(pid):
    try:
        children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
    return [found for child in children for found in [*below(child), child]]


# --- a container


def run(name):
    """Be what looks after one start of a container, as systemd does."""
    # Here: most that is asked of this program is how a container is.
    import shlex
    import subprocess

    conf = dict(line.split("=", 1) for line in (CONFS / f"{name}.conf").read_text().splitlines())
    settings = [line.split("=", 1) for line in loaded(f"container@{name}.service").splitlines() if "=" in line]
    ((unit, service),) = json.loads((profile(name).resolve() / "services.json").read_text()).items()
    flags = [flag.split("=", 1) for flag in conf["EXTRA_NSPAWN_FLAGS"].split()]
    given = service["serviceConfig"].get("StandardInput", "").rpartition("/")[2]
    keys = dict(value.split(":", 1) for flag, value in flags if flag == "--load-credential")
    invocation = os.urandom(16).hex()
    note(name, "init.scope", f"Starting {unit}.service...")
    began, begun = os.pipe()
    os.dup2(begun, BEGUN)
    os.close(begun)
    with open(keys[given] if given else "/dev/null", "rb") as stdin:
        child = subprocess.Popen(
            argv(conf, flags, service),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={},
            pass_fds=[BEGUN],
        )
    os.close(BEGUN)
    # Before its program is there, nobody would hear a signal. This ends, too, where it never comes to be there.
    os.read(began, 1)
    now = {"invocation": invocation, "pid": child.pid, "started_at": time.time(), "keeper": os.getpid()}
    write(name, state="active", **now)
    os.write(TOLD, b".")
    os.close(TOLD)
    for line in child.stdout:
        note(name, f"{unit}.service", line.decode(errors="replace").rstrip("\n"))
    code = child.wait()
    for line in (f"{unit}.service: Main process exited.", "Shutting down."):
        note(name, "init.scope", line)
    how, status = ("exited", str(code)) if code >= 0 else ("killed", signal.Signals(-code).name.removeprefix("SIG"))
    if code > 128:  # bubblewrap's way to say what its child was ended by
        how, status = "exited", str(code)
    result = "success" if code == 0 else ("exit-code" if how == "exited" else "signal")
    words = {"INVOCATION_ID": invocation, "SERVICE_RESULT": result, "EXIT_CODE": how, "EXIT_STATUS": status}
    for key, value in settings:
        if key == "ExecStopPost":
            command = shlex.split(value.removeprefix("+").replace("$$", "$").replace("%%", "%"))
            subprocess.run(command, env={**words, "PATH": "/usr/bin:/bin"}, check=True)
    write(name, state="inactive" if code == 0 else "failed", pid=0)


def argv(conf, flags, service):
    words = ["bwrap", "--unshare-pid", "--die-with-parent", "--ro-bind", "/usr", "/usr", "--ro-bind", "/etc", "/etc"]
    for link in ("bin", "sbin", "lib", "lib64"):
        words += ["--symlink", f"usr/{link}", f"/{link}"]
    words += [
        "--perms",
        "0755",
        "--dir",
        "/nix",
        "--ro-bind",
        "/nix/store",
        "/nix/store",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--tmpfs",
        "/tmp",
    ]
    for flag, value in flags:
        if flag in ("--bind", "--bind-ro"):
            words += ["--bind" if flag == "--bind" else "--ro-bind", *value.split(":")]
    words += ["--chdir", service["serviceConfig"]["WorkingDirectory"]]
    # The agent's user in the container is this one of the machine's.
    if conf["PRIVATE_USERS"].isdigit():
        user = int(conf["PRIVATE_USERS"]) + 1000
        words += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    path = ":".join([*(f"{package}/bin" for package in service["path"]), "/usr/bin:/bin"])
    return [
        *words,
        "/usr/bin/env",
        f"PATH={path}",
        "/bin/sh",
        "-c",
        f"echo >&{BEGUN}; exec {BEGUN}>&-; set -e\n{service['script']}",
    ]


def note(name, unit, text):
    journal = STATES / name / "var/log/journal/0123/system.journal"
    journal.parent.mkdir(parents=True, exist_ok=True)
    entry = {"__REALTIME_TIMESTAMP": str(time.time_ns() // 1000), "MESSAGE": text, "_SYSTEMD_UNIT": unit}
    with journal.open("a") as file:
        file.write(json.dumps({"__CURSOR": f"s=0;i={file.tell()}", **entry}) + "\n")


# --- journalctl


def journalctl(*words):
    options = [word for word in words if word.startswith("--")]
    units = {word.partition("=")[2] for word in words if word.startswith("_SYSTEMD_UNIT=")}
    given = dict(option.removeprefix("--").partition("=")[::2] for option in options)
    if "directory" not in given:  # the machine's own
        said = ROOT / "said"
        return print(said.read_text(), end="") if said.exists() else None
    files = Path(given["directory"]).glob("*/system.journal")
    entries = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    if units:
        entries = [entry for entry in entries if entry["_SYSTEMD_UNIT"] in units]
    if "since" in given:
        first = float(given["since"].removeprefix("@")) * 1e6
        entries = [entry for entry in entries if int(entry["__REALTIME_TIMESTAMP"]) >= first]
    if "after-cursor" in given:
        places = [entry["__CURSOR"] for entry in entries]
        entries = entries[places.index(given["after-cursor"]) + 1 :]
    for entry in entries[-int(given["lines"]) :] if "lines" in given else entries:
        print(json.dumps(entry))
    return None


{"nixos-container": nixos_container, "systemctl": systemctl, "journalctl": journalctl}[sys.argv[2]](*sys.argv[3:])
