"""The report as one page that loads nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from benchmarks.load.plots import plots
from benchmarks.load.report import Report
from benchmarks.load.tables import Rows

_STYLE = """
body { font: 15px/1.5 sans-serif; color: #222; max-width: 60rem; margin: 2rem auto }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .2rem .6rem; border-bottom: 1px solid #ddd }
.numbers td:nth-child(n+3), .numbers th:nth-child(n+3) { text-align: right }
.pass { color: #2e7d32 } .fail { color: #b71c1c; font-weight: bold } .open { color: #777 }
svg { max-width: 100%; height: auto }
"""
_CLASSES = {"pass": "pass", "FAIL": "fail", "not judged": "open"}
_HOW = """A level of N means N checks outstanding at once. Blocks: each user checks a table of its
share. Single: each check is awaited alone. One by one: a loop in one process, in NumPy. Times run
from when a call was due, not from when it was sent, so that waiting behind a stall counts. Each
number is the median over rounds, and worst is the longest time of all rounds. x is the mean of
one by one, divided by the mean of the row."""


def page(report: Report) -> str:
    """Return the report as HTML without references to other files or servers."""
    verdict = "FAIL" if report.verdict.startswith("FAIL") else "pass"
    parts = [
        f'<h1>Load test: <span class="{_CLASSES[verdict]}">{escape(report.verdict)}</span></h1>',
        f"<p>{escape(_facts(report.facts))}</p>",
        *(_table(rows) for rows in report.tables if rows.rows),
        f"<p>{escape(_HOW)}</p>",
        *plots(report.figures),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>risk_tasks load test</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _facts(facts: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def _table(rows: Rows) -> str:
    head = "".join(f"<th>{escape(word)}</th>" for word in rows.headings)
    body = "".join(_row(row) for row in rows.rows)
    kind = ' class="numbers"' if rows.is_numbers else ""
    return f"<h2>{escape(rows.title)}</h2><table{kind}><tr>{head}</tr>{body}</table>"


def _row(cells: Sequence[str]) -> str:
    return f"<tr>{''.join(map(_cell, cells))}</tr>"


def _cell(text: str) -> str:
    kind = f' class="{_CLASSES[text]}"' if text in _CLASSES else ""
    return f"<td{kind}>{escape(text)}</td>"
