"""Beside risk libraries: which has the same number under which convention, and what it takes.

`agreements` is the table of both. The certification tests it and docs/reference/measures.md shows
it. The libraries run in their own environment, `build/libraries-venv`: `run` starts `worker` there,
which sees this package, NumPy and SciPy, and nothing of `risk_tasks`. What is timed is what is
certified: one function for each row of the table, in `calls/`.
"""
