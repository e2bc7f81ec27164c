"""An agent's system, built: nix is given the agent's files and hive's, at the revisions that count, and no more.

What nix is given is a folder of its own, a flake without inputs. So nothing is fetched and nothing locked, the meta
flake is left alone, and several are built side by side. In the store, which everybody can read, are an agent's files
and hive's; neither is a place for a key.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from hive_agent import atomic
from hive_core.containers import config
from hive_core.containers.base import Lock, Threaded
from hive_core.containers.nixos import nix
from hive_core.containers.nixos.workrooms import workroom
from hive_core.errors import BuildFailed, HiveError
from hive_core.nix_text import arguments, string

Files = list[tuple[str, int, bytes]]
# Of a revision of hive: the turn loop, what makes systems, and what pins their nixpkgs.
_OF_HIVE = ("hive_agent", "nix", "flake.lock")
_MAKER, _TOML = "nix/mk-agent.nix", "agent.toml"
# Beside the containers: the links of builds that were kept together.
_ROOTS = ".roots"
_PINNED = "nixpkgs-"
_FLAKE = """\
{{
  outputs = {{ self }}:
    let
      hive = "${{./hive}}";
      mkAgent = import (hive + "/nix/mk-agent.nix") {{ harness = hive; }};
      nixpkgs = "${{import (hive + "/nix/pinned.nix")}}";
      made = _: agent:
        let top = agent.config.system.build.toplevel; in {{ drv = top.drvPath; out = top.outPath; inherit nixpkgs; }};
      agents = {{
{agents}
      }};
    in
    {{
      systems = builtins.mapAttrs made agents;
      described = builtins.mapAttrs (import ./describe.nix) agents;
    }};
}}
"""
# What of a system is told to whoever decides on it; cut, for all of it is the agent's.
_DESCRIBE = """\
_: { config, ... }:
let
  inherit (builtins) attrNames concatLists concatMap elemAt filter genList length map mapAttrs substring;
  most = list: if length list < 4000 then length list else 4000;
  cut = list: map (substring 0 120) (genList (elemAt list) (most list));
  unit = kind: map (name: "${name}.${kind}") (attrNames (config.systemd.${kind + "s"} or { }));
  firewall = config.networking.firewall;
  ports = kind: map (port: "${kind} ${toString port}") (firewall."allowed${kind}Ports" or [ ])
    ++ map (range: "${kind} ${toString range.from}-${toString range.to}") (firewall."allowed${kind}PortRanges" or [ ]);
  bounds = name:
    let service = config.systemd.services.${name}.serviceConfig; in
    map (key: "${name}.service to ${key}=${toString service.${key}}")
      (filter (key: service ? ${key}) [ "MemoryMax" "MemoryHigh" "TasksMax" "CPUQuota" ]);
