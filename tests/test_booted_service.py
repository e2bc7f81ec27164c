"""hive as a service of a booted systemd: for the machine, and for a user who is not logged in."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

import pytest

from hive_core.client import Client
from tests import hives
from tests.booted import PLACE, UID, USER, BootedMachine, needs_booted
from tests.needs import needs_root

pytestmark = [needs_root, needs_booted]

CODER = (
    'runner = "command"\ncommand = ["sh", "-c", "echo ready; while true; do sleep 1; done"]\nsettle_seconds = 0.05\n'
)
# A look may be a program's start in the machine.
eventually = functools.partial(hives.eventually, pause=0.2)

# An agent at work whose configuration its operator has written before it was made.
CONFIGURE = (
    'mkdir -p "$1" && cd "$1" && git init -q -b main && printf %s "$2" >agent.toml && git add -A'
    " && git -c user.name=t -c user.email=t@t commit -qm It"
)


class Service:
    """A hive in a machine, served by the machine's systemd or by a user's own."""

    def __init__(self, machine: BootedMachine, *, user: bool) -> None:
        self.machine, self.user = machine, user
        self.home = f"/home/{USER}/.local/state/hive" if user else "/var/lib/hive"
        self.sockets = f"/run/user/{UID}/hive" if user else "/run/hive"
        service = f"user.slice/user-{UID}.slice/user@{UID}.service/app.slice" if user else "system.slice"
        self.group = f"/{service}/hive.service"

    def do(self, *argv: str, code: int = 0) -> str:
        return self.machine.do(*argv, code=code, user=self.user)

    def systemctl(self, *words: str, code: int = 0) -> str:
        return self.do("systemctl", *(["--user"] if self.user else []), *words, code=code)

    def shows(self, name: str, unit: str = "hive.service") -> str:
        return self.systemctl("show", "--value", f"--property={name}", unit).strip()

    def install(self, *flags: str) -> None:
        self.do("hive", "install-service", *(["--user"] if self.user else []), *flags)
        self.systemctl("enable", "--now", "hive.service", "hive-vacuum.timer", "hive-backup.timer")

    def spawn(self, name: str) -> None:
        self.configure(name)
        self.do("hive", "spawn", name)

    def configure(self, name: str) -> None:
        self.do("sh", "-c", CONFIGURE, "sh", f"{self.home}/agents/{name}/config", CODER)

    def agents(self) -> dict[str, bool]:
        """Asked of whoever is up; of the command line, which costs a start, where nobody is."""
        found = self.served()
        if found is None:
            found = json.loads(self.do("hive", "list", "--json"))
        return {row["name"]: row["running"] for row in found}

    def served(self) -> list[dict[str, Any]] | None:
        """The agents as whoever is up tells of them; None where nobody is."""
        try:
            return list(Client(self.machine.inside(f"{self.sockets}/host.sock")).call("list"))
        except OSError:
            return None

    def instance(self, name: str) -> str:
        return str(self._run(name)["instance"])

    def _run(self, name: str) -> dict[str, Any]:
        place = self.machine.inside(f"{self.home}/containers/{name}/run.json")
        found: dict[str, Any] = json.loads(place.read_text())
        return found

    def groups(self, name: str) -> set[str]:
        """The control groups of an agent's supervisor and of what that has started, below the service's."""
        pid = self._run(name)["supervisor"]["pid"]
        processes = self.machine.inside("/proc")
        pids = [pid, *(processes / f"{pid}/task/{pid}/children").read_text().split()]
        lines = [line for each in pids for line in (processes / f"{each}/cgroup").read_text().splitlines()]
        # As they are seen from here, where the machine's are below its own.
        found = {line.partition("/payload")[2] for line in lines if line.startswith("0::")}
        assert all(group.startswith(f"{self.group}/") for group in found), found
        return {re.sub("-[0-9a-f]{16}-", "-", group.removeprefix(f"{self.group}/")) for group in found}

    def expected(self, name: str) -> set[str]:
        """Where they are to be; whose agents are its own user keeps them one group below their limits."""
        return {"hive", f"hive-{name}/agent" if self.user else f"hive-{name}"}

    def crashes(self) -> str:
        return self.do("hive", "events", "--since", "0", "--kind", "container_crash")

    def up(self) -> None:
        eventually(lambda: [row["running"] for row in self.served() or []] == [True] * 3)
        eventually(lambda: self.shows("StatusText").startswith("3 agents"))


def serve(machine: BootedMachine, *, user: bool) -> Service:
    """An installed service with agents at work: two that a shell had started, and the manager.

    Made where it is not there: tests of this module may be run by several processes, each with a machine of its own.
    """
    made = Service(machine, user=user)
    if made.shows("LoadState") == "not-found":
        # A turn loop is started anew with every service, which takes longer than all else: one manager has it.
        if user and not (machine.root / f"{made.home[1:]}/agents/manager").exists():
            made.configure("manager")
        made.install()
    eventually(lambda: "manager" in made.agents())
    for name in {"coder", "tester"} - made.agents().keys():
        made.spawn(name)
    made.up()
    return made


@pytest.fixture(params=[False, True], ids=["root", "user"])
def service(request: pytest.FixtureRequest, booted_machine: BootedMachine) -> Service:
    return serve(booted_machine, user=request.param)


def test_agents_live_in_the_service_whoever_had_them_started(service: Service) -> None:
    assert service.groups("coder") == service.expected("coder")
    service.do("hive", "restart", "coder")
    assert service.groups("coder") == service.expected("coder")
    if service.user:
        # Its manager is a command: a turn loop lives there, too.
        service.do("hive", "spawn", "worker")
        assert service.groups("worker") == service.expected("worker")
        service.do("hive", "destroy", "worker", "--yes")
    # Written by a shell that had nothing to do with it; systemd finds nothing wrong with it.
    analyzed = ["systemd-analyze", *(["--user"] if service.user else []), "verify", "hive.service", "hive-backup.timer"]
    assert service.do(*analyzed) == ""


def test_a_hive_that_is_killed_comes_back_and_its_agents_never_notice(service: Service) -> None:
    before = {name: service.instance(name) for name in ("coder", "tester")}
    times = int(service.shows("NRestarts"))
    service.systemctl("kill", "--signal=KILL", "--kill-whom=main", "hive.service")
    service.up()
    assert int(service.shows("NRestarts")) > times
    assert {name: service.instance(name) for name in before} == before
    assert service.groups("coder") == service.expected("coder")
    assert service.crashes() == ""


def test_a_restart_of_the_service_restarts_its_agents(service: Service) -> None:
    before = service.instance("coder")
    service.systemctl("restart", "hive.service")
    service.up()
    assert eventually(lambda: all(service.agents().values()))
    assert service.instance("coder") != before
    assert service.crashes() == ""


def test_a_stop_ends_every_agent_and_leaves_nothing(service: Service) -> None:
    service.systemctl("stop", "hive.service")
    assert (service.shows("ActiveState"), service.shows("Result")) == ("inactive", "success")
    assert not any(service.agents().values())
    # The timers' own services, with nobody up and nothing but what they are given.
    for unit in ("hive-vacuum.service", "hive-backup.service"):
        service.systemctl("start", unit)
        assert service.shows("Result", unit) == "success"
    service.systemctl("start", "hive.service")
    service.up()
    assert eventually(lambda: all(service.agents().values()))
    for unit in ("hive-vacuum.service", "hive-backup.service"):
        service.systemctl("start", unit)
        assert service.shows("Result", unit) == "success"
    assert service.crashes() == ""


def test_a_folder_of_sockets_that_is_cleared_away_is_made_anew(service: Service) -> None:
    before = service.instance("coder")
    service.do("sh", "-c", f"rm -rf {service.sockets}/*")
    eventually(lambda: service.instance("coder") != before)
    # Whoever asks finds the new sockets, and has it do the launching.
    service.do("hive", "restart", "tester")
    assert service.groups("tester") == service.expected("tester")
    assert service.crashes() == ""


def test_a_reboot_brings_all_up_and_takes_nothing_for_a_crash(booted_machine: BootedMachine) -> None:
    services = [serve(booted_machine, user=user) for user in (False, True)]
    booted_machine.reboot()
    for service in services:
        eventually(lambda service=service: service.shows("ActiveState") == "active")
        service.up()
        assert eventually(lambda service=service: all(service.agents().values()))
        assert service.groups("coder") == service.expected("coder")
        assert service.crashes() == ""


def test_what_was_installed_is_removed_and_the_state_stays(booted_machine: BootedMachine) -> None:
    for user in (False, True):
        service = serve(booted_machine, user=user)
        service.do("hive", "install-service", "--remove", *(["--user"] if service.user else []))
        assert service.shows("LoadState") == "not-found"
        assert set(service.agents()) == {"manager", "coder", "tester"}
        assert not any(service.agents().values())
        service.do("test", "-d", f"{service.home}/agents/coder")


def test_the_three_services_bring_agents_up_too_and_spare_them(booted_machine: BootedMachine) -> None:
    service = serve(booted_machine, user=False)
    service.do(f"{PLACE}/hive", "install-service", "--apart")
    parts = ["hive-watch.service", "hive-gate.service", "hive-page.service"]
    service.systemctl("start", *parts)
    service.group = "/system.slice/hive-watch.service"
    assert eventually(lambda: all(service.agents().values()))
    assert service.groups("coder") == service.expected("coder")
    before = service.instance("coder")
    service.systemctl("restart", *parts)
    assert service.instance("coder") == before
    assert all(service.agents().values())
    service.systemctl("stop", *parts)
    assert all(service.agents().values())
