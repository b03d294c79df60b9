"""Kernels are compiled by one decorator, and agree with plain Python."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import risk_tasks.kernels
from risk_tasks.kernels import catalogue, jit

JIT_IS_OFF = bool(os.environ.get("NUMBA_DISABLE_JIT", "0").strip("0"))
INSIDE = "RISK_TASKS_TEST_WITHOUT_JIT"
FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[2]
SOURCES = sorted(Path(risk_tasks.kernels.__file__).parent.glob("**/*.py"))
TOOLS = ("jit.py", "cache.py", "catalogue.py", "__init__.py", "__main__.py")
OTHERS = [source for source in SOURCES if source.name not in TOOLS]
ALLOWED = ("numpy", "__future__", "risk_tasks.kernels")


def imported_modules(source: Path) -> set[str]:
    """Every module that a file imports, at any depth."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
    return names


@pytest.mark.skipif(INSIDE in os.environ, reason="this is the run without JIT")
@pytest.mark.skipif(JIT_IS_OFF, reason="this whole run is without JIT")
def test_kernels_pass_their_tests_without_jit() -> None:
    """Without Numba, as plain Python, the kernels agree with their references."""
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", INSIDE: "1"}
    options = ["-q", "-p", "no:cacheprovider", "--hypothesis-profile=brief"]
    command = [sys.executable, "-m", "pytest", str(FOLDER), *options]

    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"\d\d+ passed", run.stdout), "the tests were not found"


@pytest.mark.skipif(JIT_IS_OFF, reason="this whole run is without JIT")
@pytest.mark.parametrize("kernel", jit.KERNELS, ids=lambda kernel: kernel.name)
def test_kernel_holds_no_lock_and_is_exact(kernel: jit.Kernel) -> None:
    options = kernel.compiled.targetoptions

    assert options["nopython"]
    assert options["nogil"]
    assert options["error_model"] == "numpy"
    assert not options.get("fastmath")
    assert not options.get("parallel")


@pytest.mark.skipif(not JIT_IS_OFF, reason="this run is with JIT")
def test_kernels_are_plain_functions_without_jit() -> None:
    assert jit.KERNELS == []
    assert catalogue.kernels() == ([], [])


def test_the_kernel_files_are_found() -> None:
    """The tests below read these files."""
    assert {"history.py", "parts.py", "positions.py"} <= {source.name for source in OTHERS}


@pytest.mark.parametrize("source", OTHERS, ids=lambda source: source.name)
def test_kernels_import_only_numpy(source: Path) -> None:
    """A kernel file depends on arrays and scalars alone."""
    foreign = {
        name
        for name in imported_modules(source)
        if not any(name == allowed or name.startswith(f"{allowed}.") for allowed in ALLOWED)
    }

    assert foreign == set()


@pytest.mark.parametrize("source", OTHERS, ids=lambda source: source.name)
def test_only_jit_py_sets_numba_options(source: Path) -> None:
    """Other files neither import Numba nor set options."""
    text = source.read_text(encoding="utf-8")

    assert "numba" not in imported_modules(source)
    assert re.findall(r"njit|jit\(|fastmath\s*=|parallel\s*=", text) == []


def test_no_kernel_is_parallel_or_inexact() -> None:
    """Only parts may change the order of a sum."""
    text = next(s for s in SOURCES if s.name == "jit.py").read_text(encoding="utf-8")

    assert re.findall(r"parallel\"?\s*[=:]", text) == []
    assert re.findall(r"fastmath\"?\s*[=:].*", text) == ['fastmath={"reassoc"}))']


@pytest.mark.parametrize("source", OTHERS, ids=lambda source: source.name)
def test_every_function_of_a_kernel_file_is_a_kernel(source: Path) -> None:
    """No function runs as slow Python by mistake."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]

    undecorated = [
        function.name
        for function in functions
        if [ast.unparse(decorator) for decorator in function.decorator_list]
        not in (["kernel"], ["part"], ["part(reorders=True)"])
    ]

    assert undecorated == []
