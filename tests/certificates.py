"""A private CA and certificates for tests of TLS."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.programs import require


def certify(folder: Path, name_of_server: str) -> None:
    """Make a CA, and the certificates of a server and of a client, in `folder`."""

    def openssl(*arguments: object) -> None:
        words = [require("openssl"), *map(str, arguments)]
        subprocess.run(words, cwd=folder, check=True, capture_output=True, timeout=60)

    key = ("-newkey", "rsa:2048", "-nodes", "-keyout")
    usage = ("-addext", "keyUsage=critical,keyCertSign")  # Python 3.13 requires it
    openssl("req", "-x509", *key, "ca.key", *usage, "-days", 2, "-subj", "/CN=ca", "-out", "ca.crt")
    (folder / "names").write_text(
        f"subjectAltName={name_of_server}\nauthorityKeyIdentifier=keyid\n"
    )
    for name in ("server", "client"):
        openssl("req", *key, f"{name}.key", "-subj", f"/CN={name}", "-out", f"{name}.csr")
        openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key"),
            *("-CAcreateserial", "-days", 2, "-extfile", "names", "-out", f"{name}.crt"),
        )
