"""Revisions, as every backend is given them."""

from __future__ import annotations

from hive_core.errors import BuildFailed


def full(revision: str) -> str:
    """A revision that is the full sha of a commit. Raises BuildFailed for any other."""
    from hive_core.arguments import sha

    if len(sha(revision)) != 40 or sha(revision) != revision:
        raise BuildFailed(f"{revision} is no full sha of a commit.")
    return revision
