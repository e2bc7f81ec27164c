"""Writes the generated parts of the docs: python3 docs/generate.py, in the environment that ./tests/run makes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hive_faces.shell.reference import FILES  # noqa: E402
from tests.house import picture  # noqa: E402

DESIGN = ROOT / "docs" / "design.md"
# The picture is the first block of the page.
_BLOCK = re.compile(r"(?<=^```text\n).*?(?=^```$)", re.DOTALL | re.MULTILINE)


def design() -> str:
    """The page of the design, with the picture as the house is now."""
    return _BLOCK.sub(lambda _: f"{picture()}\n", DESIGN.read_text(), count=1)


def main() -> None:
    for name, make in FILES.items():
        (ROOT / name).write_text(make())
    DESIGN.write_text(design())


if __name__ == "__main__":
    main()
