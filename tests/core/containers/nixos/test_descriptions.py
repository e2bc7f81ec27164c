"""What a system has is told of a proposal that nobody has approved, which learns and costs nothing by it."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from hive_core.containers.nixos import nix
from hive_core.errors import BuildFailed
from tests.core.containers.nixos.test_builds import TOML, play
from tests.core.containers.test_contract import Backend
from tests.git import commit
from tests.needs import needs_nix, needs_root

pytestmark = needs_nix
MODULE = """\
{ pkgs, ... }: {
  environment.systemPackages = [ pkgs.jq ];
  environment.variables.EDITOR = "vi";
  networking.firewall.allowedTCPPorts = [ 80 ];
  fileSystems."/data" = { device = "/dev/x"; };
  users.users.eve = { };
  systemd.timers.often = { };
  systemd.services.worker = { description = "w"; script = "x"; serviceConfig.MemoryMax = "1G"; };
}
"""


def proposed(backend: Backend, module: str) -> str:
    backend.commit("a", f"{TOML}# for {hash(module)}\n")
    return commit(backend.home / "applied/a", {"agent.nix": module})


def told(backend: Backend, revision: str) -> dict[str, frozenset[str]]:
    found = backend.host.configuration_of("a", backend.home / "applied/a", revision, lambda: backend.lock)
    assert found is not None
    return dict(found)


def test_what_a_module_adds_is_told_by_topic_once(backend: Backend) -> None:
    before, after = proposed(backend, "{ }"), proposed(backend, MODULE)
    old, new = told(backend, before), told(backend, after)
    assert {topic: new[topic] - old[topic] for topic in new} == {
        "packages": {"jq"},
        "environment": {"EDITOR"},
        "ports": {"TCP 80"},
        "mounts": {"/data"},
        "users": {"eve"},
        "units": {"often.timer", "worker.service"},
        "limits": {"worker.service to MemoryMax=1G"},
    }
    assert "hive-agent.service" in old["units"]
    play(backend, "nix", "exit 1")
    assert told(backend, after) == new
    backend.host.destroy("a")
    assert not (backend.home / "containers/a").exists()


def test_one_that_cannot_be_evaluated_is_looked_at_once_and_the_machines_fault_is_forgotten(backend: Backend) -> None:
    revision = proposed(backend, "{ nothing.here = 1; }")
    play(backend, "nix", 'case "$*" in *eval*) kill -9 $$;; esac; exec REAL "$@"')
    with pytest.raises(nix.TheMachine):
        told(backend, revision)
    (backend.home / "machine/bin/nix").unlink()
    with pytest.raises(BuildFailed, match="does not exist"):
        told(backend, revision)
    play(backend, "nix", "exit 1")
    with pytest.raises(BuildFailed, match="does not exist"):
        told(backend, revision)


def test_an_evaluation_has_a_shorter_end(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nix, "LOOKING_SECONDS", 0.5)
    endless = "let f = n: if n < 0 then n else f (n + 1); in { users.users.${toString (f 0)} = { }; }"
    with pytest.raises(BuildFailed, match=r"within 0\.5 seconds|overflow"):
        told(backend, proposed(backend, endless))


def test_what_it_says_of_itself_is_cut(backend: Backend) -> None:
    module = """{ users.users = builtins.listToAttrs (builtins.genList
      (n: { name = "${toString n}${builtins.concatStringsSep "" (builtins.genList (_: "x") 500)}"; value = { }; }) 5000); }"""
    users = told(backend, proposed(backend, module))["users"]
    assert (len(users), max(map(len, users))) == (4000, 120)


@needs_root
def test_nothing_is_fetched_for_what_nobody_has_approved(backend: Backend) -> None:
    asked = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        of_nothing = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        url = f"http://127.0.0.1:{server.server_port}/told"
        fetch = f'builtins.readFile (builtins.fetchurl {{ url = "{url}"; sha256 = "{of_nothing}"; }})'
        with pytest.raises(BuildFailed):
            told(backend, proposed(backend, f"{{ users.users.${{{fetch}}} = {{ }}; }}"))
        server.shutdown()
    assert asked == []
