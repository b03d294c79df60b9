"""How every benchmark prints and writes its measurements."""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numba
import numpy as np

FOLDER = Path("build/bench")


def spread(samples: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(samples), "min": min(samples), "max": max(samples)}


def print_rows(heading: str, rows: Mapping[str, Sequence[float]]) -> None:
    print(f"{heading:<34}{'median':>14}{'min':>14}{'max':>14}")
    for label, samples in rows.items():
        row = spread(samples)
        print(f"{label:<34}{row['median']:>14,.3f}{row['min']:>14,.3f}{row['max']:>14,.3f}")


def print_percentiles(heading: str, rows: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Print p50, p95 and p99 of each row; return the p50s."""
    print(f"{heading:<34}{'p50':>10}{'p95':>10}{'p99':>10}")
    medians = {}
    for label, samples in rows.items():
        p50, p95, p99 = np.percentile(samples, [50, 95, 99])
        medians[label] = float(p50)
        print(f"{label:<34}{p50:>10.3f}{p95:>10.3f}{p99:>10.3f}")
    return medians


def write(
    name: str,
    sizes: Mapping[str, int],
    rows: Mapping[str, Sequence[float]],
    versions: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write build/bench/NAME.json: sizes, versions, and the spread of each row."""
    known = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
    }
    document = {
        "sizes": dict(sizes),
        "versions": known | dict(versions),
        "rows": {label: spread(samples) for label, samples in rows.items()},
    }
    write_document(name, document)


def write_document(name: str, document: Mapping[str, object]) -> None:
    """Write build/bench/NAME.json."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(document, indent=2))
