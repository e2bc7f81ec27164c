"""Brings the libraries of the status page that are not ours: python3 docs/vendor.py (needs npm).

Each is one file, unchanged but for the head that says what it is and under which licence.
"""

from __future__ import annotations

import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

STATIC = Path(__file__).resolve().parent.parent / "status_page" / "static"
# Package -> version, file in it, name here.
LIBRARIES = {
    "preact": ("10.29.8", "dist/preact.module.js", "preact.js"),
    "htm": ("3.1.1", "dist/htm.module.js", "htm.js"),
}


def main() -> None:
    for package, (version, path, name) in LIBRARIES.items():
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["npm", "pack", "--silent", f"{package}@{version}"], cwd=folder, check=True)
            with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
                (STATIC / name).write_text(headed(archive, package, version, path))


def headed(archive: tarfile.TarFile, package: str, version: str, path: str) -> str:
    def read(name: str) -> str:
        found = archive.extractfile(f"package/{name}")
        assert found is not None, name
        return found.read().decode()

    about, licence = json.loads(read("package.json")), read("LICENSE").strip()
    # An Apache licence is named, as it asks to be; one that is short is given whole.
    terms = licence if len(licence) < 2000 else f"Licensed under {about['license']}, see {about['homepage']}"
    script = read(path).split("\n//# sourceMappingURL")[0]
    return f"/*! {package} {version}, unchanged; {about['license']}.\n\n{terms}\n*/\n{script}\n"


if __name__ == "__main__":
    main()
