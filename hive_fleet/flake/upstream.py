"""Where an input's newest commit is read: hive's own source, and the agents' applied repositories."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from hive_core import __version__
from hive_core.context import Hive
from hive_core.errors import Refused
from hive_core.git.revision import head_branch, head_revision, named_revision
from hive_core.process import run
from hive_fleet.flake import flake

_VERSION, _HARNESS = "VERSION", "hive_agent"
# What agents are built from: the harness, and what makes a NixOS system with it.
_BUILT_FROM = (_HARNESS, "nix")


class Upstream(NamedTuple):
    """A local repository's newest commit. url: as an input of the flake. committed_at: unix seconds."""

    url: str
    rev: str
    committed_at: int


def of(hive: Hive) -> Upstream:
    """The source that hive runs from: its checkout; for an installed hive a repository that stands for its version.

    Where the operator's settings name another, that one. Raises Refused when that is no local repository with such
    a commit.
    """
    if (url := hive.settings.flake) is not None:
        return _named(url, hive.settings.choices.named_by("flake"))
    checkout = hive.settings.source
    if head_revision(checkout) is None:
        checkout = _installed(hive)
    rev = head_revision(checkout)
    assert rev is not None, f"{checkout} has no commit"
    branch = head_branch(checkout)
    # Without a branch in most builds of a clone: there HEAD is at a commit.
    url = flake.local_url(checkout, "rev", rev) if branch is None else flake.local_url(checkout, "ref", branch)
    return Upstream(url, rev, _committed_at(checkout, rev))


def newest(hive: Hive) -> str | None:
    """The revision that `of` would return, known by reading a file or two: no program runs and nothing is made.

    None where it cannot be known that way. Where it would have to be made first, what no revision is.
    """
    url = hive.settings.flake
    if url is not None:
        checkout, (_, wanted) = flake.local_path(url), _asked(url)
        return None if checkout is None else named_revision(checkout, wanted)
    rev = head_revision(hive.settings.source)
    if rev is not None:
        return rev
    base, version = _base(hive), _version(_installed_files(hive))
    try:
        made = (base / _VERSION).read_text().strip() == version
    except OSError:
        made = False
    return head_revision(base) if made else version


def repositories(hive: Hive, url: str) -> Iterator[Path]:
    """Those that may hold a locked commit of hive: the one that it was locked from (`url`), and what hive runs from.

    A commit is the same wherever it lies: a checkout may have been moved, or hive restored on another machine.
    """
    places = (flake.local_path(url), hive.settings.source, _base(hive))
    return (place for place in dict.fromkeys(places) if place is not None)


def uncommitted(hive: Hive) -> bool:
    """Whether the checkout that hive runs from has changes in it that no commit holds, and no agent is given."""
    checkout = hive.settings.source
    return head_revision(checkout) is not None and bool(
        _git(checkout, "--no-optional-locks", "status", "--porcelain", "--", _HARNESS)
    )


def applied(hive: Hive, name: str) -> Upstream:
    """The newest commit of an agent's applied repository."""
    from hive_core.git.repository import Repository

    repository = Repository(hive.applied_path(name))
    rev = repository.main()
    return Upstream(applied_url(hive, name), rev, repository.committed_at(rev))


def applied_url(hive: Hive, name: str) -> str:
    """An agent's applied repository as an input of the flake."""
    return flake.local_url(hive.applied_path(name), "ref", "main")


def _asked(url: str) -> tuple[str, str]:
    """What a url asks for: ("rev", a sha) or ("ref", a branch or tag)."""
    parts = flake.original(url)
    return ("rev", parts["rev"]) if "rev" in parts else ("ref", parts.get("ref", "HEAD"))


def _named(url: str, by: str) -> Upstream:
    """The newest commit of a local repository that the operator's settings name. by: what of them does."""
    checkout, (_, wanted) = flake.local_path(url), _asked(url)
    if checkout is None:
        raise Refused(
            f"{by} is {url}, which is no repository on this machine.",
            "Clone it, and name the clone: git+file:///PATH?ref=BRANCH",
        )
    from hive_core.git import foreign

    rev = named_revision(checkout, wanted)
    if rev is None or foreign.committed_at(checkout, rev) is None:
        # A tag, say, or an abbreviated sha.
        rev = _git(
            checkout, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{wanted}^{{commit}}", check=False
        )
    if not rev:
        raise Refused(f"{by} is {url}, and there is no commit {wanted} in {checkout}.")
    return Upstream(url, rev, _committed_at(checkout, rev))


def _committed_at(checkout: Path, rev: str) -> int:
    from hive_core.git import foreign

    # Where its objects are kept in a way that only git knows, git is asked.
    at = foreign.committed_at(checkout, rev)
    return int(_git(checkout, "show", "--no-patch", "--no-show-signature", "--format=%ct", rev)) if at is None else at


def _git(checkout: Path, *arguments: str, check: bool = True) -> str:
    # The checkout may be another user's (hive under sudo); its code runs as us already.
    trusted = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    return run(["git", "-C", str(checkout), *arguments], env=trusted, check=check).stdout.strip()


def _base(hive: Hive) -> Path:
    return hive.settings.home / "base"


def _installed(hive: Hive) -> Path:
    """A repository of ours with what an installed hive builds from, which has none: a commit for each there was."""
    from hive_core.git.repository import Repository

    path, files = _base(hive), _installed_files(hive)
    version = _version(files)
    wanted = {**files, _VERSION: f"{version}\n".encode()}
    if not path.exists():
        Repository.create(path, wanted, version)
    repository = Repository(path)
    if repository.read(repository.main(), _VERSION) != wanted[_VERSION]:
        gone = dict.fromkeys(path for path, _mode, _data in repository.files(repository.main()))
        repository.commit({**gone, **wanted}, version)
    return path


def _installed_files(hive: Hive) -> dict[str, bytes]:
    """What agents are built from, as it lies beside this program, without what Python has made of it."""
    found = {}
    for part in _BUILT_FROM:
        for folder, folders, files in os.walk(hive.settings.source / part):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            for path in (Path(folder, name) for name in sorted(files)):
                found[path.relative_to(hive.settings.source).as_posix()] = path.read_bytes()
    return found


def _version(files: Mapping[str, bytes]) -> str:
    """What tells one installed hive from another: its version, and a hash of the files that agents are given."""
    from hashlib import sha256

    digest = sha256()
    for path, data in files.items():
        digest.update(f"{path}\0{len(data)}\0".encode())
        digest.update(data)
    return f"hive {__version__} {digest.hexdigest()[:16]}"
