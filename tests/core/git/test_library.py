"""libgit2 is loaded wherever hive runs."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.house import CHECKOUT


def test_a_machine_without_certificates_has_its_repositories_read_all_the_same() -> None:
    nowhere = {"SSL_CERT_FILE": "/nonexistent", "SSL_CERT_DIR": "/nonexistent"}
    load = "import os, hive_core.git.repository; print(os.environ['SSL_CERT_DIR'])"
    told = subprocess.run(
        [sys.executable, "-c", load],
        env={**os.environ, **nowhere, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        check=True,
    )
    assert told.stdout == b"/nonexistent\n"
