"""Where an input's newest commit is read: hive's own source, and the agents' applied repositories."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hive_core import __version__
from hive_core.context import Hive
from hive_core.errors import Refused
from hive_core.git.revision import head_revision
from hive_core.process import run


@dataclass(frozen=True, slots=True)
class Source:
    """A local repository's newest commit. url: as an input of the flake. committed_at: unix seconds."""

    url: str
    rev: str
    committed_at: int


def of(hive: Hive) -> Source:
    """The source that hive runs from: its checkout; for an installed hive a repository that stands for its version.

    Where HIVE_FLAKE names another, that one. Raises Refused when it cannot be looked up without nix.
    """
    if hive.settings.flake is not None:
        return _named(hive.settings.flake)
    checkout = hive.settings.source
    if head_revision(checkout) is None:
        checkout = _installed(hive)
    rev = head_revision(checkout)
    assert rev is not None, f"{checkout} has no commit"
    return Source(_url(checkout, rev), rev, _committed_at(checkout, rev))


def applied(hive: Hive, name: str) -> Source:
    """The newest commit of an agent's applied repository."""
    from hive_core.git.repository import Repository

    path = hive.applied_path(name)
    repository = Repository(path)
    rev = repository.main()
    return Source(f"git+file://{path}?ref=main", rev, repository.committed_at(rev))


def _named(url: str) -> Source:
    """The newest commit of a local repository that HIVE_FLAKE names: what nix would lock."""
    base, _, query = url.partition("?")
    if not base.startswith("git+file:///"):
        raise Refused(
            f"HIVE_FLAKE is {url}, which only nix can look up.",
            "Install nix, or name a local repository: git+file:///PATH?ref=BRANCH",
        )
    checkout = Path(base.removeprefix("git+file://"))
    asked = dict(pair.partition("=")[::2] for pair in query.split("&"))
    wanted = asked.get("rev") or asked.get("ref") or "HEAD"
    rev = _git(checkout, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{wanted}^{{commit}}").strip()
    if not rev:
        raise Refused(f"HIVE_FLAKE is {url}, and there is no commit {wanted} in {checkout}.")
    return Source(url, rev, _committed_at(checkout, rev))


def _url(checkout: Path, rev: str) -> str:
    branch = _branch(checkout)
    return f"git+file://{checkout}?ref={branch}" if branch else f"git+file://{checkout}?rev={rev}"


def _branch(checkout: Path) -> str | None:
    """The branch that is checked out; None when HEAD is detached, as in most builds of a clone."""
    done = _git(checkout, "symbolic-ref", "--short", "-q", "HEAD")
    return done.strip() or None


def _committed_at(checkout: Path, rev: str) -> int:
    return int(_git(checkout, "show", "--no-patch", "--format=%ct", rev))


def _git(checkout: Path, *arguments: str) -> str:
    # The checkout may be another user's (hive under sudo); its code runs as us already.
    trusted = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": str(checkout)}
    return run(["git", "-C", str(checkout), *arguments], env=trusted, check=False).stdout


def _installed(hive: Hive) -> Path:
    from hive_core.git.repository import Repository

    path = hive.settings.home / "base"
    wanted = {"VERSION": f"{__version__}\n".encode()}
    if not path.exists():
        Repository.create(path, wanted, f"hive {__version__}")
    repository = Repository(path)
    if repository.read(repository.main(), "VERSION") != wanted["VERSION"]:
        repository.commit(dict(wanted), f"hive {__version__}")
    return path
