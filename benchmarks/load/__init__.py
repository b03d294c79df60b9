"""The load test: response times at each level of load, and whether the targets are met.

`tests/risk_engine_load_test.py` runs it. Each stage returns figures; only `judging` knows the
targets.
"""
