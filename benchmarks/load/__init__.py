"""The load test: what users wait for at each level of load, and whether promises are kept.

`tests/risk_engine_load_test.py` runs it. Each stage returns figures, and `judging` alone knows
what they must be.
"""
