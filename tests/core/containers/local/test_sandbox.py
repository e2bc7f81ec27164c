"""What a container sees and is, tried from inside by a program that wants more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hive_core.containers.local.sandbox import Sandbox
from hive_core.errors import HiveError
from tests.core.containers.local.machine import Machine, failures
from tests.needs import requires


def test_the_machines_secrets_and_hives_are_not_visible(sandboxed: Machine) -> None:
    other = sandboxed.state("other")
    (other / "note").write_text("private")
    hidden = [sandboxed.home, sandboxed.home / "hive.db", other / "note", sandboxed.home / "containers/a/journal"]
    wanted = [
        *map(str, hidden),
        "/etc/shadow",
        "/etc/ssh",
        "/etc/ssl/private",
        "/root",
        "/home",
        "/var",
        "/sys",
        "/srv",
    ]
    # The Python that the turn loop runs with is shown where it lies; of the folders on the way to it, the way alone.
    python = Path(sys.base_prefix)
    tries = [f"test -e {path} && echo sees {path}" for path in wanted if not python.is_relative_to(path)]
    way = [folder for folder in python.parents if any(folder.is_relative_to(path) for path in wanted)]
    for folder, step in zip(way, [python, *way], strict=False):
        tries.append(f"test -e {folder} && ls -A {folder} | grep -vx {step.name} | sed s,^,sees,")
    sandboxed.run("a", "sh", "-c", f"{'; '.join(tries)}; ls -A / | tr '\\n' ' '")
    sandboxed.end("a")
    (seen,) = sandboxed.written("a")
    allowed = {"bin", "config", "dev", "etc", "lib", "lib32", "lib64", "libx32", "nix", "opt"}
    allowed |= {"proc", "run", "sbin", "state", "tmp", "usr", "hive", python.parts[1]}
    assert set(seen.split()) <= allowed


def test_what_a_program_needs_is_there(sandboxed: Machine) -> None:
    script = (
        "ls -l /usr/bin/env /etc/passwd /dev/null /proc/self/exe >/dev/null && cat /config/note && pwd && "
        "echo x >/tmp/x && echo x >/dev/shm/x && echo x >/state/x && echo $HOME $TERM $LANG $HIVE_AGENT $OWN"
    )
    revision = sandboxed.build(
        "a",
        {"agent.toml": f"command = ['sh', '-c', '{script}']\n[environment]\nOWN = 'it`s $mine'", "note": "hello\n"},
    )
    sandboxed.ask("switch", name="a", revision=revision, view=sandboxed.view("a"), run=True)
    ended = sandboxed.end("a").ended
    assert sandboxed.written("a") == ["hello", "/state", "/state dumb C.UTF-8 a it`s $mine"]
    assert ended is not None
    assert ended.code == 0
    assert (sandboxed.home / "agents/a/state/x").stat().st_uid == sandboxed.uid


def test_nothing_of_the_system_can_be_written(sandboxed: Machine) -> None:
    places = "/ /usr /etc /bin /config /dev /proc/sys/kernel"
    sandboxed.run("a", "sh", "-c", f"for p in {places}; do (echo x >$p/x) 2>/dev/null && echo wrote $p; done; exit 0")
    sandboxed.end("a")
    assert sandboxed.written("a") == []


def test_the_views_folders_are_seen_as_it_says(sandboxed: Machine) -> None:
    shown, fixed = sandboxed.home / "shown", sandboxed.home / "fixed"
    for folder in (shown, fixed):
        folder.mkdir()
        sandboxed.give(folder, sandboxed.uid)
        (folder / "file").write_text(folder.name)
    view = sandboxed.view("a", read_write={"/agents": str(shown)}, read_only={"/run/hive": str(fixed)})
    script = "cat /agents/file /run/hive/file; echo; echo x >/agents/new; echo x >/run/hive/new || echo refused"
    sandboxed.run("a", "sh", "-c", f"{script} 2>/dev/null", view=view)
    sandboxed.end("a")
    assert sandboxed.written("a")[0] == "shownfixed"
    assert "refused" in sandboxed.written("a")[-1]
    assert (shown / "new").exists()
    assert not (fixed / "new").exists()


def test_a_program_is_an_unprivileged_user_without_groups(anywhere: Machine) -> None:
    fields_of = "Groups|Cap(Inh|Prm|Eff|Amb)|NoNewPrivs|SigIgn"
    anywhere.run("a", "sh", "-c", f"id -u; id -g; grep -E '^({fields_of})' /proc/self/status")
    anywhere.end("a")
    uid, gid, *status = [line for line in anywhere.written("a") if not line.startswith("hive:")]
    assert (uid, gid) == (str(anywhere.uid), str(anywhere.uid))
    fields = {name: value.strip() for name, value in (line.split(":") for line in status)}
    assert fields.pop("NoNewPrivs") == "1"
    assert fields.pop("Groups") == ""
    # The C library keeps 32 and 33 to itself, and some programs hand them on ignored.
    assert int(fields.pop("SigIgn"), 16) & 0x7FFF_FFFF == 0
    assert {int(value, 16) for value in fields.values()} == {0}


def test_the_bounding_set_is_empty(sandboxed: Machine) -> None:
    sandboxed.run("a", "sh", "-c", "grep CapBnd /proc/self/status")
    sandboxed.end("a")
    assert int(sandboxed.written("a")[0].split()[1], 16) == 0


def test_no_other_process_is_visible(sandboxed: Machine) -> None:
    sandboxed.run("a", "sh", "-c", "ls /proc | grep -c '^[0-9]'")
    sandboxed.end("a")
    assert int(sandboxed.written("a")[0]) <= 4


def test_no_descriptor_of_hives_or_of_the_persons_shell_is_open(anywhere: Machine) -> None:
    anywhere.run("a", "sh", "-c", "readlink /proc/$$/fd/*")
    anywhere.end("a")
    descriptors = [line for line in anywhere.written("a") if not line.startswith("hive:")]
    assert len(descriptors) == 3
    assert all(link == "/dev/null" or link.startswith("pipe:") for link in descriptors)


def test_processes_of_the_machine_cannot_be_signalled(sandboxed: Machine) -> None:
    sandboxed.run("a", "sh", "-c", f"kill -9 {os.getpid()} 2>/dev/null || echo refused; kill -TERM 1; echo alive")
    sandboxed.end("a")
    assert sandboxed.written("a")[0] == "refused"


def test_as_root_without_a_sandbox_file_permissions_still_hold(as_root: Machine) -> None:
    as_root.run("a", "sh", "-c", f"cat {as_root.home}/hive.db /etc/shadow /root/.profile 2>/dev/null; echo done")
    as_root.end("a")
    assert as_root.written("a")[-1] == "done"
    assert not any("secret" in line for line in as_root.written("a"))


def test_a_private_home_keeps_no_agent_from_its_own_folder(anywhere: Machine) -> None:
    anywhere.home.chmod(0o700)
    anywhere.run("a", "sh", "-c", "echo x >here; exit 6")
    ended = anywhere.end("a").ended
    assert ended is not None
    assert ended.code == 6
    assert (anywhere.state("a") / "here").exists()


def test_the_environment_is_in_no_argument_of_any_process(anywhere: Machine) -> None:
    secret = "[environment]\nTOKEN = 'do-not-show'\nHOME = 'do-not-show'\n"
    anywhere.run("a", "sh", "-c", "echo ready; sleep 100", more=secret)
    anywhere.await_line("a", "ready")
    with anywhere.held("a") as held:
        arguments = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in held]
    assert len(arguments) >= 2
    assert not any(b"do-not-show" in line for line in arguments)


@requires("cc")
def test_an_agents_preloaded_library_runs_as_the_agent_alone(sandboxed: Machine, tmp_path: Path) -> None:
    source = tmp_path / "evil.c"
    source.write_text(
        "#include <stdio.h>\n#include <unistd.h>\n"
        '__attribute__((constructor)) static void own(void) {\n  FILE *f = fopen("/state/uids", "a");\n'
        '  if (f) { fprintf(f, "%d\\n", (int) geteuid()); fclose(f); }\n}\n'
    )
    library = sandboxed.state("a") / "evil.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    library.chmod(0o755)
    sandboxed.run("a", "sh", "-c", "true; exit 0", more="[environment]\nLD_PRELOAD = '/state/evil.so'\n")
    sandboxed.end("a")
    assert set((sandboxed.state("a") / "uids").read_text().split()) == {str(sandboxed.uid)}


def test_bytes_of_any_kind_arrive_in_the_environment(each_sandbox: Machine) -> None:
    hostile = "\u0081\u0088'\"$(touch /tmp/x)`\\n\t\u202e é *\n;"
    literal = "'''" + hostile.replace("'''", "") + "'''"
    each_sandbox.run(
        "a", "sh", "-c", 'printf %s "$ODD" | od -An -tx1 | tr -d " \\n"; echo', more=f"[environment]\nODD = {literal}\n"
    )
    each_sandbox.end("a")
    assert each_sandbox.written("a")[-1] == hostile.encode().hex()


def test_a_file_is_shown_without_the_folder_it_lies_in(sandboxed: Machine) -> None:
    place = sandboxed.home / "person"
    place.mkdir()
    for name in ("program", "key"):
        (place / name).write_text(name)
        sandboxed.give(place / name, sandboxed.uid)
    view = sandboxed.view("a", read_only={"/shown/program": str(place / "program")})
    script = "cat /shown/program; echo; ls -A /shown; echo x >/shown/program || echo refused"
    sandboxed.run("a", "sh", "-c", f"({script}) 2>/dev/null", view=view)
    sandboxed.end("a")
    assert sandboxed.written("a") == ["program", "program", "refused"]


def test_what_is_private_is_hidden_in_a_folder_of_the_system_too(sandboxed: Machine) -> None:
    # As if somebody's home were there; whatever lies in it is not to be seen.
    sandboxed.environment["HOME"] = "/usr/share/perl5"
    sandboxed.run("a", "sh", "-c", "ls -A /usr/share/perl5; ls /usr/share | wc -l; echo x >/usr/share/perl5/x; exit 0")
    sandboxed.end("a")
    count, *refused = sandboxed.written("a")
    assert int(count) > 1
    assert "Read-only" in "".join(refused)
    assert not Path("/usr/share/perl5/x").exists()


@pytest.mark.parametrize("source", ["", "..", "/", "/etc", "/home", "run"])
def test_a_view_cannot_show_hives_own_state_or_more_of_the_machine(plain: Machine, source: str) -> None:
    (plain.home / "run").mkdir()
    place = (plain.home / source).resolve()
    with pytest.raises(HiveError, match=r"cannot be shown to a: it (is|holds) "):
        plain.run("a", "true", view=plain.view("a", read_only={"/shown": str(place)}))


def test_a_home_s_keys_cannot_be_shown_in_any_way(plain: Machine, tmp_path: Path) -> None:
    for name in (".ssh", ".local/share/keyrings"):
        (tmp_path / name / "inner").mkdir(parents=True)
    plain.environment["HOME"] = str(tmp_path)
    for name in ("", ".ssh", ".ssh/inner", ".local", ".local/share"):
        with pytest.raises(HiveError, match=r"cannot be shown to a: it (is|holds|lies in) "):
            plain.run("a", "true", view=plain.view("a", read_only={"/shown": str(tmp_path / name)}))


@pytest.mark.parametrize("name", ["../../../../../../root/x", "../../generations", "agent.toml/../../x"])
def test_a_build_tells_nothing_of_programs_elsewhere_on_the_machine(plain: Machine, name: str) -> None:
    with pytest.raises(HiveError, match="is no executable file of the configuration"):
        plain.build("a", {"agent.toml": f"command = ['/config/{name}']"})
    # Two answers to one question, whether `sh` is there or not, would be news of it.
    for program in ("sh", "nothing"):
        plain.build("a", {"agent.toml": f"command = ['{program}']\n[environment]\nPATH = '/usr/../bin/../home'\n"})


def test_a_source_behind_a_link_is_refused(plain: Machine) -> None:
    link = plain.home / "link"
    link.symlink_to("/root")
    view = plain.view("a", read_only={"/run/hive": str(link)})
    with pytest.raises(HiveError, match="is not a real folder or file"):
        plain.run("a", "true", view=view)


@pytest.mark.parametrize("target", ["/etc/x", "/", "relative", "/a/../etc", "/state/inner", "/usr", "/proc/1"])
def test_a_view_cannot_cover_the_system(plain: Machine, target: str) -> None:
    view = plain.view("a", read_only={target: str(plain.home)})
    with pytest.raises(HiveError):
        plain.run("a", "true", view=view)


def test_as_root_a_container_never_runs_as_root(as_root: Machine) -> None:
    with pytest.raises(HiveError, match="as root"):
        as_root.run("a", "true", view={**as_root.view("a"), "uid": None})


def test_the_probe_runs_what_it_offers(anywhere: Machine) -> None:
    found = failures(anywhere.user)
    assert list(found) == ["bwrap", "unshare", "none"]
    assert found["none"] is None
    assert found[anywhere.sandbox] is None


def test_every_sandbox_says_what_it_is() -> None:
    for sandbox in Sandbox:
        assert sandbox.sentence.endswith(".")
