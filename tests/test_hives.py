"""The hive of a test, where it does more than call the product."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.hives import remember_sandbox, sandbox_of_the_machine


def test_the_machine_s_sandbox_is_made_known_to_a_hive_by_several_at_once(tmp_path: Path) -> None:
    known, together = sandbox_of_the_machine(), threading.Barrier(4, timeout=60)

    def remember(number: int) -> bytes | None:
        cache = tmp_path / str(number) / "cache"
        cache.parent.mkdir(exist_ok=True)
        together.wait()
        remember_sandbox(cache)
        return (cache / "sandbox.json").read_bytes() if known is not None else None

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(remember, [each for each in range(50) for _ in range(4)])) == {known}
