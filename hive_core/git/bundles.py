"""Whole repositories as one file each: git's bundles, for backups."""

from __future__ import annotations

from pathlib import Path

from hive_core.git.repository import Repository
from hive_core.git.writer import only_writer
from hive_core.process import run

# No configuration but the repository's own; no collecting of what is not referred to.
ENVIRONMENT = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
GIT = ("git", "-c", "safe.directory=*", "-c", "gc.auto=0", "-c", "fetch.fsckObjects=true")
_FETCH = ("fetch", "--quiet", "--no-auto-gc", "--no-write-fetch-head", "--no-tags", "--update-head-ok")


def write(repository: Path, bundle: Path) -> None:
    """Write a repository that only hive writes into a file: main and every tag. Raises ProgramFailed."""
    refs = ["refs/heads/main", "--tags"]
    run([*GIT, "-C", str(repository), "bundle", "create", "--quiet", str(bundle), *refs], env=ENVIRONMENT)


def make(bundle: Path, path: Path) -> None:
    """Make a repository from a bundle, whole or not at all. Raises Refused when there is something at `path`."""
    Repository.filled(path, lambda made: _fetch(bundle, made, "+refs/*:refs/*"))


def add_tags(bundle: Path, path: Path) -> None:
    """Take the tags, and what they are on, that a repository lacks. Those it has, and main, stay as they are."""
    with only_writer(path / ".git", "restoring tags"):
        known = Repository(path).tags()
        # A tag that is another there is none of the same history: git would refuse all of them for it.
        tags = [ref for ref in _refs(bundle) if ref.startswith("refs/tags/")]
        wanted = [ref for ref in tags if ref.removeprefix("refs/tags/") not in known]
        for start in range(0, len(wanted), 200):
            _fetch(bundle, path, *(f"{ref}:{ref}" for ref in wanted[start : start + 200]))


def _refs(bundle: Path) -> list[str]:
    listed = run([*GIT, "bundle", "list-heads", str(bundle)], env=ENVIRONMENT).stdout
    return [line.partition(" ")[2] for line in listed.splitlines()]


def _fetch(bundle: Path, repository: Path, *refs: str) -> None:
    run([*GIT, "-C", str(repository), *_FETCH, str(bundle), *refs], env=ENVIRONMENT)
