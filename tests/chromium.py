"""A real browser for a module's tests; import `browser` there, and `new_page` for pages that end with their test.

Every name in `.test` leads to this machine in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")

# What each window has beside its page costs more than the page: two pages under the line for the address, drawn and
# never looked at, and a process for the page that may come next.
_UNSEEN = ("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup", "SpareRendererForSitePerProcess")
# A browser heeds one such list, and so this one has what is in playwright's own, too: what surprises whoever drives it,
# and what it asks the network for by itself.
_UNWANTED = ("AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades", "PaintHolding")
_UNWANTED += ("HttpsFirstBalancedModeAutoEnable", "LensOverlay", "MediaRouter", "OptimizationHints", "AimEnabled")
_UNWANTED += ("NetworkTimeServiceQuerying", "PreconnectToSearch", "ThirdPartyStoragePartitioning")
# For whoever wants nothing to move: a browser that draws sixty pictures a second is what most of a wait would cost.
STILL = {"reduced_motion": "reduce"}
_ARGUMENTS = [
    "--no-sandbox",
    f"--disable-features={','.join(_UNSEEN + _UNWANTED)}",
    "--host-resolver-rules=MAP *.test 127.0.0.1",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as runner:
        found = runner.chromium.launch(executable_path="/usr/bin/chromium", args=_ARGUMENTS)
        yield found
        found.close()


@pytest.fixture
def new_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens pages, each with a storage of its own. One that stayed open would ask for what has ended, again and again."""
    with ExitStack() as opened:

        def open_one(**options: Any) -> Any:
            page = opened.enter_context(browser.new_context(**STILL, **options)).new_page()
            page.set_default_timeout(60_000)
            return page

        yield open_one
