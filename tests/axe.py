"""What keeps people from a page who do not see it or use no mouse, as axe-core (npm) finds it in a real browser."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

_AXE = os.environ.get("HIVE_TEST_AXE", "")
needs_axe = pytest.mark.skipif(
    not _AXE and "CI" not in os.environ, reason="needs axe-core (npm install axe-core; HIVE_TEST_AXE names axe.min.js)"
)
_RUN = """(options) => axe.run(document, { resultTypes: ['violations'], ...options }).then((found) => found.violations
  .filter(({ impact }) => impact === 'serious' || impact === 'critical')
  .map(({ id, help, nodes }) => `${id}: ${help}: ` + nodes.slice(0, 5).map(({ html, any }) =>
    `${html.slice(0, 200)} (${any.map(({ message }) => message).join('; ')})`).join(' | ')))"""


# What else there is of a page is the same in both of its colour schemes.
_COLOURED = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
_SCHEMES: dict[str, Any] = {"light": {}, "dark": _COLOURED}


# The narrowest window that is somebody's, and one that has room for everything beside each other.
WIDTHS = (360, 1280)


def faults(page: Any) -> list[str]:
    """What is serious or worse on the page as it is shown now, in both of its colour schemes."""
    found = []
    page.evaluate(Path(_AXE).read_text())
    for scheme, options in _SCHEMES.items():
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found += [f"{scheme}: {fault}" for fault in page.evaluate(_RUN, options)]
    return found
