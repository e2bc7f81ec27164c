"""A look at single files of what a repository that is not ours has checked out, without taking anything in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from hive_core.errors import Refused
from hive_core.git import trees
from hive_core.git.revision import head_revision
from hive_core.git.untrusted import Bounds, open_untrusted

_TREE = re.compile(rb"tree ([0-9a-f]{40})\n")


def checked_out(repository: Path, paths: Iterable[str]) -> dict[str, bytes]:
    """Those of these files, right in the top folder, that the commit of HEAD has as regular ones. Raises Refused."""
    revision = head_revision(repository)
    if revision is None:
        raise Refused(f"{repository} is no git repository with a commit.", "Commit in it, or remove it.")
    with open_untrusted(repository, Bounds.of_a_look_aside()) as objects:
        tree = _TREE.match(objects.read(objects.find(revision))[1])
        if tree is None:
            raise Refused(f"The commit {revision} is not one that git writes.")
        sha = tree[1].decode()
        found = {entry.name: entry for entry in trees.tree_entries(sha, objects.read(sha)[1])}
        chosen = [(path, found[name]) for path in paths if (name := path.encode()) in found]
        return {
            path: objects.read(entry.sha)[1]
            for path, entry in chosen
            if entry.kind == "blob" and entry.mode != trees.LINK
        }
