"""How kernels are compiled: in one place, and to what their source says."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import risk_tasks.kernels
from risk_tasks.kernels import (
    digest,
    draws,
    exposure,
    headroom,
    history,
    loadings,
    moments,
    paths,
    shrinkage,
    stress,
    tail,
    validity,
    weighted,
)

JIT_IS_OFF = bool(os.environ.get("NUMBA_DISABLE_JIT", "0").strip("0"))
INSIDE = "RISK_TASKS_TEST_WITHOUT_JIT"
FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[2]
SOURCES = sorted(Path(risk_tasks.kernels.__file__).parent.glob("**/*.py"))
OTHERS = [source for source in SOURCES if source.name not in ("jit.py", "__init__.py")]
ALLOWED = ("numpy", "numba", "__future__", "typing", "collections.abc", "risk_tasks.kernels")
KERNELS = [
    draws.random_bits,
    draws.normal_draws,
    digest.row_digests,
    exposure.exposure,
    exposure.concentration,
    headroom.rank_exit,
    headroom.interpolated_exit,
    headroom.shortfall_exit,
    history.profit_and_loss,
    history.outcomes,
    history.semi_deviation,
    loadings.loadings,
    loadings.lower_factor,
    moments.moments,
    shrinkage.ledoit_wolf,
    paths.keep_worst_pairs,
    stress.stress_loss,
    tail.value_at_risk,
    tail.expected_shortfall,
    tail.shortfall_of_one,
    validity.repeated_position,
    validity.locate,
    weighted.ewma_volatility,
    weighted.age_weighted_value_at_risk,
    weighted.volatility_ratio,
]


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
    """Plain Python agrees with the twins as machine code does: the folder passes without Numba."""
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", INSIDE: "1"}
    options = ["-q", "-p", "no:cacheprovider", "--hypothesis-profile=brief"]
    command = [sys.executable, "-m", "pytest", str(FOLDER), *options]

    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"\d\d+ passed", run.stdout), "the tests were not found"


@pytest.mark.parametrize("function", KERNELS, ids=lambda function: function.__name__)
def test_kernel_is_compiled_unless_jit_is_off(function: Any) -> None:
    """A kernel holds no lock and keeps its machine code; with JIT off it is the plain function."""
    if JIT_IS_OFF:
        assert not hasattr(function, "py_func")
        return

    assert function.targetoptions["nopython"]
    assert function.targetoptions["nogil"]
    assert function.targetoptions["error_model"] == "numpy"
    assert not function.targetoptions.get("fastmath")
    assert not function.targetoptions.get("parallel")


def test_every_kernel_file_is_looked_at() -> None:
    """The checks below read the files that are there."""
    assert {"jit.py", "exposure.py", "history.py", "tail.py", "weighted.py"} <= {
        s.name for s in SOURCES
    }


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_kernels_import_only_numpy_and_numba(source: Path) -> None:
    """A kernel file knows arrays and scalars, and nothing of portfolios, Redis or clocks."""
    foreign = {
        name
        for name in imported_modules(source)
        if not any(name == allowed or name.startswith(f"{allowed}.") for allowed in ALLOWED)
    }

    assert foreign == set()


@pytest.mark.parametrize("source", OTHERS, ids=lambda source: source.name)
def test_numba_options_stand_in_one_file(source: Path) -> None:
    """Outside jit.py nobody compiles and nobody chooses an option."""
    text = source.read_text(encoding="utf-8")

    assert "numba" not in imported_modules(source)
    assert re.findall(r"njit|jit\(|fastmath\s*=|parallel\s*=", text) == []


def test_no_kernel_is_parallel_or_inexact() -> None:
    """All that jit.py itself gives up, and for parts alone, is the order of a sum."""
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
