"""Runs in the environment of the libraries; answers each line of JSON with another.

`{"ask": "versions"}`; `{"ask": "calls"}` for the available calls, of each book and of all together;
`{"ask": "values", "window": 250, "confidence": "0.99"}` for the value of every function on every
book; `{"ask": "seconds", "call": ..., "way": ..., "confidence": ...}` for the time of one call per
book.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.libraries.books import Books, Level
from benchmarks.libraries.calls import CALLS, MODULES, OF_COLUMNS

#: books are timed until this time has passed, and at least this number of them
_ENOUGH_S, _FEWEST = 0.25, 5


def versions() -> dict[str, str]:
    return {name: version(name) for name in [*(one.LIBRARY for one in MODULES), "numpy"]}


def values(books: Books, level: Level) -> dict[str, dict[str, list[Any]]]:
    """The value of each call for each book, in the order of the books."""
    each, together = list(books.each(level)), books.together(level)
    return {
        "each": {name: [_plain(call(book)) for book in each] for name, call in CALLS.items()},
        "together": {name: _plain(CALLS[name](together)) for name in OF_COLUMNS},
    }


def seconds(books: Books, call: str, way: str, level: Level) -> float:
    """Seconds per book, from its weights and the returns of the market."""
    started = time.perf_counter()
    if way == "together":
        CALLS[call](books.together(level))
        return (time.perf_counter() - started) / len(books)
    for n_done, book in enumerate(books.each(level), 1):
        CALLS[call](book)
        elapsed_s = time.perf_counter() - started
        if elapsed_s > _ENOUGH_S and n_done >= _FEWEST:
            break
    return elapsed_s / n_done


def answer(books: Books, question: dict[str, Any]) -> Any:
    if question["ask"] == "versions":
        return versions()
    if question["ask"] == "calls":
        return {"each": list(CALLS), "together": OF_COLUMNS}
    level = Level.of(question["confidence"])
    if question["ask"] == "values":
        return values(books.last(question["window"]), level)
    return seconds(books, question["call"], question["way"], level)


def _plain(number: Any) -> Any:
    return np.asarray(number, dtype=np.float64).tolist()


if __name__ == "__main__":
    # Deprecations in the code of others.
    warnings.simplefilter("ignore")
    books = Books.read(Path(sys.argv[1]))
    # Libraries print to standard output; only the answer may go there.
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        print(json.dumps(answer(books, json.loads(line))), file=answers, flush=True)
