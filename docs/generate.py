"""Writes the generated parts of the docs: python3 docs/generate.py, in the environment that ./tests/run makes."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hive_faces.shell.reference import FILES  # noqa: E402

for name, make in FILES.items():
    (ROOT / name).write_text(make())
