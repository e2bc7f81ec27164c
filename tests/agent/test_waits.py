"""Pauses: until a moment, whatever is done to the clock meanwhile."""

from __future__ import annotations

import threading
import time

import pytest

from hive_agent.waits import Waits
from tests.hives import PATIENCE


@pytest.mark.parametrize("set_by", [-86400.0, 0.0, 86400.0])
def test_a_pause_is_not_longer_for_a_clock_that_is_set(monkeypatch: pytest.MonkeyPatch, set_by: float) -> None:
    real = time.time
    pausing = threading.Thread(target=Waits().pause_until, args=(real() + 0.3,), daemon=True)
    pausing.start()
    monkeypatch.setattr(time, "time", lambda: real() + set_by)
    pausing.join(PATIENCE)
    assert not pausing.is_alive()
