"""The same checks through other task queues: one message per check, real workers, a real server.

`run.measure` starts NAME_peer.py in an environment of its own, `build/peers-venv`, and returns what
it measured. There a peer sees this package and NumPy, and nothing of `risk_tasks`: `job.check`
computes one portfolio as one would without our engine.

Each peer starts two worker processes, waits until they have answered a few hundred jobs, sends the
jobs in the fastest documented way that we found, reads back every result, and compares each
with `job`'s own. Sending, waiting and reading are timed; making the inputs and comparing are not.
"""
