"""Run every operation in this process, and tell of whatever it opens, lists, starts or locks inside a change.

A change is what SQLite itself says it is, from its `begin immediate` to its end; what is opened is what Python tells
an audit hook. Neither knows anything of hive's own guard. Prints one line of JSON: the operations that ran, and what
was done inside a change.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hive_agent import MANAGER
from hive_core import settings, store
from hive_core.caller import THE_OPERATOR, Identity, Role
from hive_core.context import Hive
from hive_faces.serve import serve
from hive_faces.verbs import everything
from hive_fleet.watching.rounds import tick
from tests import noticing

CONFIGURATION = 'runner = "claude"\n'
THE_MANAGER, CODER = Identity(Role.MANAGER, MANAGER), Identity(Role.AGENT, "coder")
AUDITED = {"open", "os.listdir", "os.scandir", "subprocess.Popen", "os.posix_spawn", "fcntl.flock", "socket.connect"}

local = threading.local()
found: list[str] = []
ran: list[str] = []
forgotten: list[str] = []
hive = Hive.open(settings.from_environment(os.environ))


def connect(path: Any) -> store.Connection:
    """A connection that tells of its changes."""
    made: store.Connection = real_connect(path)

    def trace(statement: str) -> None:
        word = statement.strip().split()[0].lower() if statement.strip() else ""
        if statement.strip().lower() == "begin immediate":
            local.changing = True
        elif word in ("commit", "rollback"):
            local.changing = False

    made.set_trace_callback(trace)
    return made


def audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event in AUDITED and getattr(local, "changing", False) and is_foreign(event, arguments[0]):
        found.append(f"{ran[-1:]}: {event} {arguments[0]!r}")


def is_foreign(event: str, path: Any) -> bool:
    """Whether it is an agent's or the backend's; of the folders that hold all agents' only the names are listed."""
    if event not in ("open", "os.listdir", "os.scandir"):
        return True
    text = os.fsdecode(path) if isinstance(path, (str, bytes)) else ""
    held = ("agents", "containers", "proposed", "applied")
    own = {str(hive.settings.home / name) for name in held}
    return not os.path.isabs(text) or (text not in own and any(text.startswith(f"{name}/") for name in own))


real_connect = store._connect
store._connect = connect
noticing.install(forgotten.append)


def call(verb: str, caller: Identity = THE_OPERATOR, **arguments: Any) -> Any:
    ran.append(verb)
    operation = everything()[verb]
    result = serve(hive.acting_as(caller), operation, operation.parse(arguments))
    return list(result) if verb in ("watch", "events") else result


def commit(config: Path, toml: str) -> str:
    """Commit a configuration in a clone; its sha."""
    from subprocess import run

    (config / "agent.toml").write_text(toml)
    run(["git", "-C", config, "commit", "-qam", "change"], check=True)
    return run(["git", "-C", config, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def operations() -> None:
    """Every operation that a change is part of, in an order in which all of them have something to do."""
    made()
    for part in (requested, run_and_ended, talked_to, notified, updated, looked_at, removed, kept):
        part()
    call("destroy", name="coder")
    call("purge", name="coder")
    call("vacuum"), call("disk")


def made() -> None:
    """An agent that there is something to look at of."""
    call("spawn", name="coder")
    for kind in ("claude", "codex"):
        (hive.agent_path("coder") / kind / ".credentials.json").write_text('{"claudeAiOauth": {"accessToken": "fake"}}')
    tick(hive, seed=True)


def requested() -> None:
    """Its configuration changed, and what else becomes of a request."""
    operators, managers = hive.agent_path("coder") / "config", hive.settings.proposed / "coder" / "config"
    request = call("request_commit", agent="coder", sha=commit(operators, f"{CONFIGURATION}# another\n"))
    call("show", id=request.id)
    call("approve", id=request.id)
    request = call("request_commit", agent="coder", sha=commit(operators, f"{CONFIGURATION}# the next\n"))
    call("approve", id=request.id)
    call("rollback", name="coder")
    request = call(
        "request_commit", caller=THE_MANAGER, agent="coder", sha=commit(managers, f"{CONFIGURATION}# more\n")
    )
    call("cancel", id=request.id, caller=THE_MANAGER)
    request = call("request_commit", agent="coder", sha=commit(operators, f"{CONFIGURATION}# still more\n"))
    call("deny", id=request.id)


def run_and_ended() -> None:
    for verb in ("stop", "start", "restart", "kill", "rebuild", "pause", "resume"):
        call(verb, name="coder")
    call("estop"), call("resume", all=True)
    call("model", name="coder", model="x")
    call("set_status", caller=CODER, state="thinking")
    call("set_model", caller=CODER, model="y")
    call("turn_settings", caller=CODER)


def talked_to() -> None:
    call("send", to="coder", body="hello")
    for verb in ("recv", "ack", "nack"):
        call(verb, caller=CODER)
    call("recent"), call("search", words="hello"), call("why", id=1), call("events")
    for caller in (CODER, THE_MANAGER):
        call("ask", caller=caller, question="what?")
    call("ask_operator", caller=THE_MANAGER, question="what?")


def notified() -> None:
    """The operator told of the questions, and then those answered."""
    call("needs_you"), call("acknowledge", id="question/2")
    settings_file = hive.settings.home / "hive.toml"
    settings_file.write_text('[notify.services]\nlog = ["/bin/true"]\n')
    hive.clock = lambda: time.time() + 60
    call("notify")
    hive.clock = time.time
    settings_file.unlink()
    call("answer", id=1, text="this"), call("cancel_question", id=2)


def updated() -> None:
    call("update", stale=True), call("meta_update", inputs=["hive"]), call("update", name="coder")
    call("watch", once=True)


def looked_at() -> None:
    for verb in ("state", "list", "approvals", "questions", "inputs", "tombstones", "doctor", "config", "migrate"):
        call(verb)
    for verb in ("journal", "timeline", "configuration", "history", "status"):
        call(verb, name="coder")


def removed() -> None:
    """The agent removed and brought back, and another asked for."""
    call("destroy", name="coder")
    call("approve", id=call("revive", name="coder").id)
    call("request_spawn", name="other", caller=THE_MANAGER)
    call("adopt")


def kept() -> None:
    with TemporaryDirectory() as folder:
        call("backup", folder=f"{folder}/kept")
        call("install_service", dry_run=True)
        call("restore", folder=f"{folder}/kept")


def main() -> None:
    sys.addaudithook(audit)
    try:
        operations()
    finally:
        for name in hive.host.containers():
            hive.host.destroy(name)
    print(json.dumps({"ran": sorted(set(ran)), "found": found, "forgotten": sorted(set(forgotten))}))


if __name__ == "__main__":
    main()