in
mapAttrs (_: cut) {
  packages = map (package: package.name or "a package without a name") (config.environment.systemPackages or [ ]);
  ports = ports "TCP" ++ ports "UDP";
  mounts = attrNames (config.fileSystems or { });
  users = attrNames (config.users.users or { });
  units = concatLists (map unit [ "service" "socket" "timer" "path" ]);
  environment = attrNames (config.environment.variables or { } // config.environment.sessionVariables or { });
  limits = concatMap bounds (attrNames (config.systemd.services or { }));
}
"""


def build(folder: Path, name: str, repository: Path, revision: str, lock: Lock) -> None:
    """Build one system, and keep it by a link in the folder of its container. Raises BuildFailed, HiveError."""
    files = checked(repository, revision)
    link = _link(folder, revision, lock.hive)
    if link.exists():
        return
    nix.require_safe()
    link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with candidate(folder.parent, {name: files}, lock) as made:
        system = nix.evaluate(made)[name]
        nix.realise([system.drv], link)
    _keep_nixpkgs(folder.parent, system.nixpkgs, lock)


def build_together(builds: Mapping[str, tuple[Path, Path, str]], lock: Lock) -> None:
    """Build several in one go: agent -> its container's folder, repository and revision. What fails is left to `build`.

    One evaluation of all, then one call that builds what it can. An error in it ends the evaluation of all.
    """
    nix.require_safe()
    wanted = {}
    for name, (folder, repository, revision) in builds.items():
        if not _link(folder, revision, lock.hive).exists():
            try:
                wanted[name] = checked(repository, revision)
            except BuildFailed:
                continue
    if len(wanted) < 2:
        return
    containers = next(iter(builds.values()))[0].parent
    with candidate(containers, wanted, lock) as made:
        systems = nix.evaluate(made)
    # Those that can be built are; `build` says of the others what is wrong with them.
    with suppress(BuildFailed):
        nix.realise([system.drv for system in systems.values()])
    missing = nix.invalid([system.out for system in systems.values()])
    built_ones = {name: system.out for name, system in systems.items() if system.out not in missing}
    _keep_nixpkgs(containers, next(iter(systems.values())).nixpkgs, lock)
    if built_ones:
        _keep_all(built_ones, {name: _link(builds[name][0], builds[name][2], lock.hive) for name in built_ones})


def _keep_all(outs: Mapping[str, str], links: Mapping[str, Path]) -> None:
    """Keep several builds by one call of nix: each agent's link leads to one of those that nix made."""
    roots = next(iter(links.values())).parent.parent.parent / _ROOTS
    roots.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = nix.keep(list(outs.values()), roots / os.urandom(8).hex())
    for link, root in zip(links.values(), made, strict=True):
        link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(root)


def _keep_nixpkgs(containers: Path, nixpkgs: str, lock: Lock) -> None:
    """Keep what the locked hive builds from: without it nothing is built, however long ago it came onto the machine."""
    if not (root := _pinned(containers, lock.hive)).exists():
        root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        root.unlink(missing_ok=True)
        nix.keep([nixpkgs], root)


def forget_nixpkgs(containers: Path, lock: Lock) -> None:
    """Keep no other hive's any more."""
    for root in (containers / _ROOTS).glob(f"{_PINNED}*"):
        if root != _pinned(containers, lock.hive):
            root.unlink(missing_ok=True)


def _pinned(containers: Path, hive: str) -> Path:
    return containers / _ROOTS / f"{_PINNED}{hive}"


def configuration(repository: Path, revision: str) -> config.AgentConfig:
    """The agent.toml of a revision that was built."""
    from hive_core.git.repository import Repository

    text = Repository(repository).read(revision, _TOML) or b""
    return config.parse(text.decode(errors="replace"))


def remove(folder: Path, revision: str) -> None:
    """Forget the builds of a revision; the store's own collection of garbage removes what nothing leads to."""
    for link in (folder / "builds").glob(f"{revision}.*"):
        if (root := link.readlink()).parent.name == _ROOTS:
            root.unlink(missing_ok=True)
        link.unlink()


def built(folder: Path, revision: str, hive: str) -> Path | None:
    """The system that was built of these revisions, None where there is none."""
    link = _link(folder, revision, hive)
    return link.resolve() if link.exists() else None


def links(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """What is built: revision, the revision of hive, and the link that keeps it."""
    for link in sorted((folder / "builds").glob("*.*")):
        revision, _, hive = link.name.partition(".")
        yield revision, hive, link


def _link(folder: Path, revision: str, hive: str) -> Path:
    return folder / "builds" / f"{revision}.{hive}"


def checked(repository: Path, revision: str) -> Files:
    """The files of a configuration, whose agent.toml is as it must be. Raises BuildFailed."""
    from hive_core.git.repository import Repository

    files = list(Repository(repository).files(revision))
    text = next((data for path, _mode, data in files if path == _TOML), None)
    if text is None:
        raise BuildFailed("agent.toml is missing.", "A configuration has an agent.toml at its top.")
    config.parse(text.decode(errors="replace"))
    return files


@contextmanager
def candidate(containers: Path, agents: Mapping[str, Files], lock: Lock) -> Iterator[Path]:
    """A folder with what nix is to evaluate; gone when the block ends. containers: the folder of them all."""
    assert lock.threaded is not None, "who builds says what is threaded in"
    hive = _of_hive(lock)
    with workroom(containers) as folder:
        _write(folder / "hive", hive)
        for name, files in agents.items():
            _write(folder / "agents" / name, files)
        lines = [f"        {string(name)} = {_system(name, lock.threaded(name))};" for name in agents]
        atomic.write(folder / "describe.nix", _DESCRIBE)
        atomic.write(folder / "flake.nix", _FLAKE.format(agents="\n".join(lines)))
        yield folder


def _system(name: str, threaded: Threaded) -> str:
    # A name is letters, digits and dashes, and so is the path.
    source = f'"${{./agents/{name}}}"'
    return f"mkAgent {arguments(name, source, threaded)}"


def _of_hive(lock: Lock) -> Files:
    from hive_core.git.foreign import files_below

    for repository in lock.repositories:
        parts = [files_below(repository, lock.hive, part) for part in _OF_HIVE]
        if None not in parts:
            found = [file for part in parts for file in part or []]
            if not any(path == _MAKER for path, _mode, _data in found):
                raise HiveError(
                    f"The revision {lock.hive[:12]} of hive, which the meta flake locks, makes no NixOS systems.",
                    "`hive meta-update hive` locks a newer one.",
                )
            return found
    looked = ", ".join(map(str, lock.repositories))
    raise HiveError(
        f"The revision {lock.hive[:12]} of hive, which the meta flake locks, is in no repository here ({looked}).",
        "Fetch it there, or `hive meta-update hive` locks the newest one and rebuilds every agent with it.",
    )


def _write(folder: Path, files: Files) -> None:
    folder.mkdir(parents=True)
    for path, mode, data in files:
        if any(part in ("", ".", "..") for part in path.split("/")) or "\0" in path:
            raise BuildFailed(f"{path!r} is not a path a configuration can have.")
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        target.chmod(0o755 if mode & 0o100 else 0o644)
