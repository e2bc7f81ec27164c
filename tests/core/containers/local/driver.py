"""A process of its own that asks one thing of LocalHost, as the command line does, and answers with JSON.

`driver.py JSON` does so from the interpreter's start on, `driver.py --serve DESCRIPTOR` forks one for each request.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent.parent.parent))

from hive_core.containers.base import Container, View
from hive_core.containers.local.host import LocalHost
from hive_core.containers.local.sandbox import Sandbox
from hive_core.errors import HiveError
from hive_core.settings import from_environment

# Ignored signals are inherited: a hive that nohup started has SIGHUP ignored, and its agents must not.
signal.signal(signal.SIGHUP, signal.SIG_IGN)


def answer(asked: dict) -> object:
    home = asked["home"]
    settings = from_environment({"HIVE_HOME": home, "HIVE_RUN": f"{home}/run", "HOME": home})
    view = asked.get("view")
    harness = tuple(view["harness"]) if view and view["harness"] else None
    host = LocalHost(settings, Sandbox(asked["sandbox"]) if asked["sandbox"] else None, harness)
    if view is not None:
        view = View(
            view["uid"],
            _paths(view["read_write"]),
            _paths(view["read_only"]),
            view["environment"],
        )
    match asked["do"]:
        case "build":
            host.build(asked["name"], Path(asked["repository"]), asked["revision"], None)
        case "build and switch":
            host.build(asked["name"], Path(asked["repository"]), asked["revision"], None)
            host.switch(asked["name"], asked["revision"], view, run=asked["run"])
        case "switch":
            host.switch(asked["name"], asked["revision"], view, run=asked["run"])
        case "start":
            host.start(asked["name"], view)
        case "stop":
            host.stop(asked["name"], grace=asked["grace"])
        case "destroy":
            host.destroy(asked["name"])
        case "containers":
            return {name: _told(container) for name, container in host.containers().items()}
        case "modules":
            host.containers()
            return sorted(sys.modules)
        case "probe":
            from hive_core.containers.local.probe import attempts

            return {sandbox.value: failure for sandbox, failure in attempts()}
    return None


def _told(container: Container) -> dict[str, object]:
    return {**container._asdict(), "ended": container.ended and container.ended._asdict()}


def _paths(shown: dict[str, str]) -> dict[str, Path]:
    return {target: Path(source) for target, source in shown.items()}


# As a shell may: a descriptor that is open for good, and must not come to an agent.
os.set_inheritable(os.open("/etc/passwd", os.O_RDONLY), True)


def tell(asked: dict) -> None:
    try:
        print(json.dumps({"answer": answer(asked)}))
    except HiveError as error:
        print(json.dumps({"refused": type(error).__name__, "message": str(error)}))


def import_everything() -> None:
    """Import what any request imports as it is answered."""
    import hive_core.containers.local as package

    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)


if sys.argv[1] == "--serve":
    import importlib
    import pkgutil

    from hive_core.git import repository  # noqa: F401
    from tests.forking import serve

    import_everything()
    serve(socket.socket(fileno=int(sys.argv[2])), lambda request: tell(request["asked"]))
elif sys.argv[1] != "--help":
    tell(json.loads(sys.argv[1]))
