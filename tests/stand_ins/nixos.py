"""Plays nixos-container, and systemctl and journalctl as far as they have to do with its containers.

`nixos.sh ROOT PROGRAM ARGUMENTS...`, which answers what is asked most and hands the rest to this: the machine is the
folder ROOT. A container is the service of its system, in bubblewrap with what the conf's flags show. What the real ones
do to whoever relies on them, they do here:
a failed `create` leaves its conf behind, `destroy` of what is not there succeeds, codes are errno's, and a start soon
after a kill may find what that left in its way (ROOT/busy says how often): systemctl says nothing of it, the journal does,
a look later (ROOT/late).
A container's journal is not its program's alone.
A start may wait for a while, as that of a whole system does (ROOT/boot says for how many seconds).
"""

from __future__ import annotations

# Most calls are short, and there are many: what is imported here takes no time, and what does is imported where it is
# needed, if it is.
import os
import sys
import time

ROOT = sys.argv[1]
CONFS, STATES = f"{ROOT}/etc/nixos-containers", f"{ROOT}/var/lib/nixos-containers"
PROFILES, UNITS = f"{ROOT}/nix/var/nix/profiles/per-container", f"{ROOT}/run/units"
DROP_INS, READ = f"{ROOT}/run/systemd/system", f"{ROOT}/run/read"
# Descriptors: what a start waits for, and by which a container's program says that it is there. A shell knows one digit.
TOLD, BEGUN = 8, 9
# As the module signal has them, which takes as long to import as all the rest.
KILL, TERM = 9, 15


def fail(words, code=1):
    sys.stderr.write(f"{words}\n")
    sys.exit(code)


