"""Writes the generated parts of the docs: python3 docs/generate.py, in the environment that ./tests/run makes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hive_faces.shell.reference import FILES  # noqa: E402
from tests.house import picture  # noqa: E402

DESIGN = ROOT / "docs" / "design.md"
NIX_OPTIONS = ROOT / "docs" / "nix-options.md"
# The picture is the first block of the page.
_BLOCK = re.compile(r"(?<=^```text\n).*?(?=^```$)", re.DOTALL | re.MULTILINE)


def design() -> str:
    """The page of the design, with the picture as the house is now."""
    return _BLOCK.sub(lambda _: f"{picture()}\n", DESIGN.read_text(), count=1)


def nix_options() -> str:
    """The page of the module's options, as nix reads them."""
    argv = ["nix-instantiate", "--eval", "--strict", "--json", str(ROOT / "docs" / "nix_options.nix")]
    found = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
    lines = [
        "# The options of services.hive",
        "",
        "Generated from `nix/options.nix`. [How to begin on NixOS](nixos.md).",
        "",
        "| option | type | default | what it decides |",
        "|---|---|---|---|",
    ]
    for option in found:
        default = f"`{_in_nix(option['default'])}`" if "default" in option else ""
        example = f" Such as `{_in_nix(option['example'])}`." if "example" in option else ""
        lines.append(f"| `{option['name']}` | {option['type']} | {default} | {option['description']}{example} |")
    return "\n".join(lines) + "\n"


def _in_nix(value: object) -> str:
    """A value as it is written in a NixOS configuration."""
    if isinstance(value, dict):
        return "{ " + "".join(f"{key} = {_in_nix(item)}; " for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[ " + "".join(f"{_in_nix(item)} " for item in value) + "]"
    return json.dumps(value)


def main() -> None:
    for name, make in FILES.items():
        (ROOT / name).write_text(make())
    DESIGN.write_text(design())
    if shutil.which("nix-instantiate"):
        NIX_OPTIONS.write_text(nix_options())


if __name__ == "__main__":
    main()
