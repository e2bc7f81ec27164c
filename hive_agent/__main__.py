"""The entry inside a container: `python3 -I <where>/hive_agent run`, with nothing installed."""

from __future__ import annotations

import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    if arguments != ["run"]:
        sys.stderr.write("usage: python3 -I <where>/hive_agent run\n")
        return 2
    from hive_agent import run

    return run.main()


if __name__ == "__main__":
    # Run as a folder, the first entry is this folder itself, whose modules are not for importing by bare names.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    sys.exit(main(sys.argv[1:]))
