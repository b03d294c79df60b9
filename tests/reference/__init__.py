"""Reference implementations of the kernels, from the formulas, without imports from risk_tasks.

A portfolio is a list of `(instrument, value)` pairs, value signed and in base currency; a panel of
returns is one sequence per instrument, a missing return is None or NaN. Losses are positive.
"""
