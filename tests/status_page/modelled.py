"""What the page's own code makes of what a tab is told, without a page: the model looks at nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.hives import CHECKOUT

MODEL = CHECKOUT / "status_page/static/model.js"
# What can be compared of a model that was told of each event, twice, which says nothing new, and of one of a cold load.
_COMPARE = """
import { readFileSync } from 'node:fs';
import { load, apply } from './model.mjs';
const sorted = (rows) => rows.sort((a, b) => (a.id ?? a.name ?? a.agent) < (b.id ?? b.name ?? b.agent) ? -1 : 1);
const plain = ({ events, ...model }) => Object.fromEntries(Object.entries(model)
  .map(([name, value]) => [name, value instanceof Map ? sorted([...value.values()]) : value]));
console.log(JSON.stringify(JSON.parse(readFileSync(0)).map(([learned, last]) => {
  let model;
  for (const one of learned) {
    if (one.kind) { apply(model, one); apply(model, one); } else model = load(one);
  }
  return [plain(model), plain(load(last))];
})));
"""


def compared(
    folder: Path, histories: Sequence[tuple[Sequence[Any], Any]]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Of each history (its cold loads and events in their order, and one more cold load): the two models that come of it."""
    shutil.copy(MODEL, folder / "model.mjs")
    (folder / "compare.mjs").write_text(_COMPARE)
    argv = ["node", str(folder / "compare.mjs")]
    told = subprocess.run(argv, input=json.dumps(histories), capture_output=True, text=True, check=True).stdout
    return [(mine, fresh) for mine, fresh in json.loads(told)]
