"""The tests of what is closest to the machine, run by an ordinary user on one with only what the README asks for."""

from __future__ import annotations

from tests.needs import needs_root
from tests.programs import path_without
from tests.users import USER, open_folder, run_tests_as

# Of what the tests and hive know how to use, all that a machine need not have.
ABSENT = (
    "bwrap",
    "jq",
    "nix",
    "systemd-socket-activate",
    "redis-server",
    "openssl",
    "cc",
    "chromium",
    "claude",
    "codex",
)
FILES = ("tests/core/containers/local/test_host.py", "tests/core/containers/local/test_probe.py")


@needs_root
def test_an_ordinary_user_without_bubblewrap_passes() -> None:
    with open_folder() as folder:
        done = run_tests_as(USER, folder, "-rp", *FILES, PATH=path_without(folder / "programs", *ABSENT))
    assert done.returncode == 0, done.stdout + done.stderr
    for file in FILES:
        assert f"PASSED {file}::" in done.stdout, f"of {file} all was skipped"
