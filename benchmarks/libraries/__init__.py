"""Comparison with risk libraries: equal numbers, their conventions, and times.

`agreements` is the table of both. The certification tests it and docs/reference/measures.md shows
it. The libraries run in their own environment, `build/libraries-venv`: `run` starts `worker` there,
which imports this package, NumPy and SciPy, and nothing of `risk_tasks`. The timed functions are
the certified ones: one for each row of the table, in `calls/`.
"""
