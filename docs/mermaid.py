"""Fetch the pinned Mermaid for the site: `python -m docs.mermaid` writes build/mermaid/.

The site loads nothing from another host, so the diagrams' script is part of it. npm brings the
package; its hash is checked here, since `npm pack` has no lock file.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "12.3.0"
SHA512 = "4113TdXeLAsMruJ79OpFL5O8+LTFXhQqZ260rF3tgUmiNAtRm4Uume04I+65PRN6yZ69J4f8rVYWW8zRk65UYw=="
TARGET = Path(__file__).parents[1] / "build" / "mermaid" / "mermaid"
_ENTRY = "package/dist/mermaid.esm.min.mjs"
_CHUNKS = "package/dist/chunks/mermaid.esm.min/"


def fetch() -> None:
    """Write the script and its chunks to `TARGET`; do nothing if this version is there."""
    stamp = TARGET / "VERSION"
    if stamp.is_file() and stamp.read_text() == VERSION:
        return
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("npm is not installed: install Node.js with npm; it fetches Mermaid for the site.")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", "--silent", f"mermaid@{VERSION}"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        archive = next(Path(folder).glob("*.tgz"))
        found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if found != SHA512:
            sys.exit(f"mermaid@{VERSION} has the SHA-512 {found}: expected {SHA512}.")
        shutil.rmtree(TARGET, ignore_errors=True)
        _extract(archive)
    stamp.write_text(VERSION)


def _extract(archive: Path) -> None:
    with tarfile.open(archive) as package:
        for member in package.getmembers():
            wanted = member.name == _ENTRY or member.name.startswith(_CHUNKS)
            content = package.extractfile(member) if wanted and member.isfile() else None
            if content is None or member.name.endswith(".map"):
                continue
            path = TARGET / member.name.removeprefix("package/dist/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.read())


if __name__ == "__main__":
    fetch()
