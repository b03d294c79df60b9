"""Build the images and test the stack of docker-compose.yml; the last line is the result.

    python -m tests.compose [--full]

Fails, with the reason, if no engine answers. If no image registry can be reached and
`../shared/compose/offline-images.sh` exists, that script makes the base images.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.compose.stack import PROJECT, ROOT, compose_command

_OFFLINE = ROOT.parent / "shared" / "compose" / "offline-images.sh"
_BASES = {
    "PYTHON_IMAGE": os.environ.get("PYTHON_IMAGE", "python:3.13-slim-bookworm"),
    "REDIS_IMAGE": os.environ.get("REDIS_IMAGE", "redis:7-bookworm"),
    "NGINX_IMAGE": os.environ.get("NGINX_IMAGE", "nginx:stable-bookworm"),
}
FIGURES = ROOT / "build" / "compose.json"


def missing() -> str | None:
    """Return what the test needs and this machine does not have, or None."""
    if shutil.which("docker") is None:
        return "no docker client is installed"
    if not _quietly("docker", "info"):
        return "no Docker engine answers"
    if not _quietly(*compose_command(), "version"):
        return "neither Compose v2 nor docker-compose is installed"
    return None


def make_base_images() -> None:
    """Pull the base images, or make them where nothing can be pulled."""
    wanted = [tag for tag in _BASES.values() if not _quietly("docker", "image", "inspect", tag)]
    if all(_quietly("docker", "pull", "--quiet", tag, timeout_s=300) for tag in wanted):
        return
    if not _OFFLINE.is_file():
        sys.exit(f"Cannot pull {', '.join(wanted)}, and {_OFFLINE} does not exist")
    _loudly("bash", str(_OFFLINE))


def download_wheels() -> None:
    """Download the wheels of the images with the host's pip, where it has the images' Python.

    Elsewhere the pip of the base image downloads them while the images are built.
    """
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    run = ["docker", "run", "--rm", "--network=none", _BASES["PYTHON_IMAGE"], "python3", "-c", code]
    version = subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [
        *(str(path) for path in sorted(pyenv.glob(f"{version}.*/bin/python{version}"))),
        shutil.which(f"python{version}"),
    ]
    for python in filter(None, candidates):
        if _quietly(python, "-m", "pip", "--version"):
            _loudly("sh", str(ROOT / "deploy" / "wheels.sh"), python)
            return
    print(f"No Python {version} on this machine: the builds of the images download their packages.")


def build() -> None:
    """Build every image of the stack."""
    command = [*compose_command(), "--project-name", PROJECT, "--profile", "tools"]
    command += ["--profile", "autoscale"]
    _loudly("sh", str(ROOT / "deploy" / "secrets.sh"))
    _loudly(*command, "build", "--quiet")


def verdict(code: int, figures: dict[str, Any]) -> str:
    """Return the last line."""
    loads = {name: figures.get(name, {}) for name in ("scaling", "rolling", "kills", "autoscaler")}
    lost = {
        name: f"{load.get('lost', '-')} lost of {load.get('sent', '-')}, "
        f"{load.get('counters', {}).get('duplicates', 0)} computed twice"
        for name, load in loads.items()
    }
    parts = [
        f"up to first answer {figures.get('up_to_first_answer_s', '-')} s",
        f"worker ready {figures.get('worker_ready_s', '-')} s",
        f"worker image {figures.get('image_mb', {}).get('worker', '-')} MB",
        f"1-3-1 {lost['scaling']}, Jain {loads['scaling'].get('jain', '-')}",
        f"rolling {lost['rolling']}",
        f"{loads['kills'].get('n_kills', '-')} kills {lost['kills']}",
        f"{loads['kills'].get('within_deadline', '-')} within the deadline",
        f"autoscaler {lost['autoscaler']}",
        f"more workers after {loads['autoscaler'].get('more_after_s', '-')} s",
    ]
    return f"test-compose: {'passed' if code == 0 else 'FAILED'}: {'; '.join(parts)}"


def main() -> int:
    reason = missing()
    if reason:
        print(f"test-compose: FAILED: {reason}")
        return 1
    full = "--full" in sys.argv[1:]
    FIGURES.unlink(missing_ok=True)
    FIGURES.parent.mkdir(exist_ok=True)
    took_s = {}
    for step in (make_base_images, download_wheels, build):
        started = time.monotonic()
        step()
        took_s[step.__name__] = round(time.monotonic() - started, 1)
    FIGURES.write_text(json.dumps({"size": "full" if full else "small", "took_s": took_s}))
    options = ["--full"] if full else []
    code = int(
        pytest.main(["--compose", "--timeout=600", *options, str(ROOT / "tests" / "compose")])
    )
    print(verdict(code, json.loads(FIGURES.read_text())))
    return code


def _quietly(*command: str, timeout_s: float = 60) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, timeout=timeout_s, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _loudly(*command: str) -> None:
    print("+", *command, flush=True)
    subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main())
