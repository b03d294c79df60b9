"""The wheel as others install it: nothing too much in it, nothing missing, and it works."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import risk_tasks
from tests.integration.support import REPOSITORY, environment

pytestmark = pytest.mark.integration


def run(*arguments: object, cwd: Path, **settings: str) -> str:
    """Run a program to its end, and return what it printed."""
    done = subprocess.run(
        list(map(str, arguments)),
        cwd=cwd,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from the working tree by what is installed here."""
    out = tmp_path_factory.mktemp("wheel")
    run(
        *(sys.executable, "-m", "build", "--wheel", "--no-isolation"),
        *("--outdir", out, REPOSITORY),
        cwd=out,
    )
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """An environment with the wheel, and with our dependencies but not our working tree."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, with_pip=False)
    here = sysconfig.get_path("purelib")
    there = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    # A path in a .pth file is searched, but the .pth files there, such as our own, are not read.
    (there / "dependencies.pth").write_text(f"{here}\n")
    run(
        *(sys.executable, "-m", "pip", "--python", home / "bin" / "python", "install"),
        *("--no-deps", "--no-index", "--ignore-installed", "--quiet", wheel),
        cwd=home,
    )
    return home / "bin"


def test_the_wheel_holds_our_package_and_nothing_else(wheel):
    """No worker or beat package, no test, no cache; the name and the version are ours."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()

    assert wheel.name.startswith("risk_tasks-")
    roots = {name.partition("/")[0] for name in names}
    dist_info = {root for root in roots if root.endswith(".dist-info")}
    assert len(dist_info) == 1
    assert roots - dist_info == {"risk_tasks"}
    kinds = {Path(name).suffix for name in names if name.startswith("risk_tasks/")}
    assert kinds <= {".py", ".lua", ".toml", ".csv", ".md", ".typed", ""}, kinds
    assert not any("__pycache__" in name for name in names)


def test_the_wheel_holds_all_that_the_package_reads(wheel):
    """Every file of the package that Git would keep: code, scripts, samples, the mark of types."""
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("risk_tasks/")}
    folder = Path(risk_tasks.__file__).parent
    written = {
        f"risk_tasks/{path.relative_to(folder).as_posix()}"
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert packed == written
    assert {Path(name).suffix for name in packed} >= {".lua", ".toml", ".csv", ".py"}
    assert "risk_tasks/py.typed" in packed
    assert "risk_tasks/broker/lua/enqueue.lua" in packed
    assert "risk_tasks/sample/prices.csv" in packed


def test_the_installed_package_is_not_the_working_tree(installed, tmp_path):
    """Otherwise the next test would prove nothing."""
    where = run(
        installed / "python", "-c", "import risk_tasks; print(risk_tasks.__file__)", cwd=tmp_path
    )

    assert installed.parent in Path(where.strip()).parents
    assert REPOSITORY not in Path(where.strip()).parents


def test_the_installed_command_does_the_main_job(installed, tmp_path):
    """From an empty directory, with nothing but the wheel and its dependencies."""
    printed = run(installed / "risk-tasks", "demo", "--json", cwd=tmp_path)

    reports = json.loads(printed)["reports"]
    assert len(reports) == 7
    assert {report["status"] for report in reports} == {"ok"}
    assert list(tmp_path.iterdir()) == []
