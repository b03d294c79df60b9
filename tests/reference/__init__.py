"""Slow and obvious twins of the kernels, written from the formulas and importing nothing of ours.

A portfolio is a list of `(instrument, value)` pairs, value signed and in base currency; a panel of
returns is one sequence per instrument, a missing return is None or NaN. Losses are positive.
"""
