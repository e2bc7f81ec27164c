"""`python -m venv [--clear] FOLDER` with a stand-in for pip, which unpacks wheels named by their files and knows no index.

The environment is a real one. The real pip takes two seconds to be put there, and a fifth of one for each call.
"""

import importlib
import sys
from pathlib import Path

PIP = """
import sys, sysconfig, zipfile
for wheel in (each.partition('file://')[2] for each in sys.argv if '--dry-run' not in sys.argv):
    if wheel:
        zipfile.ZipFile(wheel).extractall(sysconfig.get_path('purelib'))
"""


def main(arguments: list[str]) -> None:
    # This folder is before the one of the real module.
    sys.path.remove(str(Path(__file__).resolve().parent))
    *options, folder = arguments
    importlib.import_module("venv").EnvBuilder(symlinks=True, clear=options == ["--clear"]).create(folder)
    (packages,) = Path(folder).glob("lib/python3.*/site-packages")
    (packages / "pip").mkdir()
    (packages / "pip" / "__main__.py").write_text(PIP)
    (Path(folder) / "bin" / "pip").touch()


if __name__ == "__main__":
    main(sys.argv[1:])
