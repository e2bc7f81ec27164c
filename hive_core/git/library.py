"""libgit2, also on a machine without certificates: it does not load without any, though hive asks no server by it."""

from __future__ import annotations

import os
import ssl

__all__ = [
    "ConfigLevel",
    "DeltaStatus",
    "DiffFind",
    "FileMode",
    "ObjectType",
    "RepositoryInitFlag",
    "RepositoryOpenFlag",
    "SortMode",
    "pygit2",
]

_FOLDER = "SSL_CERT_DIR"
_paths = ssl.get_default_verify_paths()
_before = os.environ.get(_FOLDER)
if _paths.cafile is None and _paths.capath is None:
    # Any folder will do (tried with pygit2 1.21).
    os.environ[_FOLDER] = "/"
try:
    import pygit2
    from pygit2.enums import (
        ConfigLevel,
        DeltaStatus,
        DiffFind,
        FileMode,
        ObjectType,
        RepositoryInitFlag,
        RepositoryOpenFlag,
        SortMode,
    )
finally:
    if _before is None:
        os.environ.pop(_FOLDER, None)
    else:
        os.environ[_FOLDER] = _before