def text(path):
    """What is in a file, nothing where there is none."""
    try:
        with open(path, newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def put(path, content):
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    beside = f"{folder}/.{name}.{os.getpid()}"
    with open(beside, "w") as file:
        file.write(content)
    os.replace(beside, path)


def fields(content):
    return dict(line.split("=", 1) for line in content.splitlines() if "=" in line)


def spawned(argv, environment, actions=()):
    # A Python has SIGPIPE and SIGXFSZ ignored.
    return os.posix_spawnp(argv[0], argv, environment, file_actions=actions, setsigdef=(13, 25))


def code_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


# --- nixos-container


def nixos_container(verb, name, *options):
    if not (0 < len(name) <= 11 and name.isascii() and name.replace("-", "_").isidentifier()):
        fail(f"nixos-container: invalid container name {name}", 22)
    conf = f"{CONFS}/{name}.conf"
    if verb == "create":
        create(conf, name, options)
    elif verb == "destroy" and os.path.exists(conf):
        stop(name)
        code_of(spawned(["rm", "-rf", conf, f"{STATES}/{name}", f"{PROFILES}/{name}", f"{UNITS}/{name}"], os.environ))


def create(conf, name, options):
    if os.path.exists(conf):
        fail(f"nixos-container: the container {name} already exists", 17)
    put(conf, "PRIVATE_NETWORK=1\nHOST_ADDRESS=10.233.1.1\nLOCAL_ADDRESS=10.233.1.2\nHOST_BRIDGE=\nHOST_PORT=\n")
    open(".tmp", "w").close()
    if os.path.exists(f"{ROOT}/fail-create"):
        fail("nixos-container: failed to build initial container configuration", 12)
    assert options[0] == "--system-path"
    os.makedirs(f"{STATES}/{name}/etc")
    os.makedirs(f"{PROFILES}/{name}")
    os.symlink(options[1], f"{PROFILES}/{name}/system")


# --- systemctl


def systemctl(verb, *words):
    for unit in [word for word in words if not word.startswith("-")]:
        name = unit.removeprefix("container@").removesuffix(".service")
        {"start": start, "stop": stop, "kill": kill, "reset-failed": lambda _name: None}[verb](name)


def loaded(unit):
    """What systemd has read of a unit: what was there when it first had to do with it, or since it was told to."""
    if not os.path.exists(f"{READ}/{unit}"):
        put(f"{READ}/{unit}", text(f"{DROP_INS}/{unit}.d/hive.conf"))
    return text(f"{READ}/{unit}")


def read(name):
    """How a container is, by the properties that systemctl shows of it, and by who looks after it."""
    return fields(text(f"{UNITS}/{name}"))


def write(name, state, **more):
    now = {"Id": f"container@{name}.service", **read(name), "ActiveState": state, **more}
    put(f"{UNITS}/{name}", "".join(f"{key}={value}\n" for key, value in now.items()))


def begun(invocation, pid):
    at = time.time_ns() // 1000
    moment = time.strftime("%a %Y-%m-%d %H:%M:%S", time.gmtime(at // 10**6))
    return {
        "InvocationID": invocation,
        "MainPID": pid,
        "ExecMainStartTimestamp": f"{moment}.{at % 10**6:06} UTC",
    }


def is_active(name):
    return read(name).get("ActiveState") == "active"


def alone(name):
    """Be the one job on a unit: the lock is held until this process ends, or lets go of it."""
    import fcntl

    os.makedirs(UNITS, exist_ok=True)
    descriptor = os.open(f"{UNITS}/{name}.job", os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def start(name):
    job = alone(name)
    if not os.path.exists(f"{CONFS}/{name}.conf"):
        fail(f"Failed to start container@{name}.service: Unit container@{name}.service not found.", 5)
    if is_active(name):
        return
    loaded(f"container@{name}.service")
    left = text(f"{ROOT}/busy")
    if left:
        os.unlink(f"{ROOT}/busy") if int(left) == 1 else put(f"{ROOT}/busy", str(int(left) - 1))
        write(name, "failed", **begun(os.urandom(16).hex(), 0))
        put(f"{ROOT}/said", f"Mount point '/run/systemd/nspawn/unix-export/{name}' exists already, refusing.\n")
        fail(f"Job for container@{name}.service failed because the control process exited with error code.")
    put(f"{ROOT}/said", "")
    time.sleep(float(text(f"{ROOT}/boot") or 0))
    ready, told = os.pipe()
    if os.fork() == 0:
        os.setsid()
        os.close(ready)
        os.close(job)
        null = os.open("/dev/null", os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.dup2(told, TOLD, inheritable=False)
        os.close(told)
        run(name)
        os._exit(0)
    os.close(told)
    os.read(ready, 1)


def stop(name):
    alone(name)
    if not is_active(name):
        return
    import select

    try:
        keeper = os.pidfd_open(int(read(name)["Keeper"]))
    except ProcessLookupError:
        return
    ask(name, TERM)
    # Whoever looks after it ends when all is written down.
    select.select([keeper], [], [])


def kill(name):
    if not is_active(name):
        fail(f"Failed to kill unit container@{name}.service: Unit is not active", 1)
    ask(name, KILL)


def ask(name, number):
    """Signal what runs in a container: its programs, or all of it at once."""
    pid = int(read(name).get("MainPID", 0))
    targets = [pid] if number == KILL else below(pid)
    for target in targets if pid else ():
        try:
            os.kill(target, number)
        except ProcessLookupError:
            continue


def below(pid):
    children = text(f"/proc/{pid}/task/{pid}/children").split()
    return [found for child in map(int, children) for found in [*below(child), child]]


# --- a container


def run(name):
    """Be what looks after one start of a container, as systemd does."""
    conf = fields(text(f"{CONFS}/{name}.conf"))
    settings = [line.split("=", 1) for line in loaded(f"container@{name}.service").splitlines() if "=" in line]
    units = f"{os.path.realpath(f'{PROFILES}/{name}/system')}/units"
    (unit,) = [entry for entry in os.listdir(units) if entry.endswith(".service")]
    service = fields(text(f"{units}/{unit}"))
    flags = [flag.split("=", 1) for flag in conf["EXTRA_NSPAWN_FLAGS"].split()]
    given = service.get("StandardInput", "").rpartition("/")[2]
    keys = dict(value.split(":", 1) for flag, value in flags if flag == "--load-credential")
    note = journal_of(name)
    note("init.scope", f"Starting {unit}...")
    began, begins = os.pipe()
    os.dup2(begins, BEGUN)
    os.close(begins)
    wrote, writes = os.pipe()
    actions = [(os.POSIX_SPAWN_OPEN, 0, keys[given] if given else "/dev/null", os.O_RDONLY, 0)]
    actions += [(os.POSIX_SPAWN_DUP2, writes, descriptor) for descriptor in (1, 2)]
    child = spawned(argv(conf, flags, service), {}, actions)
    os.close(BEGUN)
    os.close(writes)
    # Before its program is there, nobody would hear a signal. This ends, too, where it never comes to be there.
    os.read(began, 1)
    invocation = os.urandom(16).hex()
    write(name, "active", Keeper=os.getpid(), **begun(invocation, child))
    os.write(TOLD, b".")
    os.close(TOLD)
    with open(wrote, "rb") as lines:
        for line in lines:
            note(unit, line.decode(errors="replace").rstrip("\n"))
    code = code_of(child)
    for line in (f"{unit}: Main process exited.", "Shutting down."):
        note("init.scope", line)
    ended(name, invocation, code, [value for key, value in settings if key == "ExecStopPost"])


def ended(name, invocation, code, after):
    # Above 128 it is bubblewrap's way to say what its child was ended by.
    how, status, result = "exited", str(code), "exit-code" if code else "success"
    if code < 0:
        import signal

        how, status, result = "killed", signal.Signals(-code).name.removeprefix("SIG"), "signal"
    words = {"INVOCATION_ID": invocation, "SERVICE_RESULT": result, "EXIT_CODE": how, "EXIT_STATUS": status}
    for value in after:
        command = value.removeprefix("+").replace("$$", "$").replace("%%", "%").split()
        assert code_of(spawned(command, {**words, "PATH": "/usr/bin:/bin"})) == 0, command
    write(name, "failed" if code else "inactive", MainPID=0)


def argv(conf, flags, service):
    words = ["bwrap", "--unshare-pid", "--die-with-parent", "--ro-bind", "/usr", "/usr", "--ro-bind", "/etc", "/etc"]
    for link in ("bin", "sbin", "lib", "lib64"):
        words += ["--symlink", f"usr/{link}", f"/{link}"]
    words += ["--perms", "0755", "--dir", "/nix", "--ro-bind", "/nix/store", "/nix/store"]
    words += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    for flag, value in flags:
        if flag in ("--bind", "--bind-ro"):
            words += ["--bind" if flag == "--bind" else "--ro-bind", *value.split(":")]
    words += ["--chdir", service["WorkingDirectory"]]
    # The agent's user in the container is this one of the machine's.
    if conf["PRIVATE_USERS"].isdigit():
        user = int(conf["PRIVATE_USERS"]) + 1000
        words += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    script = f"echo >&{BEGUN}; exec {BEGUN}>&-; exec {service['ExecStart']}"
    return [*words, "/usr/bin/env", service["Environment"], "/bin/sh", "-c", script]


def journal_of(name):
    """What writes a line into a container's journal: when, who, and the words."""
    place = f"{STATES}/{name}/var/log/journal/0123/system.journal"
    os.makedirs(os.path.dirname(place), exist_ok=True)
    file = os.open(place, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
    return lambda unit, words: os.write(file, f"{time.time_ns() // 1000}\t{unit}\t{words}\n".encode())


# --- journalctl


def journalctl(*words):
    import json

    units = {word.partition("=")[2] for word in words if word.startswith("_SYSTEMD_UNIT=")}
    given = dict(word.removeprefix("--").partition("=")[::2] for word in words if word.startswith("--"))
    found = []
    for folder in os.listdir(given["directory"]):
        lines = text(f"{given['directory']}/{folder}/system.journal").split("\n")[:-1]
        found += [(number, *line.split("\t", 2)) for number, line in enumerate(lines)]
    if units:
        found = [entry for entry in found if entry[2] in units]
    if "since" in given:
        first = float(given["since"].removeprefix("@")) * 1e6
        found = [entry for entry in found if int(entry[1]) >= first]
    if "after-cursor" in given:
        found = [entry for entry in found if entry[0] > int(given["after-cursor"])]
    for number, at, unit, message in found[-int(given["lines"]) :] if "lines" in given else found:
        shown = {"__CURSOR": str(number), "__REALTIME_TIMESTAMP": at, "MESSAGE": message, "_SYSTEMD_UNIT": unit}
        print(json.dumps(shown))


{"nixos-container": nixos_container, "systemctl": systemctl, "journalctl": journalctl}[sys.argv[2]](*sys.argv[3:])
