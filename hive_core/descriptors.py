"""How many files a process may have open: each connection is one."""

from __future__ import annotations


def allow_many() -> None:
    """Have as many files open as the machine lets this process."""
    import resource

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
