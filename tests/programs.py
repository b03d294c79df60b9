"""Programs, and the environment of other libraries, that some tests need.

A test calls `require`. If the program is absent, the test is skipped, and the end of the run has
one line for each absent program. With `RISK_TASKS_REQUIRE_PROGRAMS=1` the test fails instead,
unless it needs a JDK.
"""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

#: how Debian installs each program
INSTALL = {
    "chromium": "apt-get install chromium",
    "curl": "apt-get install curl",
    "java": "apt-get install default-jdk-headless",
    "javac": "apt-get install default-jdk-headless",
    "nginx": "apt-get install nginx-light",
    "node": "apt-get install nodejs",
    "openssl": "apt-get install openssl",
    "promtool": "apt-get install prometheus",
    "redis-server": "apt-get install redis-server",
}
#: a JDK is too large to install for each run of .ci/run
_OPTIONAL = {"java", "javac"}
_ABSENT = "not installed: "


def require(program: str) -> str:
    """Return the path of `program`; end the test where it is not installed."""
    # Debian has servers in folders that only root searches.
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"))
    return shutil.which(program, path=path) or absent(program, INSTALL[program])


def absent(what: str, install: str) -> NoReturn:
    """Skip the test for lack of `what`, or fail it where programs are required."""
    reason = f"{_ABSENT}{what} ({install})"
    if os.environ.get("RISK_TASKS_REQUIRE_PROGRAMS") == "1" and what not in _OPTIONAL:
        pytest.fail(reason)
    pytest.skip(reason)


def summary(reasons: list[str]) -> list[str]:
    """Return one line for each thing that was absent, with the number of tests that need it."""
    found = [reason.partition(_ABSENT)[2] for reason in reasons if _ABSENT in reason]
    return [
        f"{found.count(what)} tests did not run, not installed: {what}"
        for what in sorted(set(found))
    ]
